/**
 * The public keys of whoever issues tokens, from the URL where it publishes them (a JSON Web Key Set). Kept
 * for a while, asked for again when a token names a key that is not among them, and bounded: the issuer may be
 * down, slow or huge, and strangers decide which keys we are asked for.
 */
import { createLocalJWKSet, errors, type JSONWebKeySet, type LocalJWKSet } from "jose";
import type { CryptoKey, FlattenedJWSInput, JWSHeaderParameters } from "jose";
import type { Environment } from "../environment.ts";
import { UsageError } from "../errors.ts";

/** The bounds; durations in ms. */
export interface KeySetLimits {
  /** One request, its whole body included. Default 5,000. */
  readonly timeoutMs?: number;
  /** How long keys are used without asking again. Default 600,000. */
  readonly freshMs?: number;
  /** How long keys are still used while the issuer does not answer. Default 3,600,000. */
  readonly staleMsMax?: number;
  /** Between two requests, at least, whatever tokens come. Default 5,000. */
  readonly pauseMs?: number;
}

/** Bytes of an answer. */
export const keySetBytesMax: number = 256 * 1024;
/** Keys of an answer. */
const keysMax = 100;

const defaults: Required<KeySetLimits> = {
  timeoutMs: 5_000,
  freshMs: 600_000,
  staleMsMax: 3_600_000,
  pauseMs: 5_000,
};

/** There are no keys, and there is no asking for them now: who shows a token cannot be judged. */
export class KeysUnavailableError extends Error {}

interface Fetched {
  readonly find: LocalJWKSet;
  /** By the monotonic clock, in ms. */
  readonly atMs: number;
}

/** The keys at one URL. */
export class RemoteKeys {
  readonly #url: string;
  readonly #environment: Environment;
  readonly #limits: Required<KeySetLimits>;
  #fetched: Fetched | undefined;
  #askedMs = -Infinity;
  #failure: unknown;
  #pending: Promise<void> | undefined;

  /** @throws UsageError for a URL that is neither https nor http on loopback */
  constructor(url: string, environment: Environment, limits: KeySetLimits = {}) {
    checkUrl(url);
    this.#url = url;
    this.#environment = environment;
    this.#limits = { ...defaults, ...limits };
  }

  /** The key of one token. @throws KeysUnavailableError, and what jose throws when there is none of that name. */
  readonly find = async (
    header: JWSHeaderParameters,
    token: FlattenedJWSInput,
  ): Promise<CryptoKey> => {
    const keys = await this.#keys();
    try {
      return await keys.find(header, token);
    } catch (error) {
      // The issuer may have changed its keys since.
      if (!(error instanceof errors.JWKSNoMatchingKey) || !this.#mayAsk()) throw error;
      await this.#ask();
      const renewed = await this.#keys();
      if (renewed === keys) throw error;
      return await renewed.find(header, token);
    }
  };

  async #keys(): Promise<Fetched> {
    const ageMs = this.#ageMs();
    if (ageMs > this.#limits.freshMs && this.#mayAsk()) {
      const asked = this.#ask();
      // Nobody waits while the former keys may be used.
      if (ageMs > this.#limits.staleMsMax) await asked;
    } else if (this.#pending && ageMs > this.#limits.staleMsMax) {
      await this.#pending;
    }
    if (this.#fetched && this.#ageMs() <= this.#limits.staleMsMax) return this.#fetched;
    throw new KeysUnavailableError(`no keys from ${this.#url}`, { cause: this.#failure });
  }

  #ageMs(): number {
    return this.#fetched ? this.#environment.monotonic() - this.#fetched.atMs : Infinity;
  }

  #mayAsk(): boolean {
    if (this.#pending) return true;
    return this.#environment.monotonic() - this.#askedMs >= this.#limits.pauseMs;
  }

  /** One request at a time, which never rejects. */
  #ask(): Promise<void> {
    this.#pending ??= this.#fetch().finally(() => (this.#pending = undefined));
    return this.#pending;
  }

  async #fetch(): Promise<void> {
    this.#askedMs = this.#environment.monotonic();
    try {
      const find = createLocalJWKSet(await fetchKeySet(this.#url, this.#limits.timeoutMs));
      this.#fetched = { find, atMs: this.#environment.monotonic() };
      this.#failure = undefined;
    } catch (error) {
      this.#failure = error;
    }
  }
}

const loopback = new Set(["localhost", "127.0.0.1", "[::1]"]);

function checkUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSafe =
    url?.protocol === "https:" || (url?.protocol === "http:" && loopback.has(url.hostname));
  if (isSafe) return;
  throw new UsageError(
    `${JSON.stringify(text)} is no place for keys: an https URL, or http on loopback`,
  );
}

async function fetchKeySet(url: string, timeoutMs: number): Promise<JSONWebKeySet> {
  const signal = AbortSignal.timeout(timeoutMs);
  const headers = { accept: "application/json" };
  const response = await fetch(url, { signal, headers, redirect: "error" });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`it answered ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const body: AsyncIterable<Uint8Array> | undefined = response.body ?? undefined;
  if (body === undefined) throw new Error("it answered nothing");
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > keySetBytesMax) throw new Error(`its answer has more than ${keySetBytesMax} bytes`);
    chunks.push(chunk);
  }
  const parsed: unknown = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  if (!isKeySet(parsed)) throw new Error("its answer is no JSON Web Key Set");
  if (parsed.keys.length > keysMax) throw new Error(`its answer has more than ${keysMax} keys`);
  return parsed;
}

/** What is in the keys is for jose to judge. */
const isKeySet = (value: unknown): value is JSONWebKeySet =>
  typeof value === "object" && value !== null && "keys" in value && Array.isArray(value.keys);
