/**
 * What earlier openings of this directory left in it. Every opening is a new holder; an earlier one never
 * spends again. Was it closed, or is it certain that the directory is the newest there ever was and that
 * nobody else spends from it, then all that it had left goes back to the pool. If that is not certain its
 * rights are held: shown, and spent by nobody, until an operator answers for it.
 *
 * The disk says first that a holder is retired, then the pool closes it, for ever. So it is one step, which
 * may be repeated, by whomever.
 */
import { type Environment, fraction } from "../../environment.ts";
import { ClosedError, StoreRolledBackError, UsageError } from "../../errors.ts";
import type { Contact } from "./contact.ts";
import type { Holding } from "./holding.ts";
import type { KeyedChanges } from "./keyed.ts";
import type { RightsJournal } from "./rights-journal.ts";

/** One that is to be settled. */
export interface Former {
  readonly holding: Holding;
  readonly contact: Contact;
  /** Its collection shows that it is closed. */
  readonly onClosed: () => void;
}

/** What settling needs. */
export interface FormerHoldersOptions {
  readonly environment: Environment;
  readonly journal: RightsJournal;
  readonly keyed: KeyedChanges;
  /** Somebody should see to this. */
  readonly onWarning: (message: string) => void;
}

/** Settled at the same time. */
const atOnceMax = 16;
/** Between two attempts, in ms. */
const againMsMin = 100;
const againMsMax = 30_000;

/** The former holders of one directory. */
export class FormerHolders {
  readonly #options: FormerHoldersOptions;
  readonly #left = new Set<Former>();
  #queue: Former[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #waits = new Set<() => void>();
  #isClosed = false;

  constructor(options: FormerHoldersOptions) {
    this.#options = options;
  }

  /** Those that are not settled. */
  get left(): Iterable<Former> {
    return this.#left;
  }

  /** Takes it in; one that is retired is settled, in time. */
  add(former: Former): void {
    this.#left.add(former);
    if (former.holding.state !== "retired") return;
    this.#queue.push(former);
    this.#more();
  }

  /** Settles no more; what is under way is waited for. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#queue = [];
    for (const wake of this.#waits) wake();
    await Promise.all(this.#running);
  }

  #more(): void {
    while (this.#running.size < atOnceMax && !this.#isClosed) {
      const former = this.#queue.pop();
      if (!former) return;
      const running = this.#settle(former).finally(() => {
        this.#running.delete(running);
        this.#more();
      });
      this.#running.add(running);
    }
  }

  async #settle(former: Former): Promise<void> {
    for (let attempt = 0; !this.#isClosed; attempt++) {
      try {
        await this.#attempt(former);
        return;
      } catch (error) {
        if (error instanceof StoreRolledBackError || error instanceof UsageError) {
          this.#options.onWarning(error.message);
          return;
        }
        if (error instanceof ClosedError) return;
        await this.#sleep(Math.min(againMsMax, againMsMin * 2 ** Math.min(attempt, 10)));
      }
    }
  }

  async #attempt(former: Former): Promise<void> {
    const { journal, keyed, onWarning } = this.#options;
    const { holding, contact } = former;
    for (const pending of holding.pending.values()) await keyed.resolve(holding, pending);
    // That it is retired, and what came of its pending changes, is on the disk before the pool is told.
    await journal.written();
    await journal.rest(holding);
    if (await contact.finish()) {
      former.onClosed();
      journal.forget(holding);
      this.#left.delete(former);
      return;
    }
    holding.state = "held";
    holding.touch();
    onWarning(
      `whether the rights of ${JSON.stringify(holding.key)} of ${JSON.stringify(holding.collection)} were ` +
        `returned by holder ${holding.holder} cannot be told any more; they are held`,
    );
  }

  #sleep(ms: number): Promise<void> {
    const { environment } = this.#options;
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waits.delete(wake);
        timer.cancel();
        resolve();
      };
      const timer = environment.schedule(ms * (0.5 + fraction(environment)), wake);
      this.#waits.add(wake);
    });
  }
}
