/**
 * The leases of etcd that keys of this client live under. Why not one for each lock? It would cost two
 * more round trips each, and who waits in line would have to renew each. So all locks of about the same
 * time to live share one. It is granted for half as long again, so that a lock can be taken without
 * renewing it first; it is renewed by itself only while somebody stands in line, never for who holds:
 * what a holder does not renew is removed by its own timer, or runs out with the session.
 */
import type { Environment, Timer } from "../../../environment.ts";
import { LockUnavailableError } from "../../../errors.ts";
import { elapsedSince } from "../../fence/elapsed.ts";
import { type Gateway, isRefusal } from "./gateway.ts";
import { field, integer } from "./wire.ts";

/** What is granted beyond the time to live of its locks. */
const spare = 1.5;
/** The least that etcd grants, in seconds. */
const secondsMin = 2;
/** Renewed so often within its time while somebody waits: what is left is always enough for a lock. */
const beatsPerTtl = 4;

/** One lease of etcd. */
export class Session {
  /** As etcd names it. */
  readonly id: string;
  readonly #gateway: Gateway;
  readonly #environment: Environment;
  readonly #ttlMs: number;
  /** Ms since before the last renewal that succeeded was sent. */
  #elapsedMs: () => number;
  readonly #waiting = new Set<{ tell(): void }>();
  #beat: Timer | undefined;
  #renewing: Promise<boolean> | undefined;
  #isOver = false;
  /** Must be removed before this lives on: no lock outlives its time because others wait. */
  readonly #overdue = new Set<() => Promise<void>>();

  constructor(
    gateway: Gateway,
    environment: Environment,
    granted: { readonly id: string; readonly ttlMs: number; readonly elapsedMs: () => number },
  ) {
    this.#gateway = gateway;
    this.#environment = environment;
    this.id = granted.id;
    this.#ttlMs = granted.ttlMs;
    this.#elapsedMs = granted.elapsedMs;
  }

  /** Nothing lives under it any more, or soon nothing will. */
  get isOver(): boolean {
    return this.#isOver || this.#leftMs <= 0;
  }

  /** Its clock may run faster than ours, by 1 %. */
  get #leftMs(): number {
    return this.#ttlMs * 0.99 - this.#elapsedMs();
  }

  /** Renews it unless so much is left. False when it is over. */
  async lives(forMs: number): Promise<boolean> {
    if (this.isOver) return false;
    if (this.#leftMs >= forMs) return true;
    return await this.#renew();
  }

  /** Renews it by itself for as long as somebody stands in line. */
  wait(waiter: { tell(): void }): void {
    this.#waiting.add(waiter);
    this.#arm();
  }

  /** Stands in line no more. */
  leave(waiter: { tell(): void }): void {
    this.#waiting.delete(waiter);
    if (this.#waiting.size > 0) return;
    this.#beat?.cancel();
    this.#beat = undefined;
  }

  /** `remove` must succeed before this session is renewed again. */
  async mustRemove(remove: () => Promise<void>): Promise<void> {
    this.#overdue.add(remove);
    await remove();
    this.#overdue.delete(remove);
  }

  /** Nothing is done under it any more; who waits under it must ask again. */
  end(): void {
    this.#isOver = true;
    this.#beat?.cancel();
    for (const waiter of this.#waiting) waiter.tell();
    this.#waiting.clear();
  }

  /** Ends it at etcd too, with all that lives under it. */
  async revoke(): Promise<void> {
    const wasOver = this.isOver;
    this.end();
    if (!wasOver) await this.#gateway.ask("/v3/lease/revoke", { ID: this.id });
  }

  #arm(): void {
    if (this.#beat || this.#waiting.size === 0) return;
    this.#beat = this.#environment.schedule(this.#ttlMs / beatsPerTtl, () => {
      const again = (): void => {
        this.#beat = undefined;
        if (this.isOver) this.end();
        else this.#arm();
      };
      // What fails now is tried again, until the session is over.
      void this.#renew().then(again, again);
    });
  }

  #renew(): Promise<boolean> {
    this.#renewing ??= this.#keepAlive().finally(() => (this.#renewing = undefined));
    return this.#renewing;
  }

  async #keepAlive(): Promise<boolean> {
    await Promise.all([...this.#overdue].map((remove) => this.mustRemove(remove)));
    const elapsedMs = elapsedSince(this.#environment);
    const answer = await this.#gateway.ask("/v3/lease/keepalive", { ID: this.id });
    if (isRefusal(answer)) throw new LockUnavailableError(answer.refused, { backend: "etcd" });
    if (integer(field(field(answer, "result"), "TTL")) <= 0n) this.end();
    else this.#elapsedMs = elapsedMs;
    return !this.isOver;
  }
}

/** The sessions of one client. */
export class Sessions {
  readonly #gateway: Gateway;
  readonly #environment: Environment;
  /** By seconds. */
  readonly #sessions = new Map<number, Promise<Session>>();

  constructor(gateway: Gateway, environment: Environment) {
    this.#gateway = gateway;
    this.#environment = environment;
  }

  /** One that lives for at least so long from now on. */
  async living(forMs: number): Promise<Session> {
    const seconds = secondsFor(forMs);
    for (;;) {
      const known = this.#sessions.get(seconds);
      if (known) {
        const session = await known.catch(() => undefined);
        if (session && (await session.lives(forMs))) return session;
        session?.end();
        if (this.#sessions.get(seconds) !== known) continue;
      }
      const granting = this.#grant(seconds);
      this.#sessions.set(seconds, granting);
      return await granting;
    }
  }

  /** Ends all of them, as far as etcd answers. */
  async close(): Promise<void> {
    const ending = [...this.#sessions.values()].map(async (session) => (await session).revoke());
    await Promise.allSettled(ending);
  }

  async #grant(seconds: number): Promise<Session> {
    const elapsedMs = elapsedSince(this.#environment);
    const answer = await this.#gateway.ask("/v3/lease/grant", { TTL: seconds.toString() });
    if (isRefusal(answer)) throw new LockUnavailableError(answer.refused, { backend: "etcd" });
    const ttlMs = Number(integer(field(answer, "TTL"))) * 1_000;
    return new Session(this.#gateway, this.#environment, {
      ...{ id: String(field(answer, "ID")), ttlMs, elapsedMs },
    });
  }
}

/** Two digits of the binary number are enough: locks of about the same time share a session. */
function secondsFor(ttlMs: number): number {
  const seconds = Math.max(secondsMin, Math.ceil((ttlMs * spare) / 1_000));
  const grain = 2 ** Math.max(0, Math.floor(Math.log2(seconds)) - 1);
  return Math.ceil(seconds / grain) * grain;
}
