/**
 * Who is the lock authority of a cluster, as replicas tell each other and keep it on their disks. There is
 * no vote: one replica claims the part, and who hears of it records that. Two claims are judged alike
 * everywhere.
 *
 * - Of one authority: the part was moved (or its host answered for it anew) once more in the claim with the
 *   larger generation, and nobody serves under a smaller one that knows of it.
 * - Of two, one of which an operator put in the place of the other: that one.
 * - Otherwise: one that was asked something already beats one that was not, since only the latter can give
 *   up without harm; between two that were not the smaller id stands. Two that were both asked cannot be
 *   reconciled here: nobody serves then, until a person decides.
 */
import { ByteReader, ByteWriter, malformed } from "../../store/bytes.ts";

/** A claim. */
export interface Claim {
  /** The birth id of the authority's guards. They keep it when they move. */
  readonly authority: string;
  /** How often the part was moved, or answered for by an operator. */
  readonly generation: number;
  /** Of its latest start that is known: the upper half of its tokens. */
  readonly epoch: number;
  /** Authorities that were lost, and in whose place this one is. */
  readonly replaces: readonly string[];
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
  /** How many links away the host is, over others than who is told; 0: it is the host. */
  readonly distance: number | undefined;
}

/** What to do with a claim. */
export type Judgement = "adopt" | "keep" | "same" | "dispute";

/** Judges a claim by what is recorded: every replica alike. */
export function judge(recorded: Claim | undefined, heard: Claim): Judgement {
  if (!recorded) return "adopt";
  if (recorded.authority === heard.authority) {
    if (recorded.generation === heard.generation) return "same";
    return recorded.generation > heard.generation ? "keep" : "adopt";
  }
  const isReplaced = heard.replaces.includes(recorded.authority);
  if (isReplaced !== recorded.replaces.includes(heard.authority)) {
    return isReplaced ? "adopt" : "keep";
  }
  if (recorded.isEstablished !== heard.isEstablished) {
    return recorded.isEstablished ? "keep" : "adopt";
  }
  if (recorded.isEstablished) return "dispute";
  return recorded.authority < heard.authority ? "keep" : "adopt";
}

/** Two claims that are the same, each with what the other does not know. */
export function united(recorded: Claim, heard: Claim): Claim {
  const isEstablished = recorded.isEstablished || heard.isEstablished;
  const { host, isDurable, epoch } = heard.epoch > recorded.epoch ? heard : recorded;
  return { ...recorded, isEstablished, host, isDurable, epoch };
}

/** They say the same. */
export const isSameClaim = (left: Claim, right: Claim): boolean =>
  judge(left, right) === "same" &&
  left.epoch === right.epoch &&
  left.host === right.host &&
  left.isDurable === right.isDurable &&
  left.isEstablished === right.isEstablished;

const format = 2;
/** Claims without generation, epoch and what they replace; a standing says whether it is of the host. */
const firstFormat = 1;
/** Among the messages of an authority, see authority-codec.ts. */
const standingKind = 64;
const idBytesMax = 64;
/** Of the name of a replica. */
export const hostBytesMax = 1024;
/** Lost authorities that are remembered; who was lost before so many others is long gone. */
export const replacesMax = 64;
/** Links between a replica and the host, at most. */
export const distanceMax = 8;

const flags = { isDurable: 1, isEstablished: 2 } as const;
const parts = { claim: 1, rival: 2, distance: 4 } as const;

/** Whether a message is a standing. */
export const isStanding = (bytes: Uint8Array): boolean => bytes[1] === standingKind;

/** The bytes of a message. */
export function writeStanding({ claim, rival, distance }: Standing): Uint8Array {
  const out = new ByteWriter();
  out.byte(format);
  out.byte(standingKind);
  out.byte(
    (claim ? parts.claim : 0) |
      (rival ? parts.rival : 0) |
      (distance === undefined ? 0 : parts.distance),
  );
  if (claim) put(out, claim);
  if (rival) put(out, rival);
  if (distance !== undefined) out.byte(distance);
  return out.take();
}

/** @throws MalformedError for anything else. */
export function readStanding(bytes: Uint8Array): Standing {
  const reader = new ByteReader(bytes);
  const found = formatOf(reader);
  if (reader.byte() !== standingKind) malformed("no standing");
  const has = reader.byte();
  if (has > (parts.claim | parts.rival | parts.distance)) malformed(`parts that are ${has}`);
  const claim = (has & parts.claim) > 0 ? take(reader, found) : undefined;
  const rival = (has & parts.rival) > 0 ? take(reader, found) : undefined;
  const isNear = (has & parts.distance) > 0;
  const distance = isNear && found !== firstFormat ? reader.byte() : 0;
  if (distance > distanceMax) malformed(`a distance of ${distance}`);
  reader.end();
  return { claim, rival, distance: isNear ? distance : undefined };
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
  const claim = take(reader, formatOf(reader));
  reader.end();
  return claim;
}

function put(out: ByteWriter, claim: Claim): void {
  const { authority, host, isDurable, isEstablished, generation, epoch, replaces } = claim;
  out.byte((isDurable ? flags.isDurable : 0) | (isEstablished ? flags.isEstablished : 0));
  out.text(authority);
  out.text(hostName(host));
  out.varint(generation);
  out.varint(epoch);
  out.varint(replaces.length);
  for (const one of replaces) out.text(one);
}

/** As much of a name as is told. */
export const hostName = (host: string): string => host.toWellFormed().slice(0, hostBytesMax / 4);

function take(reader: ByteReader, found: number): Claim {
  const set = reader.byte();
  if (set > (flags.isDurable | flags.isEstablished)) malformed(`flags that are ${set}`);
  const claim = {
    authority: reader.text(idBytesMax),
    host: reader.text(hostBytesMax),
    isDurable: (set & flags.isDurable) > 0,
    isEstablished: (set & flags.isEstablished) > 0,
  };
  if (found === firstFormat) return { ...claim, generation: 0, epoch: 0, replaces: [] };
  const [generation, epoch] = [reader.varint(), reader.varint()];
  const replaces: string[] = [];
  for (let left = reader.bounded(replacesMax, "what it replaces"); left > 0; left--) {
    replaces.push(reader.text(idBytesMax));
  }
  return { ...claim, generation, epoch, replaces };
}

function formatOf(reader: ByteReader): number {
  const found = reader.byte();
  if (found !== format && found !== firstFormat) {
    malformed(`its format is ${found}; ${format} is known here`);
  }
  return found;
}
