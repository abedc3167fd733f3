/**
 * The network of one cell: between each node and each server, and between every two nodes, stands a proxy that delays
 * and counts. Without it, where no round trip is asked for and nothing is to be counted, connections are direct.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createServer } from "node:net";
import { connect } from "node:net";
import { Proxy } from "../servers/proxy.ts";
import { monotonicMs } from "./monotonic.ts";

/** What went over it so far. */
export interface NetworkTraffic {
  readonly roundTrips: number;
  readonly bytes: number;
}

/** Proxies, by the node whose they are. */
export class Network implements AsyncDisposable {
  readonly #roundTripMs: number;
  readonly #links: { readonly nodes: readonly number[]; readonly proxy: Proxy }[] = [];

  constructor(roundTripMs: number) {
    this.#roundTripMs = roundTripMs;
  }

  /** `url` as `node` reaches it; `other` is the node that it belongs to, if it is one's. */
  async link(url: string, node: number, other?: number): Promise<string> {
    const proxy = await Proxy.start(url);
    delay(proxy, this.#roundTripMs);
    this.#links.push({ nodes: other === undefined ? [node] : [node, other], proxy });
    return proxy.through(url);
  }

  /** The sum of all. */
  get traffic(): NetworkTraffic {
    const all = this.#links.map(({ proxy }) => proxy.traffic);
    return {
      roundTrips: all.reduce((sum, each) => sum + each.roundTrips, 0),
      bytes: all.reduce((sum, each) => sum + each.requestBytes + each.replyBytes, 0),
    };
  }

  /** From now on nothing that `node` sends arrives, and nothing reaches it. */
  cut(node: number): void {
    for (const { proxy } of this.#of(node)) proxy.requests.fate = proxy.replies.fate = "lose";
  }

  /** Connections of the node work again; those that lost something are reset, as they would be in the end. */
  heal(node: number): void {
    for (const { proxy } of this.#of(node)) {
      proxy.requests.fate = proxy.replies.fate = "pass";
      proxy.cut("reset");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#links.map(async ({ proxy }) => await proxy.close()));
  }

  #of(node: number): readonly { readonly proxy: Proxy }[] {
    return this.#links.filter(({ nodes }) => nodes.includes(node));
  }
}

/**
 * A timer is late by up to 1 ms: what is shorter than that is put on one way only, since it would be doubled
 * otherwise. What it comes to is measured, and stands in the results.
 */
function delay({ requests, replies }: Proxy, roundTripMs: number): void {
  const isShort = roundTripMs < 4;
  requests.delayMs = isShort ? 0 : roundTripMs / 2;
  replies.delayMs = isShort ? roundTripMs : roundTripMs / 2;
}

const echoes = 15;
const echoEveryMs = 3;

/** The median time that an echo takes over such a network, in ms. */
export async function measureRoundTrip(roundTripMs: number): Promise<number> {
  const server = createServer((socket) => socket.on("error", () => undefined).pipe(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await using network = new Network(roundTripMs);
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port was given");
  const { hostname, port } = new URL(await network.link(`tcp://127.0.0.1:${address.port}`, 0));
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  const took: number[] = [];
  for (let echo = 0; echo < echoes; echo++) {
    const startMs = monotonicMs();
    const heard = new Promise((resolve) => socket.once("data", resolve));
    socket.write("?");
    await heard;
    took.push(monotonicMs() - startMs);
    await sleep(echoEveryMs);
  }
  socket.destroy();
  server.close();
  return took.toSorted((left, right) => left - right)[echoes >> 1] ?? 0;
}
