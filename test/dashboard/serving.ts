/** A cluster whose first replica serves the dashboard. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type * as built from "../../src/http.ts";
import {
  boundedCounter,
  counter,
  fencedRegister,
  type ListenOptions,
  lwwRegister,
  openReplica,
  orSet,
  type Replica,
} from "../../src/index.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";

// The page's script is read from what is built, and with it all that serves it.
const path = join(process.cwd(), "dist/http.js");
const http = existsSync(path)
  ? ((await import(pathToFileURL(path).href)) as typeof built)
  : undefined;

export const schema = {
  likes: counter(),
  carts: orSet(),
  profile: lwwRegister(),
  stock: boundedCounter({ min: 0, initial: 10_000, weakFence: true }),
  coupon: fencedRegister({ weakFence: true }),
};

export type Shop = Replica<typeof schema>;

export const urlOf = ({ address }: Shop, protocol = "ws"): string =>
  `${protocol}://127.0.0.1:${address?.port}/`;

/** A replica that serves the dashboard and hosts the locks. */
export class Serving implements AsyncDisposable {
  readonly shop: Shop;
  readonly #service: built.HttpService;

  private constructor(shop: Shop, service: built.HttpService) {
    this.shop = shop;
    this.#service = service;
  }

  static async open(name: string, listen: Partial<ListenOptions> = {}): Promise<Serving> {
    if (http === undefined) throw new Error("dist/ is missing: run npm test, or npm run build");
    const shop = await openReplica({
      ...{ schema, name, locks: embeddedLocks({ host: true }), listen: { port: 0, ...listen } },
    });
    return new Serving(shop, http.serveHttp(shop, { page: http.dashboard, statusMs: 250 }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#service.close();
    await this.shop.close();
  }
}

/** A peer of it. */
export const openPeer = (name: string, url: string, token?: string): Promise<Shop> =>
  openReplica({ schema, name, peers: [token === undefined ? url : { url, token }] });
