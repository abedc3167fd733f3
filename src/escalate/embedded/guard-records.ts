/**
 * The records of a lock authority, in the store of its replica: one a guard, one about the authority. They
 * stand beside those of the keyspace (`store/image.ts`), under first bytes of their own.
 */
import { CorruptStorageError } from "../../errors.ts";
import { ByteReader, ByteWriter, malformed, MalformedError } from "../../store/bytes.ts";
import { foreignKinds } from "../../store/image.ts";
import type { StorageEngine } from "../../store/storage.ts";
import type { GuardRecord } from "../fence/guard.ts";
import { decodeGuard, encodeGuard } from "../fence/guard-codec.ts";
import type { OnDisk } from "../witness.ts";
import { type Claim, readClaim, writeClaim } from "./standing.ts";

/** The form of records; another one is refused. */
const format = 1;
/** Of the record about the authority, since it may be moved. */
const authorityFormat = 2;
const birthBytesMax = 64;

/** Who the authority is. */
export interface AuthorityRecord {
  readonly birth: string;
  /** How often it began, or more: the upper half of its tokens. */
  readonly epoch: number;
  /** How often the part was moved; see standing.ts. */
  readonly generation: number;
  /** It was given away for good, in the move of this id, and does not serve any more; else empty. */
  readonly seal: string;
}

/**
 * A guard as the disk has it. When its lease ends belongs to the clock of one process, so what is kept is
 * how long it may still have been when it was granted or prolonged, in whole ms: after a restart it lives
 * for that long again, which is never too short.
 */
export interface KeptGuard {
  readonly record: GuardRecord;
  readonly leaseMs: number;
  /** `undefined`: for as long as it is renewed. */
  readonly holdMs: number | undefined;
}

/** The key of the record of a guard. O(length). */
export function guardKey(resource: string): Uint8Array {
  const name = Buffer.from(resource);
  const key = new Uint8Array(name.length + 1);
  key[0] = foreignKinds.guard;
  key.set(name, 1);
  return key;
}

/** The resource of the key of a guard. O(length). */
export const resourceOf = (key: Uint8Array): string =>
  Buffer.from(key.subarray(1)).toString("utf8");

/** The key of the record about the authority that is hosted here. */
export const authorityKey = (): Uint8Array => Uint8Array.of(foreignKinds.authority, 0);

/** The key of the record of who is the authority of the cluster. */
export const claimKey = (): Uint8Array => Uint8Array.of(foreignKinds.authority, 1);

/** The key of the serial of the last write of the authority that is hosted here. */
export const markKey = (): Uint8Array => Uint8Array.of(foreignKinds.authority, 2);

/** The key of the id of a move to here that has begun. */
export const offerKey = (): Uint8Array => Uint8Array.of(foreignKinds.authority, 3);

/** O(length). */
export function writeOffer(move: string): Uint8Array {
  const writer = new ByteWriter();
  writer.byte(format);
  writer.text(move);
  return writer.take();
}

function readOffer(value: Uint8Array): string {
  const reader = new ByteReader(value);
  checkFormat(reader);
  const move = reader.text(birthBytesMax);
  reader.end();
  return move;
}

/** O(1). */
export function writeMark({ serial, isClosed }: OnDisk): Uint8Array {
  const writer = new ByteWriter();
  writer.byte(format);
  writer.varint(serial);
  writer.byte(isClosed ? 1 : 0);
  return writer.take();
}

function readMark(value: Uint8Array): OnDisk {
  const reader = new ByteReader(value);
  checkFormat(reader);
  const serial = reader.varint();
  const isClosed = reader.byte();
  if (isClosed > 1) malformed(`a flag that is ${isClosed}`);
  reader.end();
  return { serial, isClosed: isClosed === 1 };
}

/** O(bytes). */
export function writeAuthority({ birth, epoch, generation, seal }: AuthorityRecord): Uint8Array {
  const writer = new ByteWriter();
  writer.byte(authorityFormat);
  writer.text(birth);
  writer.varint(epoch);
  writer.varint(generation);
  writer.text(seal);
  return writer.take();
}

/** O(bytes). */
export function writeGuard({ record, leaseMs, holdMs }: KeptGuard, birth: string): Uint8Array {
  const writer = new ByteWriter();
  writer.byte(format);
  writer.varint(leaseMs);
  writer.varint(holdMs === undefined ? 0 : holdMs + 1);
  const { holder, ...stored } = record;
  writer.raw(encodeGuard({ ...stored, birth, nonce: holder?.nonce }));
  return writer.take();
}

/** Resolves when it is on the disk. @throws StorageError */
export async function keepClaim(engine: StorageEngine, claim: Claim): Promise<void> {
  const batch = engine.batch();
  batch.put(claimKey(), writeClaim(claim));
  await batch.write({ sync: true });
}

/** What a replica has recorded of the authority, but the guards. */
export interface KeptSeat {
  /** Who it is. */
  readonly claim: Claim | undefined;
  /** The one that is, or was, hosted here. */
  readonly authority: AuthorityRecord | undefined;
  /** Where that was with its writes. One of before there were serials counts as closed. */
  readonly mark: OnDisk;
  /** A move to here that has begun. */
  readonly offer: string | undefined;
}

/** O(1). @throws CorruptStorageError */
export async function readKeptSeat(engine: StorageEngine): Promise<KeptSeat> {
  const found = new Map<number, Uint8Array>();
  const { location } = engine;
  for await (const page of engine.read(authorityKey(), Uint8Array.of(foreignKinds.authority, 4))) {
    for (const { key, value } of page) found.set(key[1] ?? 0, value);
  }
  const kept = <T>(key: Uint8Array, read: (value: Uint8Array) => T): T | undefined => {
    const value = found.get(key[1] ?? 0);
    return value && checked(location, () => read(value));
  };
  return {
    claim: kept(claimKey(), readClaim),
    authority: kept(authorityKey(), readAuthority),
    mark: kept(markKey(), readMark) ?? { serial: 0, isClosed: true },
    offer: kept(offerKey(), readOffer),
  };
}

/** Whether the part is here, as far as is known here. */
export const isSeated = ({ claim, authority }: KeptSeat): boolean =>
  authority !== undefined &&
  authority.seal === "" &&
  claim?.authority === authority.birth &&
  claim.generation <= authority.generation;

/**
 * Reads all guards of the authority of this birth; leases that lived count from `nowMs` on. O(records).
 * @throws CorruptStorageError for what is not such a record, or of another birth.
 */
export async function readGuards(
  engine: StorageEngine,
  expected: string | undefined,
  nowMs: number,
): Promise<ReadonlyMap<string, KeptGuard>> {
  const guards = new Map<string, KeptGuard>();
  const { location } = engine;
  for await (const page of engine.read(
    Uint8Array.of(foreignKinds.guard),
    Uint8Array.of(foreignKinds.guard + 1),
  )) {
    for (const { key, value } of page) {
      const resource = resourceOf(key);
      const { birth, ...kept } = checked(location, () => readGuard(value, resource, nowMs));
      if (birth !== expected) {
        const whose = `of ${birth}, not of ${expected ?? "anybody"}`;
        throw new CorruptStorageError(`${location}: the guard of ${resource} is ${whose}`, {
          path: location,
        });
      }
      guards.set(resource, kept);
    }
  }
  return guards;
}

function readAuthority(value: Uint8Array): AuthorityRecord {
  const reader = new ByteReader(value);
  const found = reader.byte();
  if (found !== format && found !== authorityFormat) malformed(`its format is ${found}`);
  const record = { birth: reader.text(birthBytesMax), epoch: reader.varint() };
  // Before parts could be moved, none was.
  const moves =
    found === format
      ? { generation: 0, seal: "" }
      : { generation: reader.varint(), seal: reader.text(birthBytesMax) };
  reader.end();
  return { ...record, ...moves };
}

function readGuard(
  value: Uint8Array,
  resource: string,
  nowMs: number,
): KeptGuard & { readonly birth: string } {
  const reader = new ByteReader(value);
  checkFormat(reader);
  const leaseMs = reader.varint();
  const hold = reader.varint();
  const holdMs = hold === 0 ? undefined : hold - 1;
  const { birth, nonce, ...stored } = decodeGuard(reader.raw(reader.left), resource);
  const endMs = holdMs === undefined ? Number.POSITIVE_INFINITY : nowMs + holdMs;
  const holder =
    nonce === undefined
      ? undefined
      : { token: stored.token, nonce, untilMs: Math.min(nowMs + leaseMs, endMs), endMs };
  return { birth, record: { ...stored, holder }, leaseMs, holdMs };
}

/** That these bytes are a guard of this resource and birth. @throws MalformedError */
export function checkGuard(value: Uint8Array, resource: string, birth: string): void {
  const found = readGuard(value, resource, 0);
  if (found.birth !== birth) malformed(`a guard of ${found.birth}, not of ${birth}`);
}

function checkFormat(reader: ByteReader): void {
  const found = reader.byte();
  if (found !== format) malformed(`its format is ${found}; ${format} is known here`);
}

function checked<T>(location: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new CorruptStorageError(`${location}: a record of the authority: ${error.message}`, {
      path: location,
      cause: error,
    });
  }
}
