/** Served replicas, and requests to them as clients make them. */
import { yDoc } from "../../src/bridge/yjs.ts";
import { fullGrant, type Grant, grantOf } from "../../src/access.ts";
import {
  boundedCounter,
  counter,
  fencedRegister,
  flag,
  lwwMap,
  lwwRegister,
  mvRegister,
  openReplica,
  orMap,
  orSet,
  rateWindow,
  type Replica,
  type ReplicaOptions,
  uniqueClaims,
} from "../../src/index.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import { type HttpOptions, type HttpService, serveHttp } from "../../src/http.ts";

/** One collection of each type. */
export const schema = {
  likes: counter(),
  tags: orSet<string | number | boolean | null>(),
  profile: lwwRegister(),
  draft: mvRegister(),
  prefs: lwwMap(),
  cart: orMap({
    qty: lwwRegister<number>(),
    notes: orSet(),
    gift: flag(),
    more: lwwMap(),
  }),
  live: flag(),
  stock: boundedCounter({ min: 0, weakFence: true }),
  coupon: fencedRegister({ weakFence: true }),
  username: uniqueClaims({ weakFence: true }),
  sessions: lwwMap({ expireAfterMs: 1_800_000 }),
  invites: lwwRegister({ expireAfterMs: Number.POSITIVE_INFINITY }),
  logins: rateWindow({ windowMs: 3_600_000, buckets: 12 }),
  notes: yDoc(),
};

/** Rights by bearer token: `full`, and those that a test names. */
export type Tokens = Readonly<Record<string, readonly string[]>>;

/** How to open a served replica. */
export interface ServedOptions extends HttpOptions {
  readonly replica?: Partial<ReplicaOptions<typeof schema>>;
  /** Absent: anybody may do anything. */
  readonly tokens?: Tokens;
}

/** An answer, read to its end. */
export interface Got {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Undefined if it is no JSON. */
  readonly json: unknown;
}

/** How to ask. */
export interface Asking {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string;
}

/** A replica behind HTTP. */
export class Served implements AsyncDisposable {
  readonly replica: Replica<typeof schema>;
  readonly service: HttpService;
  readonly url: string;

  constructor(replica: Replica<typeof schema>, service: HttpService) {
    this.replica = replica;
    this.service = service;
    this.url = `http://127.0.0.1:${replica.address?.port ?? 0}`;
  }

  /** Sends one request. */
  async ask(method: string, path: string, asking: Asking = {}): Promise<Got> {
    const { body, token, headers = {} } = asking;
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const type = response.headers.get("content-type") ?? "";
    const json: unknown = type.includes("json") && text !== "" ? JSON.parse(text) : undefined;
    return { status: response.status, headers: response.headers, text, json };
  }

  get(path: string, asking?: Asking): Promise<Got> {
    return this.ask("GET", path, asking);
  }

  post(path: string, body?: unknown, asking?: Asking): Promise<Got> {
    return this.ask("POST", path, { ...asking, ...(body !== undefined && { body }) });
  }

  put(path: string, value: unknown, asking?: Asking): Promise<Got> {
    return this.ask("PUT", path, { ...asking, body: { value } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.service.close();
    await this.replica.close();
  }
}

/** Opens one. */
export async function served({ replica, tokens, ...http }: ServedOptions = {}): Promise<Served> {
  const authenticate = tokens && {
    authenticate: ({ token = "" }: { readonly token?: string }): Grant | boolean => {
      if (token === "full") return { ...fullGrant, subject: "full" };
      const rights = tokens[token];
      return rights !== undefined && grantOf({ subject: token }, rights);
    },
  };
  const opened = await openReplica({
    schema,
    listen: { port: 0, ...authenticate },
    // One of a cluster guards for all: the one that dials nobody.
    locks: embeddedLocks({ host: replica?.peers === undefined }),
    ...replica,
  });
  // Machines that run tests are late for reasons of their own.
  return new Served(opened, serveHttp(opened, { lagMsMax: 60_000, ...http }));
}

/** Where a key is. */
export const at = (collection: string, key: string, more = ""): string =>
  `/v1/collections/${segment(collection)}/${segment(key)}${more}`;

/** A name in a path, as docs/http.md has it. */
export const segment = (name: string): string =>
  ["", ".", ".."].includes(name) ? `@${name}` : encodeURIComponent(name);
