/**
 * Looks at the pools of counters that nobody uses here, now and then: others may wait for what lies here, or
 * for a word that nothing does, and there may be no link to tell. A few looks a tick, whatever there is.
 */
import { type Environment, fraction, type Timer } from "../../environment.ts";
import type { Contact } from "./contact.ts";

const everyMs = 2_000;
/** One is not looked at again before, in ms; one that is used asks by itself when it runs low. */
const idleMs = 1_500;
const busyMs = { alone: 3_000, linked: 20_000 };
const looksMax = 100;
/** Contacts that are passed over in one tick. */
const passedMax = 20_000;

/** The looks of one replica. */
export class IdleLooks {
  readonly #environment: Environment;
  readonly #contacts: Contact[] = [];
  readonly #isLinked: () => boolean;
  #next = 0;
  #timer: Timer | undefined;
  #isClosed = false;

  /** `isLinked`: peers can tell what they want. */
  constructor(environment: Environment, isLinked: () => boolean) {
    this.#isLinked = isLinked;
    this.#environment = environment;
  }

  add(contact: Contact): void {
    this.#contacts.push(contact);
    if (this.#timer === undefined && !this.#isClosed) this.#wait();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  #wait(): void {
    const delayMs = everyMs * (0.5 + fraction(this.#environment));
    this.#timer = this.#environment.schedule(delayMs, () => this.#look());
  }

  #look(): void {
    const nowMs = this.#environment.monotonic();
    const busy = this.#isLinked() ? busyMs.linked : busyMs.alone;
    const count = Math.min(this.#contacts.length, passedMax);
    for (let passed = 0, looks = 0; passed < count && looks < looksMax; passed++) {
      this.#next = (this.#next + 1) % this.#contacts.length;
      const contact = this.#contacts[this.#next];
      if (
        !contact?.isOfInterest ||
        nowMs - contact.lastMs < (contact.isIdle(nowMs) ? idleMs : busy)
      )
        continue;
      contact.ask();
      looks++;
    }
    this.#wait();
  }
}
