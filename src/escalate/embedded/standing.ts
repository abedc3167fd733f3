/**
 * Who is the lock authority of a cluster, as replicas tell each other and keep it on their disks. There is
 * no vote: one replica claims the part, and who hears of it records that. Two claims are judged alike
 * everywhere. One that was asked something already beats one that was not, since only the latter can give
 * up without harm; between two that were not the smaller id stands. Two that were both asked cannot be
 * reconciled here: nobody serves then, until a person decides.
 */
import { ByteReader, ByteWriter, malformed } from "../../store/bytes.ts";

/** A claim. */
export interface Claim {
  /** The birth id of the authority's store. */
  readonly authority: string;
  /** The name of the replica that hosts it, for people. */
  readonly host: string;
  /** What it is asked is on a disk before it is answered. */
  readonly isDurable: boolean;
  /** It was asked something. */
  readonly isEstablished: boolean;
}

/** What a replica tells of it. */
export interface Standing {
  /** What it has recorded. */
  readonly claim: Claim | undefined;
  /** Another one that cannot be reconciled with it. */
  readonly rival: Claim | undefined;
  /** It hosts the authority that it has recorded. */
  readonly isHost: boolean;
}

/** What to do with a claim. */
export type Judgement = "adopt" | "keep" | "same" | "dispute";

/** Judges a claim by what is recorded: every replica alike. */
export function judge(recorded: Claim | undefined, heard: Claim): Judgement {
  if (!recorded) return "adopt";
  if (recorded.authority === heard.authority) return "same";
  if (recorded.isEstablished !== heard.isEstablished) {
    return recorded.isEstablished ? "keep" : "adopt";
  }
  if (recorded.isEstablished) return "dispute";
  return recorded.authority < heard.authority ? "keep" : "adopt";
}

const format = 1;
/** Among the messages of an authority, see authority-codec.ts. */
const standingKind = 64;
const idBytesMax = 64;
const hostBytesMax = 1024;

const flags = { isDurable: 1, isEstablished: 2 } as const;
const parts = { claim: 1, rival: 2, isHost: 4 } as const;

/** Whether a message is a standing. */
export const isStanding = (bytes: Uint8Array): boolean => bytes[1] === standingKind;

/** The bytes of a message. */
export function writeStanding({ claim, rival, isHost }: Standing): Uint8Array {
  const out = new ByteWriter();
  out.byte(format);
  out.byte(standingKind);
  out.byte((claim ? parts.claim : 0) | (rival ? parts.rival : 0) | (isHost ? parts.isHost : 0));
  if (claim) put(out, claim);
  if (rival) put(out, rival);
  return out.take();
}

/** @throws MalformedError for anything else. */
export function readStanding(bytes: Uint8Array): Standing {
  const reader = new ByteReader(bytes);
  checkFormat(reader);
  if (reader.byte() !== standingKind) malformed("no standing");
  const has = reader.byte();
  if (has > (parts.claim | parts.rival | parts.isHost)) malformed(`parts that are ${has}`);
  const claim = (has & parts.claim) > 0 ? take(reader) : undefined;
  const rival = (has & parts.rival) > 0 ? take(reader) : undefined;
  reader.end();
  return { claim, rival, isHost: (has & parts.isHost) > 0 };
}

/** The record of a claim. */
export function writeClaim(claim: Claim): Uint8Array {
  const out = new ByteWriter();
  out.byte(format);
  put(out, claim);
  return out.take();
}

/** @throws MalformedError for anything else. */
export function readClaim(bytes: Uint8Array): Claim {
  const reader = new ByteReader(bytes);
  checkFormat(reader);
  const claim = take(reader);
  reader.end();
  return claim;
}

function put(out: ByteWriter, { authority, host, isDurable, isEstablished }: Claim): void {
  out.byte((isDurable ? flags.isDurable : 0) | (isEstablished ? flags.isEstablished : 0));
  out.text(authority);
  out.text(host.toWellFormed().slice(0, hostBytesMax / 4));
}

function take(reader: ByteReader): Claim {
  const set = reader.byte();
  if (set > (flags.isDurable | flags.isEstablished)) malformed(`flags that are ${set}`);
  return {
    authority: reader.text(idBytesMax),
    host: reader.text(hostBytesMax),
    isDurable: (set & flags.isDurable) > 0,
    isEstablished: (set & flags.isEstablished) > 0,
  };
}

function checkFormat(reader: ByteReader): void {
  const found = reader.byte();
  if (found !== format) malformed(`its format is ${found}; ${format} is known here`);
}
