/**
 * A file behind a write cache, as a machine leaves it that loses power: what was synchronised is there,
 * and of what was written since then, any page may be there or not, in no order.
 */
import type { Random } from "../simulation/virtual-environment.ts";

const pageBytes = 4_096;
/** The least that a disk writes whole. */
const sectorBytes = 512;

/** How a crash treats what was written and not synchronised. */
export type CrashKind =
  /** The process is gone; the operating system has all of it. */
  | "process"
  /** The file ends somewhere. */
  | "cut"
  /** Pages are missing, in any order, down to single sectors. */
  | "holes"
  /** Pages hold what others were to hold. */
  | "shuffled";

export const crashKinds: readonly CrashKind[] = ["process", "cut", "holes", "shuffled"];

/** Bytes that are appended, and the part of them that is safe. */
export class CachedFile {
  #bytes: Uint8Array = new Uint8Array(pageBytes);
  #length = 0;
  #synced = 0;

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  get length(): number {
    return this.#length;
  }

  get syncedLength(): number {
    return this.#synced;
  }

  append(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(2 * length);
      larger.set(this.bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = length;
  }

  sync(): void {
    this.#synced = this.#length;
  }

  /** What is on the disk after a crash, all of it safe then. */
  crash(kind: CrashKind, random: Random): void {
    const left = crashed(this.bytes, this.#synced, kind, random);
    this.#bytes = left;
    this.#length = left.length;
    this.#synced = left.length;
  }
}

/** What may be left of a file of which the first `synced` bytes are safe. */
export function crashed(
  bytes: Uint8Array,
  synced: number,
  kind: CrashKind,
  random: Random,
): Uint8Array {
  if (kind === "process" || bytes.length === synced) return Uint8Array.from(bytes);
  const isWhole = kind !== "cut" && random.chance(0.6);
  const length = isWhole ? bytes.length : synced + random.below(bytes.length - synced + 1);
  const left = Uint8Array.from(bytes.subarray(0, length));
  if (kind === "holes") leaveHoles(left, synced, random);
  if (kind === "shuffled") shuffle(left, bytes, synced, random);
  return left;
}

/** Where a page ends that has the byte `at`. */
const pageEnd = (at: number, length: number): number =>
  Math.min(length, at - (at % pageBytes) + pageBytes);

function leaveHoles(left: Uint8Array, synced: number, random: Random): void {
  const share = random.pick([0.1, 0.5, 0.9]);
  for (let at = synced; at < left.length; at = pageEnd(at, left.length)) {
    if (!random.chance(share)) continue;
    const end = pageEnd(at, left.length);
    const isTorn = random.chance(0.3);
    for (let from = at; from < end;) {
      const to = Math.min(end, from - (from % sectorBytes) + sectorBytes);
      if (!isTorn || random.chance(0.5)) left.fill(0, from, to);
      from = to;
    }
  }
}

function shuffle(left: Uint8Array, bytes: Uint8Array, synced: number, random: Random): void {
  const pages = Math.ceil(bytes.length / pageBytes);
  for (let at = synced; at < left.length; at = pageEnd(at, left.length)) {
    if (!random.chance(0.5)) continue;
    const from = random.below(pages) * pageBytes + (at % pageBytes);
    const end = pageEnd(at, left.length);
    left.fill(0, at, end);
    left.set(bytes.subarray(from, from + end - at), at);
  }
}
