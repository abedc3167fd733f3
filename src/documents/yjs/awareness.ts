/**
 * Who is at one document, as its clients say themselves: the rules of y-protocols, and bounds.
 *
 * Of two words about a client the one with the later clock counts, and of two with the same clock the one that
 * says it is gone; so in whatever order they come, everybody ends with the same. A client whose connection ends
 * is told to be gone under the clock it had, not under a later one: should it come back, a client that hears of
 * its own end says its state again, one later.
 *
 * Whose connection told a client's latest state, speaks for it: nobody else may say that it is gone. Clients send
 * back what they hear of others, and that must change nothing.
 */
import { type AwarenessEntry, goneState } from "./messages.ts";

/** A client that says nothing for so long is gone, in ms. Clients say their state again twice as often. */
export const outdatedMs = 30_000;
/** How long it is known that a client is gone, in ms, so that late words do not bring it back. */
const rememberedMs = 2 * outdatedMs;
/** Clients of one document. */
export const clientsMax = 256;
/** Clients that one connection speaks for: tabs of a browser speak for each other. */
export const clientsPerConnectionMax = 16;
/** Clients that are known to be gone. */
const goneMax = 1_024;
/** What a state costs besides its text, in bytes. */
const entryBytes = 128;

/** A connection that speaks for clients; undefined: another replica. */
export type Speaker = object | undefined;

/** What came of a word: it counts; all was known; it came after the end that is known; there is no room. */
export type Verdict = "news" | "known" | "gone" | "refused";

interface Present {
  readonly clock: number;
  readonly state: string;
  readonly speaker: Speaker;
  readonly renewedMs: number;
}

/** The clients of one document. */
export class Awareness {
  readonly #present = new Map<number, Present>();
  /** In the order in which they went. */
  readonly #gone = new Map<number, { readonly clock: number; readonly atMs: number }>();
  readonly #spokenFor = new Map<object, Set<number>>();
  #bytes = 0;

  /** What all this takes, in bytes, about. */
  get bytes(): number {
    return this.#bytes + this.#gone.size * entryBytes;
  }

  get isEmpty(): boolean {
    return this.#present.size === 0 && this.#gone.size === 0;
  }

  /** Takes in one word. `roomBytes` is what may be added; `ageMs` how long ago it was said. */
  hear(
    { id, clock, state }: AwarenessEntry,
    by: {
      readonly speaker: Speaker;
      readonly nowMs: number;
      readonly roomBytes: number;
      readonly ageMs?: number;
    },
  ): Verdict {
    const present = this.#present.get(id);
    const gone = this.#gone.get(id);
    if (state === goneState) return this.#hearEnd(id, clock, by);
    if (present !== undefined && clock <= present.clock) return "known";
    if (gone !== undefined && clock <= gone.clock) return "gone";
    if (present === undefined && this.#present.size >= clientsMax) return "refused";
    const growth = state.length - (present?.state.length ?? -entryBytes);
    if (growth > by.roomBytes || !this.#speaks(by.speaker, id)) return "refused";
    const renewedMs = by.nowMs - (by.ageMs ?? 0);
    if (present !== undefined && present.speaker !== by.speaker) this.#unspeak(present, id);
    this.#gone.delete(id);
    this.#present.set(id, { clock, state, speaker: by.speaker, renewedMs });
    this.#bytes += growth;
    return "news";
  }

  /** Everybody is gone whom that connection spoke for. Returns who. */
  end(speaker: object, nowMs: number): number[] {
    const ids = [...(this.#spokenFor.get(speaker) ?? [])];
    for (const id of ids) this.#remove(id, this.#present.get(id)?.clock ?? 0, nowMs);
    this.#spokenFor.delete(speaker);
    return ids;
  }

  /** Everybody is gone who said nothing for long. Returns who. O(clients). */
  expire(nowMs: number): number[] {
    const ids: number[] = [];
    for (const [id, { renewedMs, clock }] of this.#present) {
      if (nowMs - renewedMs < outdatedMs) continue;
      ids.push(id);
      this.#remove(id, clock, nowMs);
    }
    for (const [id, { atMs }] of this.#gone) {
      if (nowMs - atMs < rememberedMs) break;
      this.#gone.delete(id);
    }
    return ids;
  }

  /** What is known of these; of all present by default. */
  entries(ids: Iterable<number> = this.#present.keys()): AwarenessEntry[] {
    const entries: AwarenessEntry[] = [];
    for (const id of ids) {
      const present = this.#present.get(id);
      const clock = present?.clock ?? this.#gone.get(id)?.clock;
      if (clock !== undefined) entries.push({ id, clock, state: present?.state ?? goneState });
    }
    return entries;
  }

  /** What is known of all, also of those who are gone: for one who missed something. */
  everything(): AwarenessEntry[] {
    return this.entries([...this.#present.keys(), ...this.#gone.keys()]);
  }

  /** How long ago a client told its state, in ms; 0 if it is not here. */
  ageMs(id: number, nowMs: number): number {
    return Math.max(0, nowMs - (this.#present.get(id)?.renewedMs ?? nowMs));
  }

  #hearEnd(
    id: number,
    clock: number,
    { speaker, nowMs }: { readonly speaker: Speaker; readonly nowMs: number },
  ): Verdict {
    const present = this.#present.get(id);
    if (present === undefined) {
      const gone = this.#gone.get(id);
      // Another replica may know a client that was never heard of here; a connection that says so is wrong.
      if (speaker !== undefined || clock <= (gone?.clock ?? -1)) return "known";
    } else {
      if (clock < present.clock) return "known";
      const mayEnd = speaker === undefined || speaker === present.speaker;
      if (clock === present.clock && !mayEnd) return "known";
    }
    this.#remove(id, clock, nowMs);
    return "news";
  }

  #remove(id: number, clock: number, nowMs: number): void {
    const present = this.#present.get(id);
    if (present !== undefined) {
      this.#bytes -= entryBytes + present.state.length;
      this.#present.delete(id);
      this.#unspeak(present, id);
    }
    this.#gone.delete(id);
    this.#gone.set(id, { clock, atMs: nowMs });
    for (const oldest of this.#gone.keys()) {
      if (this.#gone.size <= goneMax) break;
      this.#gone.delete(oldest);
    }
  }

  /** Whether it may speak for that client, and from now on does. */
  #speaks(speaker: Speaker, id: number): boolean {
    if (speaker === undefined) return true;
    const ids = this.#spokenFor.get(speaker) ?? new Set();
    if (!ids.has(id) && ids.size >= clientsPerConnectionMax) return false;
    ids.add(id);
    this.#spokenFor.set(speaker, ids);
    return true;
  }

  #unspeak({ speaker }: Present, id: number): void {
    if (speaker === undefined) return;
    const ids = this.#spokenFor.get(speaker);
    ids?.delete(id);
    if (ids?.size === 0) this.#spokenFor.delete(speaker);
  }
}
