/**
 * Clients that go from replica to replica with a version in their hand, and clients that want their
 * writes on other replicas: what they were promised must hold the moment they are told so.
 */
import { ClosedError, StorageError, VersionLostError, WaitTimeoutError } from "../../src/errors.ts";
import { covers, type Vector, vectorText } from "./history.ts";
import type { Life } from "./life.ts";
import type { Sightings } from "./coverage.ts";
import type { Seams } from "./seams.ts";
import type { World } from "./virtual-environment.ts";

/** What clients need. */
export interface SessionsOptions {
  /** Every life there was, also those that are over. */
  readonly lives: readonly Life[];
  readonly world: World;
  readonly sightings: Sightings;
  readonly seams: Seams;
  readonly check: (life: Life) => void;
  /** Whether its disk may refuse to write. */
  readonly mayRefuse: (life: Life) => boolean;
  readonly fail: (error: unknown) => void;
}

/** A wait that has not ended. */
interface Pending {
  readonly at: Life;
  readonly endMs: number;
}

/** Clients of one run. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #pending = new Set<Pending>();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** Reads at `to` what was seen at `from`. */
  follow(from: Life, to: Life, timeoutMs: number): void {
    const token = from.replica.version();
    const { vector } = from;
    const begin = (): Promise<void> => to.replica.waitFor(token, { timeoutMs });
    this.#await(
      to,
      { timeoutMs, begin },
      {
        reached: () => {
          if (!covers(to.vector, vector)) this.#lacks(to, vector);
          this.#options.check(to);
        },
        isMet: () => covers(to.vector, vector),
      },
    );
  }

  /** Waits until others have what is held at `at`. */
  spread(at: Life, by: number | "majority" | "all", timeoutMs: number): void {
    const token = at.replica.version();
    const { vector } = at;
    const begin = (): Promise<void> => at.replica.acknowledged(token, { by, timeoutMs });
    this.#await(
      at,
      { timeoutMs, begin },
      {
        reached: () => {
          const others = this.#holders(at, vector);
          const needed = typeof by === "number" ? by : this.#needed(at, by);
          if (others >= needed) return;
          throw new Error(`${at.name} says that ${by} have it, but ${others} other replicas do`);
        },
        // Whether too few had said so, nobody else can tell.
        isMet: () => false,
      },
    );
  }

  /** Waits until what is held at `at` is on its disk; `kept` is told what that is. */
  keep(at: Life, timeoutMs: number, kept: (vector: Vector) => void): void {
    const token = at.replica.version();
    const { vector } = at;
    const begin = async (): Promise<void> => {
      try {
        await at.replica.acknowledged(token, { by: "durable", timeoutMs });
        this.#options.sightings.saw("durable waits");
        kept(vector);
      } catch (error) {
        if (!(error instanceof StorageError) || !this.#options.mayRefuse(at)) throw error;
      }
    };
    const told = { reached: () => undefined, isMet: () => false };
    this.#await(at, { timeoutMs, begin }, told);
  }

  #holders(at: Life, vector: Vector): number {
    const holders = this.#options.lives.filter(
      (life) => life !== at && covers(life.vector, vector),
    );
    return holders.length;
  }

  #needed(at: Life, by: "majority" | "all"): number {
    if (!at.isRunning) return 0;
    const { members } = at.replica.status();
    return by === "all" ? members - 1 : Math.floor(members / 2);
  }

  /** Only of a writer that is no more, and only while it is not here, may anybody say so. */
  #lost(at: Life, { actor, sequence }: VersionLostError): void {
    this.#options.sightings.saw("lost versions");
    const writer = this.#options.lives.find(({ keyspace }) => keyspace.actor === actor);
    const isOver = writer === undefined || writer.state === "closing" || writer.state === "over";
    const isHere = (at.vector.get(actor) ?? 0) >= sequence;
    if (isOver && !isHere) return;
    const why = isHere ? "it is here" : `${writer?.name} still writes`;
    throw new Error(`${at.name} says that batch ${sequence} of ${actor} is lost, but ${why}`);
  }

  #lacks(life: Life, vector: Vector): never {
    const texts = `${vectorText(life.vector)} does not cover ${vectorText(vector)}`;
    throw new Error(`${life.name} was waited for in vain: ${texts}`);
  }

  /** No wait goes on past its end. Only who stands still, or is gone, may be late. */
  checkEnds(): void {
    const { world } = this.#options;
    for (const pending of this.#pending) {
      const { at, endMs } = pending;
      if (!at.isRunning) this.#pending.delete(pending);
      else if (world.nowMs > endMs) {
        throw new Error(`${at.name} still waits, ${world.nowMs - endMs} ms after the end of it`);
      }
    }
  }

  #await(
    at: Life,
    wait: { readonly timeoutMs: number; readonly begin: () => Promise<void> },
    told: { readonly reached: () => void; readonly isMet: () => boolean },
  ): void {
    const { seams, world, fail } = this.#options;
    const pending = { at, endMs: world.nowMs + wait.timeoutMs };
    this.#pending.add(pending);
    const begun = seams.waited ? seams.waited(wait.begin) : wait.begin();
    this.#ended(at, begun, told)
      .finally(() => this.#pending.delete(pending))
      .catch(fail);
  }

  async #ended(
    at: Life,
    wait: Promise<void>,
    told: { readonly reached: () => void; readonly isMet: () => boolean },
  ): Promise<void> {
    const { pauses } = at;
    try {
      await wait;
    } catch (error) {
      if (error instanceof ClosedError && !at.isRunning) return;
      if (error instanceof VersionLostError) return this.#lost(at, error);
      if (!(error instanceof WaitTimeoutError)) throw error;
      this.#options.sightings.saw("late waits");
      // Who stood still has all that was due meanwhile in one turn: first the end, then the rest.
      if (told.isMet() && at.pauses === pauses) {
        throw new Error(`${at.name} gave up what it had`, { cause: error });
      }
      return;
    }
    told.reached();
  }
}
