/** A way to an authority that a test can break. */
import type { Authority } from "../../src/escalate/fence/authority.ts";

/** What happens to requests and answers. */
export type Fault = "none" | "lose-replies" | "hang" | "crash";

const never = (): Promise<never> => new Promise(() => undefined);

/** Passes requests on, unless something is wrong. */
export class UnreliableAuthority implements Authority {
  fault: Fault = "none";
  delayMs = 0;
  requests = 0;
  readonly #authority: Authority;
  readonly operate?: NonNullable<Authority["operate"]>;

  constructor(authority: Authority) {
    this.#authority = authority;
    const operate = authority.operate?.bind(authority);
    if (operate) this.operate = (request) => this.#pass(() => operate(request));
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
  readonly compareAndSet: Authority["compareAndSet"] = (request) =>
    this.#pass(() => this.#authority.compareAndSet(request));

  async #pass<T>(ask: () => Promise<T>): Promise<T> {
    this.requests++;
    if (this.fault === "hang" || this.fault === "crash") return never();
    const answer = await ask();
    if (this.fault !== "none") return never();
    if (this.delayMs > 0) {
      await new Promise((resolve) => {
        setTimeout(resolve, this.delayMs);
      });
    }
    return answer;
  }
}
