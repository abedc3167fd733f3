/**
 * A lock backend on top of an authority. What is the outcome of a request whose answer does not come?
 * Unknown, and three rules follow. Every request can be asked again: the nonce makes an acquire the same
 * acquire, the operation id makes a write the same write. Only an answer makes an outcome sure: while
 * none came, an acquire is "may be held" and is called off behind the caller's back, and a write is asked
 * again a few times, then "unknown". And nobody waits longer than for the deadline of a request.
 */
import type { Environment } from "../../environment.ts";
import { ClosedError, LockTimeoutError, UsageError } from "../../errors.ts";
import type {
  AcquireOptions,
  Guarded,
  Lease,
  LockBackend,
  LockGuarantees,
  Operated,
  Operation,
  ReadOptions,
  Section,
} from "../locks.ts";
import {
  checkAcquire,
  checkOperation,
  checkOperationId,
  checkResource,
  checkSections,
  copyGuarded,
  plainBytes,
} from "./arguments.ts";
import { Asking } from "./asking.ts";
import type {
  Authority,
  CommitPart,
  OpenReply,
  OpenRequest,
  Present,
  Reborn,
} from "./authority.ts";
import { elapsedSince } from "./elapsed.ts";
import { emptyValue } from "./guard.ts";
import { type Grantor, HeldLease } from "./held-lease.ts";
import { LatestVersions } from "./latest-versions.ts";
import { Verdicts } from "./verdicts.ts";

/** What a client is made of. */
export interface AuthorityClientOptions {
  readonly name: string;
  readonly guarantees: LockGuarantees;
  readonly authority: Authority;
  readonly environment: Environment;
  /** Before every resource, so that what is stored is told from what others store. */
  readonly prefix: string;
  /** How long one answer may take, in ms. */
  readonly answerMs: number;
  /** Runs once, when everything of this client is at rest. */
  readonly disconnect?: () => Promise<void>;
}

/** One acquire, from its first request to its lease. */
interface Acquiring {
  readonly resource: string;
  readonly options: AcquireOptions;
  readonly nonce: string;
  readonly waitedMs: () => number;
  /** Requests in a row without an answer. */
  failures: number;
  /** The store may have it in line, or have granted it. */
  mayBeKnown: boolean;
}

const nonceBytes = 16;
/** After requests without an answer, before the next, in ms. */
const pauseMsMax = 1_000;

/** The client side of every backend that can be written as an authority. */
export class AuthorityClient implements LockBackend, Grantor {
  readonly name: string;
  readonly guarantees: LockGuarantees;
  readonly environment: Environment;
  /** Only if the authority can. */
  readonly operate?: NonNullable<LockBackend["operate"]>;
  readonly #authority: Authority;
  readonly #prefix: string;
  readonly #asking: Asking;
  readonly #verdicts: Verdicts;
  readonly #disconnect: () => Promise<void>;
  readonly #leases = new Set<HeldLease>();
  readonly #versions = new LatestVersions();
  #birth: string | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: AuthorityClientOptions) {
    const { authority } = options;
    this.name = options.name;
    this.guarantees = options.guarantees;
    this.environment = options.environment;
    this.#authority = authority;
    this.#prefix = options.prefix;
    this.#disconnect = options.disconnect ?? (async () => undefined);
    this.#asking = new Asking(options.environment, options.answerMs);
    this.#verdicts = new Verdicts(options.name);
    if (authority.operate) {
      const ask = authority.operate.bind(authority);
      this.operate = (...call) => this.#operate(ask, ...call);
    }
  }

  async birth({ signal }: ReadOptions = {}): Promise<string> {
    this.#checkOpen();
    const answer = await this.#asking.repeatedly(() => this.#authority.birth(), { signal });
    const birth = this.#verdicts.answered(answer);
    this.#birth ??= birth;
    if (birth !== this.#birth) throw this.#verdicts.reborn(this.#birth, birth);
    return birth;
  }

  async acquire(resource: string, options: AcquireOptions): Promise<Lease> {
    checkAcquire(options);
    checkResource(resource);
    this.#checkOpen();
    options.signal?.throwIfAborted();
    if (this.#birth === undefined) await this.#meet(options.signal);
    const acquiring: Acquiring = {
      resource,
      options,
      nonce: this.#nonce(),
      waitedMs: elapsedSince(this.environment),
      failures: 0,
      mayBeKnown: true,
    };
    try {
      for (;;) {
        const lease = await this.#open(acquiring);
        if (lease) return lease;
      }
    } catch (error) {
      throw await this.#callOff(acquiring, error);
    }
  }

  async read(resource: string, { signal }: ReadOptions = {}): Promise<Guarded | undefined> {
    checkResource(resource);
    this.#checkOpen();
    if (this.#birth === undefined) await this.#meet(signal);
    const request = { birth: this.#birth, resource: this.#prefix + resource };
    const answer = await this.#asking.repeatedly(() => this.#authority.read(request), { signal });
    const reply = this.#sameBirth(this.#verdicts.answered(answer, resource));
    return this.#seen(resource, reply.present);
  }

  async commit(sections: readonly Section[], operationId: string): Promise<readonly Guarded[]> {
    checkOperationId(operationId);
    checkSections(sections);
    this.#checkOpen();
    const held = sections.map(({ lease, value }) => {
      return { lease: this.#own(lease), value: value ? copyGuarded(value) : undefined };
    });
    const parts = held.map(({ lease, value }): CommitPart => {
      const { fence, version } = lease;
      const name = this.#prefix + lease.resource;
      return value ? { resource: name, fence, version, value } : { resource: name, fence, version };
    });
    const request = { birth: this.#birth, parts, operationId };
    const answer = await this.#asking.repeatedly(() => this.#authority.commit(request));
    const { resource } = held[0]?.lease ?? { resource: "" };
    const reply = this.#sameBirth(this.#verdicts.resolved(answer, resource, operationId));
    if (reply.kind !== "committed") {
      const { lease } = held[reply.index] ?? held[0] ?? {};
      throw this.#verdicts.refused(reply, {
        ...{ resource: lease?.resource ?? resource, token: lease?.token ?? 0n },
        ...{ operationId, isFirst: answer.kind === "answer" && answer.isFirst },
      });
    }
    return held.map(({ lease, value }, i) => {
      const version = reply.versions[i] ?? lease.version;
      if (value) lease.wrote(value, version);
      const { resource: name, token } = lease;
      return this.#guarded(name, { value: value ?? lease.value, version, token });
    });
  }

  async compareAndSet(
    resource: string,
    expectedVersion: bigint | undefined,
    value: Uint8Array,
    operationId: string,
  ): Promise<Guarded> {
    checkResource(resource);
    checkOperationId(operationId);
    const copy = copyGuarded(value);
    this.#checkOpen();
    if (this.#birth === undefined) await this.#meet();
    const request = {
      birth: this.#birth,
      resource: this.#prefix + resource,
      expected: expectedVersion ?? 0n,
      value: copy,
      operationId,
    };
    const answer = await this.#asking.repeatedly(() => this.#authority.compareAndSet(request));
    const reply = this.#sameBirth(this.#verdicts.resolved(answer, resource, operationId));
    if (reply.kind !== "written") {
      const isFirst = answer.kind === "answer" && answer.isFirst;
      const current = reply.present && this.#seen(resource, reply.present);
      throw this.#verdicts.refused(reply, { resource, operationId, isFirst, current });
    }
    return this.#guarded(resource, { value: copy, version: reply.version, token: reply.token });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  // For leases.

  async prolong({ resource, fence, ttlMs }: HeldLease): Promise<boolean> {
    const request = { birth: this.#birth, resource: this.#prefix + resource, fence, ttlMs };
    const answer = await this.#asking.once(() => this.#authority.renew(request));
    return this.#verdicts.answered(answer, resource);
  }

  async giveBack({ resource, fence }: HeldLease): Promise<void> {
    const request = { birth: this.#birth, resource: this.#prefix + resource, nonce: fence.nonce };
    const answer = await this.#asking.repeatedly(() => this.#authority.cancel(request));
    this.#verdicts.answered(answer, resource);
  }

  ended(lease: HeldLease): void {
    this.#leases.delete(lease);
  }

  // An acquire, step by step.

  /** Asks to be the holder, and waits until it makes sense to ask again if it is not. */
  async #open(acquiring: Acquiring): Promise<HeldLease | undefined> {
    const { resource, options, waitedMs } = acquiring;
    const { signal, waitMs } = options;
    const elapsedMs = elapsedSince(this.environment);
    const request = this.#openRequest(acquiring);
    const asking = { signal, endable: true };
    const answer = await this.#asking.once(() => this.#authority.open(request), asking);
    acquiring.failures = answer.kind === "answer" ? 0 : acquiring.failures + 1;
    const reply = answer.kind === "answer" ? this.#sameBirth(answer.answer) : undefined;
    if (reply?.kind === "full") throw this.#verdicts.lineFull(resource);
    if (reply?.kind === "opened") {
      const lease = this.#lease(acquiring, reply, elapsedMs);
      if (lease) return lease;
    }
    acquiring.mayBeKnown = reply?.kind !== "held" || reply.place >= 0;
    if (waitedMs() < waitMs)
      await this.#untilTurn(acquiring, reply?.kind === "held" ? reply.leftMs : 0);
    if (waitedMs() < waitMs) return undefined;
    throw answer.kind === "unsent"
      ? this.#verdicts.maybeHeld(resource, answer.cause)
      : this.#verdicts.timeout(resource, waitMs);
  }

  #openRequest({ resource, nonce, options, waitedMs }: Acquiring): OpenRequest {
    const { ttlMs, maxHoldMs, waitMs } = options;
    const request = {
      birth: this.#birth,
      resource: this.#prefix + resource,
      nonce,
      ttlMs,
      waitMs: Math.max(0, waitMs - waitedMs()),
    };
    return maxHoldMs === undefined ? request : { ...request, maxHoldMs };
  }

  /** The lease that was granted, unless its time went by on the way. */
  #lease(
    { resource, nonce, options }: Acquiring,
    { token, present }: Extract<OpenReply, { kind: "opened" }>,
    elapsedMs: () => number,
  ): HeldLease | undefined {
    const { ttlMs, maxHoldMs = Number.POSITIVE_INFINITY } = options;
    const lease = new HeldLease(this, {
      resource,
      fence: { token, nonce },
      current: this.#seen(resource, present),
      ttlMs,
      maxHoldMs,
      elapsedMs,
    });
    if (lease.isLost) return undefined;
    this.#leases.add(lease);
    return lease;
  }

  async #untilTurn(acquiring: Acquiring, leftMs: number): Promise<void> {
    const { resource, nonce, options, waitedMs, failures } = acquiring;
    const asking = { signal: options.signal, endable: true };
    const stillMs = options.waitMs - waitedMs();
    if (failures > 0) {
      const pauseMs = Math.min(stillMs, pauseMsMax, failures === 1 ? 0 : 10 * 2 ** failures);
      await this.#asking.pause(pauseMs, asking);
      return;
    }
    const request = { birth: this.#birth, resource: this.#prefix + resource, nonce };
    const limitMs = Math.min(leftMs, stillMs);
    await this.#asking.once(() => this.#authority.turn(request), { ...asking, limitMs });
  }

  /** Nothing of an acquire that failed stays behind, if the store can be told. */
  async #callOff(acquiring: Acquiring, error: unknown): Promise<unknown> {
    if (!acquiring.mayBeKnown) return error;
    const { resource, nonce } = acquiring;
    const request = { birth: this.#birth, resource: this.#prefix + resource, nonce };
    const cancel = (): Promise<void> => this.#authority.cancel(request);
    if (error instanceof LockTimeoutError) {
      const answer = await this.#asking.once(cancel);
      if (answer.kind === "answer") return error;
      error = this.#verdicts.maybeHeld(resource, answer.cause);
    }
    void this.#asking.repeatedly(cancel);
    return error;
  }

  async #operate(
    ask: NonNullable<Authority["operate"]>,
    resource: string,
    operation: Operation,
    operationId: string,
  ): Promise<Operated> {
    checkResource(resource);
    checkOperationId(operationId);
    const copy = checkOperation(operation);
    this.#checkOpen();
    if (this.#birth === undefined) await this.#meet();
    for (;;) {
      const known = this.#versions.get(resource);
      const since = known ?? (await this.read(resource))?.version ?? 0n;
      const request = {
        birth: this.#birth,
        resource: this.#prefix + resource,
        operation: copy,
        operationId,
        since,
      };
      const answer = await this.#asking.repeatedly(() => ask(request));
      const isFirst = answer.kind === "answer" && answer.isFirst;
      const reply = this.#sameBirth(this.#verdicts.resolved(answer, resource, operationId));
      if (reply.kind === "forgotten" && isFirst) {
        // Surely not applied: what was sent was refused. A later version is known now.
        this.#versions.note(resource, reply.version);
        continue;
      }
      // What is refused now may be applied when an earlier sending arrives.
      const isSure = isFirst || (reply.kind === "operated" && reply.applied);
      if (!isSure || reply.kind === "forgotten") throw this.#verdicts.unknown(operationId);
      if (reply.kind === "no-integer") {
        throw new UsageError(`${resource} is not an integer in digits; nothing was written`);
      }
      if (reply.kind === "operated") {
        return { applied: reply.applied, guarded: this.#guarded(resource, reply.present) };
      }
      throw this.#verdicts.refused(reply, { resource, operationId, isFirst });
    }
  }

  #checkOpen(): void {
    if (this.#closing) throw new ClosedError(`the locks of ${this.name} are closed`);
  }

  #nonce(): string {
    return Buffer.from(this.environment.randomBytes(nonceBytes)).toString("hex");
  }

  /** Learns the birth of the store, once, before anything depends on it. */
  async #meet(signal?: AbortSignal): Promise<void> {
    await this.birth(signal ? { signal } : {});
  }

  #sameBirth<R extends { readonly kind: string }>(reply: R | Reborn): Exclude<R, Reborn> {
    if (reply.kind === "reborn") {
      throw this.#verdicts.reborn(this.#birth, (reply as Reborn).birth);
    }
    return reply as Exclude<R, Reborn>;
  }

  #own(lease: Lease): HeldLease {
    if (lease instanceof HeldLease && lease.isOf(this)) return lease;
    throw new UsageError(`the lease of ${lease.resource} is not of these locks; nothing was sent`);
  }

  #seen(resource: string, present: Present): Guarded | undefined {
    return present.value ? this.#guarded(resource, present) : undefined;
  }

  #guarded(resource: string, { value, version, token }: Present): Guarded {
    this.#versions.note(resource, version);
    return { value: value ? plainBytes(value) : emptyValue, version, token };
  }

  async #close(): Promise<void> {
    this.#asking.end(new ClosedError(`the locks of ${this.name} were closed meanwhile`));
    await Promise.allSettled([...this.#leases].map((lease) => lease.release()));
    await this.#asking.rest();
    await this.#disconnect();
  }
}
