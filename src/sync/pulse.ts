/** Whether the other end is there: how long nothing was heard, and answers that are not given all the time. */
import { type Environment, fraction, type Timer } from "../environment.ts";

/** The shortest time between two pongs, in ms. */
const pongEveryMsMin = 50;

/** The heartbeat of one link. */
export class Pulse {
  readonly #environment: Environment;
  readonly #everyMs: number;
  readonly #beat: () => void;
  #timer: Timer | undefined;
  #isHeard = false;
  #silent = 0;
  #pongMs = Number.NEGATIVE_INFINITY;

  /** Calls `beat` about every `everyMs`, until it is stopped. */
  constructor(environment: Environment, everyMs: number, beat: () => void) {
    this.#environment = environment;
    this.#everyMs = everyMs;
    this.#beat = beat;
    this.#later();
  }

  /** A message came. */
  heard(): void {
    this.#isHeard = true;
    this.#silent = 0;
  }

  /** A beat is over, in which bytes moved or did not; returns how many in a row nothing did. */
  count(moved: boolean): number {
    if (!this.#isHeard && !moved) this.#silent++;
    this.#isHeard = false;
    return this.#silent;
  }

  /** A peer asks every few seconds; one that asks all the time is not answered all the time. */
  mayPong(): boolean {
    const nowMs = this.#environment.monotonic();
    if (nowMs - this.#pongMs < pongEveryMsMin) return false;
    this.#pongMs = nowMs;
    return true;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #later(): void {
    const delayMs = this.#everyMs * (0.8 + 0.4 * fraction(this.#environment));
    this.#timer = this.#environment.schedule(delayMs, () => {
      this.#later();
      this.#beat();
    });
  }
}
