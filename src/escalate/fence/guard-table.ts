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
  record: GuardRecord;
  /** In the order of arrival. */
  readonly line: Map<string, Waiter>;
  /** Runs when the lease of the holder ends, if somebody waits for that. */
  timer: Timer | undefined;
}

/** A store of guards. */
export class GuardTable implements Authority {
  readonly #environment: Environment;
  readonly #entries = new Map<string, Entry>();
  #birth: string;
  /** The largest that was granted for any resource, so that an idle entry may be forgotten. */
  #token = 0n;

  constructor(environment: Environment) {
    this.#environment = environment;
    this.#birth = bornNow(environment);
  }

  /** Everything is gone, as if the disk of the store had been replaced. */
  wipe(): void {
    for (const { timer, line } of this.#entries.values()) {
      timer?.cancel();
      for (const { tell } of line.values()) tell?.();
    }
    this.#entries.clear();
    this.#token = 0n;
    this.#birth = bornNow(this.#environment);
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
    entry.record = release(entry.record, nonce);
    this.#advance(entry);
    this.#forget(resource, entry);
  }

  async renew({ birth, resource, fence, ttlMs }: RenewRequest): Promise<boolean> {
    const entry = this.#entries.get(resource);
    if (!entry || (birth !== undefined && birth !== this.#birth)) return false;
    const renewed = renew(entry.record, { fence, ttlMs, nowMs: this.#environment.monotonic() });
    if (!renewed) return false;
    entry.record = renewed;
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
      if (record && record !== records[i]) this.#entry(resource).record = record;
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
      this.#forget(request.resource, entry);
      return outcome;
    }
    entry.record = outcome.record;
    return { kind: "written", version: outcome.version, token: outcome.record.token };
  }

  async operate(request: OperateRequest): Promise<OperateReply> {
    const reborn = this.#reborn(request);
    if (reborn) return reborn;
    const entry = this.#entry(request.resource);
    this.#advance(entry);
    const outcome = operate(entry.record, { ...request, nowMs: this.#environment.monotonic() });
    if (outcome.kind !== "operated") return outcome;
    entry.record = outcome.record;
    const { applied, version, value } = outcome;
    const { token } = outcome.record;
    this.#forget(request.resource, entry);
    return { kind: "operated", applied, present: { value, version, token } };
  }

  #reborn({ birth }: Request): Reborn | undefined {
    if (birth === undefined || birth === this.#birth) return undefined;
    return { kind: "reborn", birth: this.#birth };
  }

  #entry(resource: string): Entry {
    let entry = this.#entries.get(resource);
    if (!entry) {
      entry = { record: untouched, line: new Map(), timer: undefined };
      this.#entries.set(resource, entry);
    }
    return entry;
  }

  /** What says nothing need not be kept: tokens are drawn for the whole store. */
  #forget(resource: string, { record, line }: Entry): void {
    if (record.version > 0n || line.size > 0) return;
    if (!isHeld(record, this.#environment.monotonic())) this.#entries.delete(resource);
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
    entry.record = opened;
    return opened;
  }

  #stand(entry: Entry, request: OpenRequest): OpenReply {
    const { nonce, resource, waitMs } = request;
    const { line } = entry;
    const nowMs = this.#environment.monotonic();
    if (waitMs > 0 && !line.has(nonce)) {
      if (line.size >= lineMax) return { kind: "full" };
      line.set(nonce, { nonce, request, leaveMs: nowMs + waitMs, tell: undefined });
      this.#arm(entry);
    }
    this.#forget(resource, entry);
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
      if (waiter.leaveMs <= nowMs) continue;
      this.#open(entry, waiter.request, Math.min(claimMs, waiter.request.ttlMs));
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

const presentOf = ({ value, version, token }: GuardRecord): Present => ({ value, version, token });

const birthBytes = 16;

const bornNow = (environment: Environment): string =>
  Buffer.from(environment.randomBytes(birthBytes)).toString("hex");
