/** A way to an authority on which requests and answers are late, lost and doubled, under a seed. */
import type { Authority } from "../../../src/escalate/fence/authority.ts";
import type { Random, VirtualEnvironment } from "../../simulation/virtual-environment.ts";

/** Probabilities of one message. */
export interface Weather {
  lost: number;
  doubled: number;
  /** Of a delay of seconds, not milliseconds. */
  late: number;
}

/** A fine day. */
export const calm: Weather = { lost: 0, doubled: 0, late: 0 };

/** Between one process and the store; both may stand still or die. */
export class Wire implements Authority {
  readonly #store: VirtualEnvironment;
  readonly #process: VirtualEnvironment;
  readonly #authority: Authority;
  readonly #random: Random;
  readonly #weather: Weather;
  readonly operate: NonNullable<Authority["operate"]>;

  constructor(
    ends: { readonly store: VirtualEnvironment; readonly process: VirtualEnvironment },
    authority: Authority,
    random: Random,
    weather: Weather,
  ) {
    this.#store = ends.store;
    this.#process = ends.process;
    this.#authority = authority;
    this.#random = random;
    this.#weather = weather;
    this.operate = (request) =>
      this.#pass(async () => {
        if (!authority.operate) throw new Error("this store does not operate");
        return authority.operate(request);
      }, 0);
  }

  readonly birth: Authority["birth"] = () => this.#pass(() => this.#authority.birth());
  readonly open: Authority["open"] = (request) => this.#pass(() => this.#authority.open(request));
  readonly turn: Authority["turn"] = (request) => this.#pass(() => this.#authority.turn(request));
  readonly cancel: Authority["cancel"] = (request) =>
    this.#pass(() => this.#authority.cancel(request));
  readonly renew: Authority["renew"] = (request) =>
    this.#pass(() => this.#authority.renew(request));
  readonly read: Authority["read"] = (request) => this.#pass(() => this.#authority.read(request));
  readonly commit: Authority["commit"] = (request) =>
    this.#pass(() => this.#authority.commit(request));
  // Not doubled: a transport must not. That they are asked again by the client is another thing.
  readonly compareAndSet: Authority["compareAndSet"] = (request) =>
    this.#pass(() => this.#authority.compareAndSet(request), 0);

  #pass<T>(ask: () => Promise<T>, doubled = this.#weather.doubled): Promise<T> {
    return new Promise((resolve, reject) => {
      const arrive = async (): Promise<void> => {
        const settle = await ask().then(
          (answer) => () => resolve(answer),
          (error: unknown) => () => reject(error),
        );
        this.#carry(this.#process, settle);
      };
      this.#carry(this.#store, () => void arrive());
      if (this.#random.chance(doubled)) {
        this.#carry(this.#store, () => void arrive());
      }
    });
  }

  #carry(to: VirtualEnvironment, deliver: () => void): void {
    if (this.#random.chance(this.#weather.lost)) return;
    const isLate = this.#random.chance(this.#weather.late);
    to.schedule(this.#random.next() * (isLate ? 3_000 : 15), deliver);
  }
}
