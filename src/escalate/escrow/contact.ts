/**
 * One holder's talk with the pool of one counter. A round is one guarded write, or one read when nothing
 * changes: it reports what the disk has, takes rights and says what is waited for. There is one at a time,
 * for all who wait.
 *
 * When may somebody be told that there is not enough? When a round that began after the call has found that
 * all that is left, in the pool and with every holder as last reported, is less; and no creation is known
 * here that the record lacks. Until then others are asked to give back, and it is looked again.
 *
 * Own disk first: what is returned is on the disk before a round tells it.
 */
import { fraction, type Timer } from "../../environment.ts";
import { StoreRolledBackError, UsageError } from "../../errors.ts";
import type { EscalatedCall } from "../escalated-calls.ts";
import type { Account } from "./account.ts";
import { chunkOf, delayOf, lowOf, Recalls, Wanting } from "./chunk.ts";
import type { Holding } from "./holding.ts";
import { Line, type WaitForRights } from "./line.ts";
import {
  type Pool,
  type PoolEntry,
  reachOf,
  type Side,
  strandedOf,
  wantedByOthers,
} from "./pool.ts";
import { poolResource, stepTtlMs } from "./pool-opening.ts";
import { ClosedHere, PoolSteps, type Round } from "./pool-steps.ts";
import { fenced, holdersIn, insufficient, type NamedHolder, unavailable } from "./refusals.ts";
import type { Surroundings } from "./surroundings.ts";

/** How long one round may wait for its turn, in ms. */
const roundWaitMs = 2_000;
/** Between two looks of those who wait, in ms. */
const pauseMsMin = 60;
const pauseMsMax = 500;
/** How much the last round counts for how long one takes. */
const roundWeight = 0.3;
/** A pool that was found empty is not asked ahead of need for so long, in ms. */
const emptyMs = 1_000;

/** Talks for one holding. */
export class Contact {
  readonly holding: Holding;
  readonly #at: Surroundings;
  readonly #resource: string;
  readonly #sides: readonly Side[];
  readonly #lines: Readonly<Record<Side, Line>>;
  readonly #steps: PoolSteps;
  readonly #recalls = new Recalls();
  readonly #wanting = new Wanting();
  #round = 0;
  #isAsked = false;
  #isRecalled = false;
  /** When it gives back, unless somebody else does. */
  #giving: Timer | undefined;
  /** Asked for by nobody who waits: to have enough when somebody comes. */
  #isAhead = false;
  #roundMs = 5;
  #emptyMs = Number.NEGATIVE_INFINITY;
  /** What the record says that is waited for here. */
  #wants = 0;
  #pauses = 0;
  #wake: (() => void) | undefined;
  #holders: readonly NamedHolder[] = [];
  #failure: unknown;
  /** What was left anywhere when the pool was heard last. */
  readonly #reach: Record<Side, number> = { down: 0, up: 0 };
  /** What lay with closed holders then. */
  readonly stranded: Record<Side, number> = { down: 0, up: 0 };
  /** Figures that the pool has: of `returned` what is lost on the way is rights that nobody has. */
  #told = { returned: 0, spent: 0, created: 0 };
  /** When it was last asked or spent from. */
  lastMs = 0;
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(holding: Holding, at: Surroundings) {
    this.holding = holding;
    this.#at = at;
    this.#resource = poolResource(holding);
    this.#sides = holding.up ? ["down", "up"] : ["down"];
    this.#lines = { down: this.#line("down"), up: this.#line("up") };
    this.#steps = new PoolSteps(holding, at, this.#lines);
    holding.onLow = () => this.#ahead();
  }

  /** How many wait. */
  get waiting(): number {
    return this.#lines.down.size + this.#lines.up.size;
  }

  /** Whether the pool should be looked at now and then: others may want what is here. */
  get isOfInterest(): boolean {
    if (this.holding.stopped || this.#isClosed) return false;
    return this.#hasRights() || this.#hasUntold();
  }

  /** Whether nothing was spent for a moment. */
  isIdle(nowMs: number): boolean {
    return this.#sides.every((side) => this.holding.rates[side].isIdle(nowMs));
  }

  /** Waits for rights of one side. `take` takes them. */
  async wait(side: Side, by: number, take: () => boolean, how: WaitForRights): Promise<void> {
    const traced = this.#at.calls.here();
    const waiting = this.#lines[side].enter(by, take, { ...how, traced }, this.#round);
    this.#pauses = 0;
    this.ask();
    this.#at.tally.measure(waiting);
    return waiting;
  }

  /** There is more than a moment ago. */
  serve(): void {
    for (const side of this.#sides) this.#lines[side].serve();
  }

  /** A round, soon. */
  ask(): void {
    this.#isAsked = true;
    this.#wake?.();
    if (!this.#isClosed) this.#running ??= this.#run();
  }

  /** Somebody else waits for rights. */
  recalled(): void {
    this.#wanting.heard(this.#at.environment.monotonic());
    if (!this.isOfInterest || this.#giving || this.#isRecalled || this.#isClosed) return;
    const { environment } = this.#at;
    const nowMs = environment.monotonic();
    const delays = this.#sides.map((side) =>
      delayOf(this.holding.account(side)?.rights ?? 0, this.holding.rates[side], nowMs),
    );
    this.#giving = environment.schedule(Math.max(...delays) * (0.5 + fraction(environment)), () => {
      this.#giving = undefined;
      this.#recalls.heard(environment.monotonic());
      this.#isRecalled = true;
      this.ask();
    });
  }

  /** Somebody else has given back: perhaps that is enough. */
  heardGiven(by: number): void {
    this.#giving?.cancel();
    this.#giving = undefined;
    if (this.waiting === 0) return;
    // Not all who wait at once, for what is enough for a few of them.
    const { environment } = this.#at;
    const few = (2 * by) / this.#wanting.count(environment.monotonic());
    if (fraction(environment) < few) this.ask();
  }

  /** What was created goes on its way: above a chunk, and, without a disk, to become of use. */
  created(): void {
    const { down, isDurable } = this.holding;
    if (isDurable) this.serve();
    const isMuch = down.rights > 2 * chunkOf(this.holding.rates.down.perMs);
    if (isMuch || !isDurable || this.waiting > 0) this.ask();
  }

  /** Ends: refuses all who wait, and resolves when nothing is under way. */
  async close(why: Error): Promise<void> {
    this.#isClosed = true;
    this.#giving?.cancel();
    for (const side of this.#sides) this.#lines[side].end(why);
    this.#wake?.();
    await this.#running;
  }

  /**
   * One last round of a retired holding: all that is left goes back. False if it cannot be told whether that
   * was done before, long ago.
   * @throws as of the backend
   */
  async finish(): Promise<boolean> {
    const isKnown = this.#steps.isKnown();
    const birth = await this.#at.birth();
    const { result } = await this.#at.updates.update(
      this.#resource,
      (current) => this.#steps.last(current, { birth, isKnown }),
      { waitMs: roundWaitMs, ttlMs: stepTtlMs },
    );
    return result;
  }

  // Rounds.

  #line(side: Side): Line {
    return new Line(this.#at.environment, {
      taken: () => this.#at.journal.written(),
      late: (by) => {
        const isHeard = this.#failure === undefined && by <= this.#reach[side];
        this.#at.tally.refusals[isHeard ? "affordable" : "unreachable"]++;
        return unavailable(this.holding, by, this.#holders, this.#failure);
      },
      left: () => this.#wake?.(),
    });
  }

  #ahead(): void {
    if (this.#isClosed || this.holding.stopped) return;
    if (this.#running || this.#at.environment.monotonic() - this.#emptyMs < emptyMs) return;
    this.#isAhead = true;
    this.ask();
  }

  async #run(): Promise<void> {
    // Whoever calls in this turn is in the first round too.
    await Promise.resolve();
    while (this.#hasToGoOn()) {
      this.#isAsked = false;
      const round = ++this.#round;
      try {
        await this.#refill(round);
        this.#failure = undefined;
      } catch (error) {
        this.#failed(error, round);
        if (this.waiting === 0) break;
      }
      if (this.waiting > 0 && !this.#isAsked) await this.#pause();
    }
    this.#isAhead = false;
    this.#running = undefined;
  }

  #hasToGoOn(): boolean {
    if (this.#isClosed || this.holding.stopped) return false;
    return this.#isAsked || this.waiting > 0 || this.#wants > 0;
  }

  /** A round, and the span of it. */
  #refill(round: number): Promise<void> {
    const { collection, key } = this.holding;
    const call: EscalatedCall = { operation: "refill", route: "escrow", collection, key };
    const waiting = this.#sides.flatMap((side) => this.#lines[side].traced);
    return this.#at.calls.runFor(waiting, "trellis.refill", call, async (span) => {
      const before = { granted: this.#granted, returned: this.#told.returned };
      await this.#perform(round);
      span.set({
        "trellis.rights.granted": this.#granted - before.granted,
        "trellis.rights.returned": this.#told.returned - before.returned,
      });
    });
  }

  /** Rights that it was ever granted. */
  get #granted(): number {
    return this.#sides.reduce((sum, side) => sum + (this.holding.account(side)?.granted ?? 0), 0);
  }

  async #perform(round: number): Promise<void> {
    const { environment, journal, updates } = this.#at;
    const { holding } = this;
    const startedMs = environment.monotonic();
    this.lastMs = startedMs;
    for (const side of this.#sides) this.#giveBack(side, round, startedMs);
    // A holder that only the pool knew would be settled by nobody after a crash.
    if (!holding.isRecorded) {
      if (!holding.isDirty) holding.touch();
      await journal.rest(holding);
    }
    // What the disk refuses is not told; the rest is.
    await journal.rest(holding).catch(() => undefined);
    const isKnown = this.#steps.isKnown();
    const birth = await this.#at.birth();
    let isTold = holding.kept;
    const { result } = await updates.update(
      this.#resource,
      (current) => {
        isTold = holding.kept;
        return this.#steps.next(current, { birth, isKnown }, this.#isAhead);
      },
      { waitMs: roundWaitMs, ttlMs: stepTtlMs },
    );
    const tookMs = environment.monotonic() - startedMs;
    this.#roundMs += roundWeight * (tookMs - this.#roundMs);
    const before = this.#told.returned;
    const returned = isTold.down.returned + isTold.up.returned;
    this.#told = { returned, spent: isTold.down.spent, created: isTold.down.created };
    this.#learn(result, round);
    if (returned > before) this.#at.given(holding.key, returned - before);
  }

  /** Takes out what others need more. It is on the disk before the pool is told. */
  #giveBack(side: Side, round: number, nowMs: number): void {
    const account = this.holding.account(side);
    if (!account || account.rights === 0 || this.holding.stopped) return;
    const rate = this.holding.rates[side];
    rate.observe(account.spent, nowMs);
    let keep = account.rights;
    if (account.rights > 2 * chunkOf(rate.perMs)) keep = chunkOf(rate.perMs);
    if (this.#isRecalled) keep = Math.min(keep, this.#recalls.keep(account.rights, rate, nowMs));
    // Those who wait here want more than is here: it may be enough for somebody, or with what others return.
    if (this.#lines[side].isOlderThan(round)) keep = 0;
    if (side === this.#sides.at(-1)) this.#isRecalled = false;
    if (keep >= account.rights) return;
    account.giveBack(account.rights - keep);
    if (!this.holding.isDirty) this.holding.touch();
  }

  #learn({ pool, entry, unrecorded: creations }: Round, round: number): void {
    const { environment } = this.#at;
    const { holding } = this;
    const { birth, lineage, revision } = pool;
    if (holding.seen === undefined && !holding.isDirty) holding.touch();
    holding.seen = { birth, lineage, revision };
    this.#at.onSeen?.(holding, pool);
    this.#learnUsable(entry);
    this.#wants = entry.down.wants + entry.up.wants;
    const nowMs = environment.monotonic();
    let isWanted = false;
    for (const side of this.#sides) {
      const account = holding.account(side) as Account;
      const line = this.#lines[side];
      const before = account.granted;
      account.learnGranted(entry[side].granted);
      if (account.granted > before && !holding.isDirty) holding.touch();
      line.serve();
      this.#judge(side, pool, creations[side], round);
      account.watch(lowOf(holding.rates[side].perMs, this.#roundMs, account.rights));
      if (account.granted === before) this.#emptyMs = nowMs;
      isWanted ||= wantedByOthers(pool, side, holding.holder, environment.now()) > 0;
      if (line.size > 0) this.#at.recall(holding.key);
      // More than is of use here: what was created goes to the pool.
      if (account.rights > 2 * chunkOf(holding.rates[side].perMs)) this.#isAsked = true;
    }
    if (this.waiting === 0) this.#pauses = 0;
    if (isWanted) this.#giveWhenWanted(nowMs);
  }

  /** Without a disk, what was created is of use once the pool has it. */
  #learnUsable({ down }: PoolEntry): void {
    const { holding } = this;
    if (holding.isDurable || holding.up || down.created <= holding.down.usable) return;
    holding.down.learnUsable(down.created);
    if (!holding.isDirty) holding.touch();
  }

  #judge(side: Side, pool: Pool, creations: number, round: number): void {
    const { holding } = this;
    const reach = reachOf(pool, side) + creations;
    const stranded = strandedOf(pool, side);
    const { refusals } = this.#at.tally;
    this.#holders = holdersIn(pool, side);
    this.#reach[side] = reach;
    this.stranded[side] = stranded;
    this.#lines[side].judge(round, (by) => {
      if (by > reach) {
        refusals.insufficient++;
        return insufficient(holding, by, reach);
      }
      if (by <= reach - stranded) return undefined;
      // Nobody lives who could give it up.
      refusals.affordable++;
      return unavailable(holding, by, this.#holders);
    });
  }

  /** The record says that somebody waits. */
  #giveWhenWanted(nowMs: number): void {
    const keeps = this.#sides.every((side) => {
      const account = this.holding.account(side);
      return (
        !account ||
        account.rights <= this.#recalls.keep(account.rights, this.holding.rates[side], nowMs)
      );
    });
    if (keeps) return;
    this.#recalls.heard(nowMs);
    this.#isRecalled = true;
    this.#isAsked = true;
  }

  #failed(error: unknown, round: number): void {
    this.#failure = error;
    if (error instanceof ClosedHere) this.#stop(fenced(this.holding));
    else if (error instanceof StoreRolledBackError) this.#stop(error);
    else if (error instanceof UsageError) {
      for (const side of this.#sides) this.#lines[side].end(error);
    } else for (const side of this.#sides) this.#lines[side].failed(round);
  }

  #stop(why: Error): void {
    this.holding.stop(why);
    for (const side of this.#sides) this.#lines[side].end(why);
    this.#at.onStopped(this.holding, why);
  }

  /** Until it makes sense to look again, or somebody wakes it. */
  #pause(): Promise<void> {
    const { environment } = this.#at;
    const longMs = Math.min(pauseMsMax, pauseMsMin * 2 ** Math.min(this.#pauses++, 10));
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#wake = undefined;
        timer.cancel();
        resolve();
      };
      const timer = environment.schedule(longMs * (0.5 + fraction(environment)), wake);
      this.#wake = wake;
    });
  }

  #hasRights(): boolean {
    return this.#sides.some((side) => (this.holding.account(side)?.rights ?? 0) > 0);
  }

  #hasUntold(): boolean {
    const { down, up } = this.holding.kept;
    const { returned, spent, created } = this.#told;
    return down.returned + up.returned > returned || down.spent > spent || down.created > created;
  }
}
