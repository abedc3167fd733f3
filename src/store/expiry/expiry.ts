/**
 * Lets keys expire. Whose turn is it, and when does what is left go?
 *
 * The turn of whoever wrote the deadline, when it has passed on its own clock: so clocks need not agree.
 * If it has not done so when the deadline is over by more than clocks may differ, anybody does it, each
 * after a delay of its own. What is written is "expired up to the deadline", never up to the present: a
 * deadline that is later, and still on the way, wins.
 *
 * The content stays until nothing can come any more that has not seen the expiry (`stability.ts`); then
 * it is removed, by an observed remove like any other, so nothing of the key is left. Peers that are away
 * for longer than `peerSilentMsMax` are not waited for: had one of them gone on with the key, what it
 * wrote itself comes back with it, the rest does not. `test/models/expiry.mjs` is this as a program.
 */
import { noCell } from "../../crdt/cells.ts";
import { neverMs, readExpired, readUntil, writeExpired } from "../../crdt/expiring.ts";
import { stampMs } from "../../crdt/hybrid-logical-clock.ts";
import { fraction } from "../../environment.ts";
import type { Keyspace } from "../keyspace.ts";
import { Chores } from "./chores.ts";
import { contentOf, isOver, lifeIn, lifeSlotOf } from "./life.ts";
import type { Lives } from "./lives.ts";
import type { Stability } from "./stability.ts";

/** How long the content of an expired key is kept at least, in ms: what is on the way over relays may go on with it. */
const keepMs = 5_000;
/** Replicas that do another's work do it at different times, in ms. */
const jitterMs = 5_000;
/** How long to wait before looking again at what peers have not heard of, in ms. */
const againMs = { least: 1_000, most: 10 * 60_000 };

/** What it works with. */
export interface ExpiryOptions {
  readonly keyspace: Keyspace;
  readonly lives: Lives;
  readonly stability: Stability;
  /** Whether the actor is us, or was. */
  readonly isOurs: (actor: number) => boolean;
}

/** The keys of one replica that expire. */
export class Expiry {
  readonly #keyspace: Keyspace;
  readonly #options: ExpiryOptions;
  readonly #chores: Chores;
  readonly #seed: number;
  /** Deadlines of clocks that are too far ahead to be believed, and when they are over for us. */
  readonly #suspects = new Map<number, { readonly untilMs: number; readonly dueMs: number }>();

  constructor(options: ExpiryOptions) {
    const { keyspace, lives, stability } = options;
    const { environment } = keyspace;
    this.#keyspace = keyspace;
    this.#options = options;
    this.#seed = Math.floor(fraction(environment) * 2 ** 20);
    this.#chores = new Chores({
      environment,
      now: () => environment.now(),
      begin: () => stability.refresh(),
      look: (key, nowMs) => this.#look(key, nowMs),
    });
    lives.listen({ touched: (key) => this.#plan(key), forgot: (key) => this.#forgot(key) });
  }

  /** Keys that expire some time, or are still held though they have. */
  get size(): number {
    return this.#chores.size;
  }

  /** Begins, with all that a store may have brought. O(keys). */
  start(): void {
    this.#options.lives.reload();
    this.#chores.start();
  }

  stop(): void {
    this.#chores.stop();
  }

  #forgot(node: number): void {
    this.#chores.drop(node);
    this.#suspects.delete(node);
  }

  #plan(key: number): void {
    const dueMs = this.#dueMs(key);
    if (dueMs !== undefined) this.#chores.plan(key, dueMs);
  }

  /** When it is our turn to do something about the key; undefined if there is nothing to do. */
  #dueMs(key: number): number | undefined {
    const life = lifeIn(this.#keyspace, lifeSlotOf(this.#keyspace, key));
    if (isOver(life)) return this.#removalMs(key, life.expiredMs);
    const { untilMs } = life;
    if (untilMs === 0 || untilMs === neverMs) return undefined;
    const writer = this.#writerOf(key, (payload) => readUntil(payload) === untilMs);
    if (writer.isOurs) return untilMs;
    const dueMs = untilMs + this.#othersMs(key);
    return this.#keyspace.clock.isHeld(writer.stamp)
      ? Math.min(dueMs, this.#suspectMs(key, { untilMs, writtenMs: stampMs(writer.stamp) }))
      : dueMs;
  }

  /** Its clock is wrong, so what counts is for how long it meant the key to live, from when we heard of it. */
  #suspectMs(key: number, deadline: { untilMs: number; writtenMs: number }): number {
    const { untilMs, writtenMs } = deadline;
    const known = this.#suspects.get(key);
    if (known?.untilMs === untilMs) return known.dueMs;
    const livesMs = Math.max(0, untilMs - writtenMs);
    const dueMs = this.#keyspace.environment.now() + livesMs + this.#othersMs(key);
    this.#suspects.set(key, { untilMs, dueMs });
    return dueMs;
  }

  #removalMs(key: number, expiredMs: number): number {
    const writer = this.#writerOf(key, (payload) => readExpired(payload) === expiredMs);
    // Of a clock that is wrong the time is worth nothing, and that everybody has heard is what counts.
    if (this.#keyspace.clock.isHeld(writer.stamp)) return 0;
    return stampMs(writer.stamp) + keepMs + (writer.isOurs ? 0 : this.#othersMs(key));
  }

  #look(key: number, nowMs: number): number | undefined {
    const { keyspace, lives } = this.#options;
    const dueMs = this.#isKey(key) ? this.#dueMs(key) : undefined;
    if (dueMs === undefined || dueMs > nowMs) return dueMs;
    const [content, slot] = [contentOf(keyspace, key), lifeSlotOf(keyspace, key)];
    if (slot === undefined) return undefined;
    if (content === undefined || !keyspace.isLive(content)) {
      keyspace.clear(slot);
      return undefined;
    }
    const life = lifeIn(keyspace, slot);
    if (!isOver(life)) {
      keyspace.assign(slot, writeExpired(life.untilMs));
      lives.settle(key);
      this.#suspects.delete(key);
      return nowMs + keepMs;
    }
    if (!this.#isStable(slot)) {
      const passedMs = Math.max(0, nowMs - dueMs);
      return nowMs + Math.min(againMs.most, Math.max(againMs.least, passedMs / 4));
    }
    keyspace.clearAll(content);
    keyspace.clear(slot);
    lives.settle(key);
    return undefined;
  }

  /** Numbers are used again. */
  #isKey(node: number): boolean {
    const { nodes } = this.#keyspace;
    return nodes.isUsed(node) && nodes.parent(node) < 0 && nodes.isEnvelope(node);
  }

  #isStable(slot: number): boolean {
    const { cells } = this.#keyspace;
    return cells
      .cellsOf(slot)
      .every((cell) => this.#options.stability.covers(cells.actor(cell), cells.sequence(cell)));
  }

  /** Whose life it is, or expiry: ours, if one of several writers was us. */
  #writerOf(key: number, wrote: (payload: unknown) => boolean): { isOurs: boolean; stamp: number } {
    const { cells, nodes } = this.#keyspace;
    const slot = lifeSlotOf(this.#keyspace, key);
    let [isOurs, stamp] = [false, 0];
    let cell = slot === undefined ? noCell : nodes.head(slot);
    for (; cell !== noCell; cell = cells.next(cell)) {
      if (!cells.isLive(cell) || !wrote(cells.payload(cell))) continue;
      isOurs ||= this.#options.isOurs(cells.actor(cell));
      // One that can be believed is worth more than one that cannot.
      stamp = stamp === 0 ? cells.value(cell) : Math.min(stamp, cells.value(cell));
    }
    return { isOurs, stamp };
  }

  /** How much later than the writer it is our turn, in ms: a fixed time for each key. */
  #othersMs(key: number): number {
    const drawn = (Math.imul(key + this.#seed, 0x9e3779b1) >>> 0) / 2 ** 32;
    return this.#keyspace.clock.aheadMsMax + drawn * jitterMs;
  }
}
