/** One acquire of this client, from its first request to its end. */
import type { Environment, Timer } from "../../../environment.ts";
import { Call } from "../../fence/call.ts";
import { elapsedSince } from "../../fence/elapsed.ts";
import type { Predecessor, Waiter } from "./line.ts";
import type { Session } from "./sessions.ts";

/** What is known here of one nonce. */
export class Standing implements Waiter {
  readonly resource: string;
  readonly nonce: string;
  /** What its key lives under. */
  session: Session | undefined;
  /** The revision at which its key was created; 0 while that is not known. */
  created = 0n;
  predecessor: Predecessor | undefined;
  /** Requests for its key that are without an answer: they may be done late. */
  unanswered = 0;
  /** It is over: what comes late is of no use. */
  isOver = false;
  readonly call: Call = new Call();
  /** It was granted. */
  isHeld = false;
  readonly #environment: Environment;
  #leftMs: () => number = () => Number.POSITIVE_INFINITY;
  #end: Timer | undefined;

  constructor(environment: Environment, resource: string, nonce: string) {
    this.#environment = environment;
    this.resource = resource;
    this.nonce = nonce;
  }

  tell(): void {
    this.call.tell();
  }

  /** No renewal helps for longer than that from now. */
  holdFor(maxHoldMs: number): void {
    const heldMs = elapsedSince(this.#environment);
    this.#leftMs = () => maxHoldMs - heldMs();
  }

  /** Does so when `ttlMs` are over, unless it is called again. */
  endAfter(ttlMs: number, end: () => void): void {
    this.#end?.cancel();
    this.#end = this.#environment.schedule(Math.max(0, Math.min(ttlMs, this.#leftMs())), end);
  }

  over(): void {
    this.isOver = true;
    this.#end?.cancel();
    this.session?.leave(this);
    this.call.tell();
  }
}
