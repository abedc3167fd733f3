/** How clients get to the servers: straight, or through a proxy each that counts and delays. */
import { built } from "./build.mjs";

let prefixes = 0;

/** One way to one backend's servers, with what was opened on it. */
export class Way {
  #backend;
  #addresses;
  #proxies = [];
  #opened = [];

  constructor(backend, addresses) {
    this.#backend = backend;
    this.#addresses = addresses;
  }

  /** With proxies that delay each direction by `delayMs`, or without any. */
  static async open(backend, addresses, delayMs) {
    const way = new Way(backend, addresses);
    if (delayMs !== undefined && backend.name !== "memory") {
      const { Proxy } = await built("src/cli/servers/proxy");
      way.#proxies = await Promise.all(addresses.map((address) => Proxy.start(address)));
      way.#addresses = addresses.map((address, i) => way.#proxies[i].through(address));
      for (const { requests, replies } of way.#proxies)
        requests.delayMs = replies.delayMs = delayMs;
    }
    return way;
  }

  /** Where the servers, or the proxies before them, are. */
  get addresses() {
    return this.#addresses;
  }

  /** Our locks. */
  async locks(prefix = freshPrefix()) {
    const locks = await this.#backend.connect(this.#addresses, { prefix });
    this.#opened.push(() => locks[Symbol.asyncDispose]());
    return locks;
  }

  /** The bare client; undefined where there is none. */
  async bare() {
    const bare = await this.#backend.bare?.(this.#addresses);
    if (bare) this.#opened.push(() => bare.close());
    return bare;
  }

  /** What each server was asked so far, in bursts: round trips, and what waits for its answer. */
  get asked() {
    return this.#proxies.map(
      ({ traffic, askingConnections }) => traffic.roundTrips + askingConnections,
    );
  }

  async close() {
    for (const close of this.#opened.splice(0).reverse()) await close();
    await Promise.all(this.#proxies.map((proxy) => proxy.close()));
  }
}

/** What nobody else uses. */
export const freshPrefix = () => `bench-${process.pid}-${prefixes++}/`;

/**
 * Round trips between two looks: to the server that had most of them, where several are asked at once.
 * A question that waited in the server before is none: its answer comes like word that nobody asked for.
 */
export const tripsBetween = (before, after) =>
  Math.max(0, ...after.map((count, i) => count - before[i]));
