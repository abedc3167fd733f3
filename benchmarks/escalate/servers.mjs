/** The servers of the rows: each is started when the first row needs it, and all end together. */
import { backends, missing } from "../locks/backends.mjs";
import { Way } from "../locks/way.mjs";

/** Backends by name, and what runs of them. */
export class Servers {
  #plans;
  #started = new Map();

  static async load() {
    const servers = new Servers();
    servers.#plans = new Map((await backends()).map((plan) => [plan.name, plan]));
    return servers;
  }

  /** Why `names` cannot all be had here, or nothing. */
  async missing(names) {
    const reasons = await Promise.all(names.map((name) => missing(this.#plans.get(name))));
    return reasons.find((reason) => reason);
  }

  /** A way to one of them, with `delayMs` in each direction or straight. */
  async open(name, delayMs) {
    const plan = this.#plans.get(name);
    if (!this.#started.has(name)) this.#started.set(name, await plan.start());
    return Way.open(plan, this.#started.get(name).addresses, delayMs);
  }

  /** Versions and durability of all that were started. */
  async describe() {
    const texts = {};
    for (const [name, { addresses }] of this.#started) {
      texts[name] = await this.#plans.get(name).describe(addresses);
    }
    return texts;
  }

  async stop() {
    const all = [...this.#started.values()];
    this.#started.clear();
    await Promise.allSettled(all.map((started) => started.stop()));
  }
}
