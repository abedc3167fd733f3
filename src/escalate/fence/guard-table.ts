/**
 * The guards of one store in the memory of this process, with the line before each: an authority. Steps
 * run to their end without waiting, so each is atomic. Who is next is made the holder in the step that
 * frees the resource, for as long as it takes to come and say so; nobody else is woken, and no
 * compare-and-set slips in between.
 */
import type { Environment, Timer } from "../../environment.ts";
import type {
  Authority,
  CommitReply,
  CommitRequest,
  CompareAndSetRequest,
  NonceRequest,
  OpenReply,
  OpenRequest,
  OperateReply,
  OperateRequest,
  Present,
  Reborn,
  RenewRequest,
  Request,
  ResourceRequest,
  WriteReply,
} from "./authority.ts";
import {
  commit,
  compareAndSet,
  type GuardRecord,
  isHeld,
  open,
  operate,
  presentOf,
  release,
  renew,
  untouched,
} from "./guard.ts";

/** Of those who stand in one line. */
export const lineMax = 10_000;
/** How long one whose turn it is may take to say so, in ms. */
export const claimMs = 2_000;
/** Those in line ask again by themselves, this much apart, in case that word of their turn was lost. */
const askApartMs = 50;

interface Waiter {
  readonly nonce: string;
  readonly request: OpenRequest;
  /** When it gives up by itself, and need not be woken. */
  readonly leaveMs: number;
  tell: (() => void) | undefined;
}

interface Entry {
  readonly resource: string;
  record: GuardRecord;
  /** In the order of arrival. */
  readonly line: Map<string, Waiter>;
  /** Runs when the lease of the holder ends, if somebody waits for that. */
  timer: Timer | undefined;
}

/** What a table begins with, and who hears of its changes. */
export interface GuardTableOptions {
  /** Default: drawn at random. */
  readonly birth?: string;
  /** Tokens are larger than this. Default 0. */
  readonly token?: bigint;
  readonly records?: Iterable<readonly [resource: string, record: GuardRecord]>;
  /** Called in the step that changes a record. One that says nothing any more is `untouched`. */
  readonly onChange?: (resource: string, record: GuardRecord) => void;
}

/** A store of guards. */
export class GuardTable implements Authority {
  readonly #environment: Environment;
  readonly #onChange: NonNullable<GuardTableOptions["onChange"]>;
  readonly #entries = new Map<string, Entry>();
  #birth: string;
  /** The largest that was granted for any resource, so that an idle entry may be forgotten. */
  #token: bigint;

  constructor(environment: Environment, options: GuardTableOptions = {}) {
    const { birth = bornNow(environment), token = 0n, records = [] } = options;
    this.#environment = environment;
    this.#onChange = options.onChange ?? (() => undefined);
    this.#birth = birth;
    this.#token = token;
    for (const [resource, record] of records) this.#entry(resource).record = record;
  }

  /** Everything is gone, as if the disk of the store had been replaced. */
  wipe(): void {
    this.stop();
    this.#entries.clear();
    this.#token = 0n;
    this.#birth = bornNow(this.#environment);
  }

  /** No timer is left, and nobody in line waits to be told. */
  stop(): void {
    for (const { timer, line } of this.#entries.values()) {
      timer?.cancel();
      for (const { tell } of line.values()) tell?.();
    }
  }

  /** Sets a record back, as if what happened to it since had not; nobody hears of it. */
  restore(resource: string, record: GuardRecord): void {
    const entry = this.#entry(resource);
    entry.record = record;
    this.#arm(entry);
  }

  async birth(): Promise<string> {
    return this.#birth;
  }

  async open(request: OpenRequest): Promise<OpenReply | Reborn> {
    const reborn = this.#reborn(request);
    if (reborn) return reborn;
    const entry = this.#entry(request.resource);
    this.#advance(entry);
    const opened = this.#open(entry, request);
    if (opened) return { kind: "opened", token: opened.token, present: presentOf(opened) };
    return this.#stand(entry, request);
  }

  turn({ resource, nonce }: NonceRequest): Promise<void> {
    const waiter = this.#entries.get(resource)?.line.get(nonce);
    if (!waiter) return Promise.resolve();
    return new Promise((resolve) => {
      waiter.tell?.();
      waiter.tell = resolve;
    });
  }

  async cancel({ resource, nonce }: NonceRequest): Promise<void> {
    const entry = this.#entries.get(resource);
    if (!entry) return;
    entry.line.get(nonce)?.tell?.();
    entry.line.delete(nonce);
    this.#put(entry, release(entry.record, nonce));
    this.#advance(entry);
    this.#forget(entry);
  }

  async renew({ birth, resource, fence, ttlMs }: RenewRequest): Promise<boolean> {
    const entry = this.#entries.get(resource);
    if (!entry || (birth !== undefined && birth !== this.#birth)) return false;
    const renewed = renew(entry.record, { fence, ttlMs, nowMs: this.#environment.monotonic() });
    if (!renewed) return false;
    this.#put(entry, renewed);
    this.#arm(entry);
    return true;
  }

  async read(
    request: ResourceRequest,
  ): Promise<{ readonly kind: "present"; readonly present: Present } | Reborn> {
    const record = this.#entries.get(request.resource)?.record ?? untouched;
    return this.#reborn(request) ?? { kind: "present", present: presentOf(record) };
  }

  async commit(request: CommitRequest): Promise<CommitReply> {
    const reborn = this.#reborn(request);
    if (reborn) return reborn;
    const records = request.parts.map(
      ({ resource }) => this.#entries.get(resource)?.record ?? untouched,
    );
    const outcome = commit(
      request.parts.map((part, i) => ({ ...part, record: records[i] ?? untouched })),
      request.operationId,
    );
    if (outcome.kind !== "committed") return outcome;
    for (const [i, { resource }] of request.parts.entries()) {
      const record = outcome.records[i];
      if (record && record !== records[i]) this.#put(this.#entry(resource), record);
    }
    return { kind: "committed", versions: outcome.versions };
  }

  async compareAndSet(request: CompareAndSetRequest): Promise<WriteReply> {
    const reborn = this.#reborn(request);
    if (reborn) return reborn;
    const entry = this.#entry(request.resource);
    this.#advance(entry);
    const outcome = compareAndSet(entry.record, {
      ...request,
      nowMs: this.#environment.monotonic(),
    });
    if (outcome.kind !== "written") {
      this.#forget(entry);
      return outcome;
    }
    this.#put(entry, outcome.record);
    return { kind: "written", version: outcome.version, token: outcome.record.token };
  }

  async operate(request: OperateRequest): Promise<OperateReply> {
    const reborn = this.#reborn(request);
    if (reborn) return reborn;
    const entry = this.#entry(request.resource);
    this.#advance(entry);
    const outcome = operate(entry.record, { ...request, nowMs: this.#environment.monotonic() });
    if (outcome.kind !== "operated") return outcome;
    this.#put(entry, outcome.record);
    const { applied, version, value } = outcome;
    const { token } = outcome.record;
    this.#forget(entry);
    return { kind: "operated", applied, present: { value, version, token } };
  }

  #reborn({ birth }: Request): Reborn | undefined {
    if (birth === undefined || birth === this.#birth) return undefined;
    return { kind: "reborn", birth: this.#birth };
  }

  #entry(resource: string): Entry {
    let entry = this.#entries.get(resource);
    if (!entry) {
      entry = { resource, record: untouched, line: new Map(), timer: undefined };
      this.#entries.set(resource, entry);
    }
    return entry;
  }

  /** What says nothing need not be kept: tokens are drawn for the whole store. */
  #forget(entry: Entry): void {
    if (entry.record.version > 0n || entry.line.size > 0) return;
    if (isHeld(entry.record, this.#environment.monotonic())) return;
    this.#put(entry, untouched);
    this.#entries.delete(entry.resource);
  }

  #put(entry: Entry, record: GuardRecord): void {
    if (entry.record === record) return;
    entry.record = record;
    this.#onChange(entry.resource, record);
  }

  #open(entry: Entry, request: OpenRequest, ttlMs = request.ttlMs): GuardRecord | undefined {
    const opened = open(entry.record, {
      ...request,
      ttlMs,
      token: this.#token + 1n,
      nowMs: this.#environment.monotonic(),
    });
    if (!opened) return undefined;
    if (opened.token > this.#token) this.#token = opened.token;
    this.#put(entry, opened);
    return opened;
  }

  #stand(entry: Entry, request: OpenRequest): OpenReply {
    const { nonce, waitMs } = request;
    const { line } = entry;
    const nowMs = this.#environment.monotonic();
    if (waitMs > 0 && !line.has(nonce)) {
      if (line.size >= lineMax) return { kind: "full" };
      line.set(nonce, { nonce, request, leaveMs: nowMs + waitMs, tell: undefined });
      this.#arm(entry);
    }
    this.#forget(entry);
    const place = [...line.keys()].indexOf(nonce);
    const leftMs = Math.max(0, (entry.record.holder?.untilMs ?? nowMs) - nowMs);
    return { kind: "held", place, leftMs: leftMs + askApartMs * (place + 1) };
  }

  /** Makes the first of the line the holder if nobody is, and tells it. */
  #advance(entry: Entry): void {
    const { line } = entry;
    const nowMs = this.#environment.monotonic();
    while (!isHeld(entry.record, nowMs)) {
      const waiter = line.values().next().value;
      if (!waiter) break;
      line.delete(waiter.nonce);
      if (waiter.leaveMs > nowMs) {
        this.#open(entry, waiter.request, Math.min(claimMs, waiter.request.ttlMs));
      }
      waiter.tell?.();
    }
    this.#arm(entry);
  }

  /** Looks again when the lease ends, if somebody waits. */
  #arm(entry: Entry): void {
    entry.timer?.cancel();
    entry.timer = undefined;
    const { holder } = entry.record;
    if (entry.line.size === 0 || !holder) return;
    const leftMs = Math.max(0, holder.untilMs - this.#environment.monotonic());
    entry.timer = this.#environment.schedule(leftMs, () => this.#advance(entry));
  }
}

const birthBytes = 16;

const bornNow = (environment: Environment): string =>
  Buffer.from(environment.randomBytes(birthBytes)).toString("hex");
