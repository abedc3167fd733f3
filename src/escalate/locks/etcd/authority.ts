/**
 * Holding and waiting in etcd; `store.ts` says what is kept there. Who asks puts a key at the end of
 * the line. If no other is there it has opened in the same step; otherwise it watches the one before it, and
 * opens when that is gone and no other is before its own.
 */
import type { Environment } from "../../../environment.ts";
import { LockUnavailableError } from "../../../errors.ts";
import type {
  Authority,
  CommitReply,
  CommitRequest,
  CompareAndSetRequest,
  NonceRequest,
  OpenReply,
  OpenRequest,
  Present,
  Reborn,
  RenewRequest,
  ResourceRequest,
  WriteReply,
} from "../../fence/authority.ts";
import { presentOf } from "../../fence/guard.ts";
import { OptimisticGuards } from "../../fence/optimistic.ts";
import { type Gateway, isRefusal } from "./gateway.ts";
import { Line } from "./line.ts";
import { Sessions } from "./sessions.ts";
import { Standing } from "./standing.ts";
import { type EtcdStore, only, reborn, refused, textOf } from "./store.ts";
import {
  bodyOf,
  compare,
  type KeyValue,
  step,
  type StepReply,
  type Transaction,
  type TransactionReply,
} from "./wire.ts";

/** Of those who stand in one line, over all clients. */
const lineMax = 10_000;
/** Who waits need not ask by itself: its line does. */
const askAgainMs = 600_000;
/** Sessions that run out while a request is under way make it start again; so often. */
const triesMax = 5;

/** The guards of one prefix in one cluster. */
export class EtcdAuthority implements Authority {
  readonly birth: Authority["birth"];
  readonly #gateway: Gateway;
  readonly #environment: Environment;
  readonly #store: EtcdStore;
  readonly #sessions: Sessions;
  readonly #guards: OptimisticGuards;
  readonly #standings = new Map<string, Standing>();
  readonly #lines = new Map<string, Line>();

  constructor(gateway: Gateway, environment: Environment, store: EtcdStore) {
    this.#gateway = gateway;
    this.#environment = environment;
    this.#store = store;
    this.#sessions = new Sessions(gateway, environment);
    this.#guards = new OptimisticGuards(store);
    this.birth = () => store.birth();
  }

  async open(request: OpenRequest): Promise<OpenReply | Reborn> {
    const { resource, nonce, ttlMs } = request;
    const known = this.#standings.get(nonce);
    const standing = known ?? new Standing(this.#environment, resource, nonce);
    this.#standings.set(nonce, standing);
    standing.call.forget();
    for (let tries = 0; tries < triesMax; tries++) {
      if (!(await standing.session?.lives(ttlMs))) {
        standing.session = await this.#sessions.living(ttlMs);
        standing.created = 0n;
      }
      // Called off meanwhile: what is put now would stay.
      if (standing.isOver) return notInLine;
      const reply = await (standing.created === 0n
        ? this.#enter(request, standing)
        : this.#claim(request, standing));
      if (reply) return reply;
    }
    throw new LockUnavailableError(`no session of etcd lived long enough to open ${resource}`, {
      ...{ resource, backend: "etcd" },
    });
  }

  async turn({ nonce }: NonceRequest): Promise<void> {
    const standing = this.#standings.get(nonce);
    if (standing && !standing.isHeld && standing.created > 0n) await standing.call.told();
  }

  async cancel({ resource, nonce }: NonceRequest): Promise<void> {
    const standing = this.#standings.get(nonce);
    standing?.over();
    if (standing) this.#leaveLine(standing);
    const removing = async (): Promise<void> => {
      await this.#remove(resource, nonce, standing);
      this.#standings.delete(nonce);
    };
    await (standing?.session ? standing.session.mustRemove(removing) : removing());
  }

  async renew({ birth, resource, fence, ttlMs }: RenewRequest): Promise<boolean> {
    const standing = this.#standings.get(fence.nonce);
    if (!standing?.isHeld || !standing.session) return false;
    const [lives, reply] = await Promise.all([
      standing.session.lives(ttlMs),
      this.#store.transact({
        compare: [this.#store.isBorn(birth), ...this.#store.isInstalled(resource, fence)],
        success: [],
        failure: [],
      }),
    ]);
    if (!lives || !reply.succeeded || standing.isOver) return false;
    standing.endAfter(ttlMs, () => this.#expire(standing));
    return true;
  }

  async read({
    birth,
    resource,
  }: ResourceRequest): Promise<{ readonly kind: "present"; readonly present: Present } | Reborn> {
    const { guard, fence } = this.#store.namesOf(resource);
    const reads = [step.get(guard), step.get(fence)];
    const reply = await this.#store.transact({
      compare: [this.#store.isBorn(birth)],
      success: reads,
      failure: [this.#store.birthStep],
    });
    if (!reply.succeeded) return reborn(reply.steps[0]);
    const found = this.#store.found(resource, reply.steps[0], reply.steps[1]);
    this.#guards.note(resource, found);
    return { kind: "present", present: presentOf(found.record) };
  }

  async commit(request: CommitRequest): Promise<CommitReply> {
    return await this.#guards.commit(request.birth ?? (await this.birth()), request);
  }

  async compareAndSet(request: CompareAndSetRequest): Promise<WriteReply> {
    return await this.#guards.compareAndSet(request.birth ?? (await this.birth()), request);
  }

  /** Gives back all that lives in etcd only for this client. */
  async close(): Promise<void> {
    for (const standing of this.#standings.values()) {
      standing.over();
      this.#leaveLine(standing);
    }
    await this.#sessions.close();
  }

  // An acquire.

  /** Asks for a key in the line, and is the holder at once if it is the only one. */
  async #enter(request: OpenRequest, standing: Standing): Promise<OpenReply | Reborn | undefined> {
    const { birth, resource, nonce, waitMs } = request;
    const { guard, fence, line } = this.#store.namesOf(resource);
    const own = this.#store.names.line(resource, nonce);
    const gone = this.#store.names.gone(resource, nonce);
    const putOwn = step.put(own, "", standing.session?.id);
    const mayEnter = [this.#store.isBorn(birth), compare.created({ key: gone }, "EQUAL", 0n)];
    const stand: Transaction = {
      compare: [...mayEnter, compare.created({ key: own }, "EQUAL", 0n)],
      success: waitMs > 0 ? [putOwn] : [],
      failure: [],
    };
    const reply = await this.#opening(standing, {
      compare: [...mayEnter, compare.created({ below: line }, "EQUAL", 0n)],
      success: [putOwn, step.put(fence, nonce), step.get(guard)],
      failure: [
        ...[this.#store.birthStep, step.get(own), step.edge(line, "last")],
        step.transaction(stand),
      ],
    });
    if (!reply) return undefined;
    if (standing.isOver) return notInLine;
    if (reply.succeeded) {
      standing.created = reply.revision;
      return this.#opened(request, standing, reply.revision, reply.steps[2]);
    }
    const [born, mine, last, stood] = reply.steps;
    if (textOf(only(born)) !== birth) return reborn(born);
    const present = only(mine);
    if (present) {
      // An earlier request did it after all, perhaps under a session that is over: the place is kept.
      if (present.lease.toString() !== standing.session?.id) {
        const stillThere = compare.created({ key: own }, "EQUAL", present.created);
        const move = { compare: [stillThere], success: [putOwn], failure: [] };
        if ((await this.#opening(standing, move))?.succeeded !== true) return undefined;
      }
      standing.created = present.created;
      return undefined;
    }
    if (waitMs === 0 || stood?.transaction?.succeeded !== true) {
      if (standing.unanswered === 0) this.#standings.delete(nonce);
      return notInLine;
    }
    standing.created = reply.revision;
    if ((last?.count ?? 0) >= lineMax) {
      await this.cancel(request);
      return { kind: "full" };
    }
    return this.#stand(standing, only(last), reply.revision);
  }

  /** Is the holder if nobody is before it any more. */
  async #claim(request: OpenRequest, standing: Standing): Promise<OpenReply | Reborn | undefined> {
    const { birth, resource, nonce } = request;
    const { created } = standing;
    const { guard, fence, line } = this.#store.namesOf(resource);
    const own = this.#store.names.line(resource, nonce);
    const reply = await this.#opening(standing, {
      compare: [
        this.#store.isBorn(birth),
        compare.created({ key: own }, "EQUAL", created),
        compare.created({ below: line }, "GREATER", created - 1n),
      ],
      success: [
        step.get(guard),
        // Asked again by the holder, it is the same lease with the same token.
        step.transaction({
          compare: [compare.value(fence, nonce)],
          success: [step.get(fence)],
          failure: [step.put(fence, nonce)],
        }),
      ],
      failure: [this.#store.birthStep, step.get(own), step.edge(line, "last", created)],
    });
    if (!reply) return undefined;
    if (standing.isOver) return notInLine;
    if (reply.succeeded) {
      const [record, fenced] = reply.steps;
      const again = only(fenced?.transaction?.steps[0]);
      return this.#opened(request, standing, again?.modified ?? reply.revision, record);
    }
    const [born, mine, before] = reply.steps;
    if (textOf(only(born)) !== birth) return reborn(born);
    if (!only(mine)) {
      // Its session ran out meanwhile: it begins again, at the end of the line.
      standing.created = 0n;
      return undefined;
    }
    return this.#stand(standing, only(before), reply.revision);
  }

  /** Undefined: the session is over, nothing was done. */
  async #opening(
    standing: Standing,
    transaction: Transaction,
  ): Promise<TransactionReply | undefined> {
    standing.unanswered++;
    const answer = await this.#gateway
      .ask("/v3/kv/txn", bodyOf(transaction))
      .catch((error: unknown) => {
        if (error instanceof LockUnavailableError) standing.unanswered--;
        throw error;
      });
    standing.unanswered--;
    if (!isRefusal(answer)) return this.#store.accepted(answer);
    if (!answer.refused.includes("lease not found")) throw refused(answer.refused);
    standing.session?.end();
    return undefined;
  }

  #opened(
    { ttlMs, maxHoldMs = Number.POSITIVE_INFINITY, resource, nonce }: OpenRequest,
    standing: Standing,
    token: bigint,
    guard: StepReply | undefined,
  ): OpenReply {
    this.#leaveLine(standing);
    standing.isHeld = true;
    standing.holdFor(maxHoldMs);
    standing.endAfter(ttlMs, () => this.#expire(standing));
    const { record, stamp } = this.#store.found(resource, guard, undefined);
    const holder = { token, nonce, untilMs: 0, endMs: 0 };
    this.#guards.note(resource, { stamp, record: { ...record, token, holder } });
    return { kind: "opened", token, present: presentOf({ ...record, token }) };
  }

  #stand(standing: Standing, before: KeyValue | undefined, seen: bigint): OpenReply {
    const { resource, session } = standing;
    standing.predecessor = before && { key: before.key, seen };
    session?.wait(standing);
    let line = this.#lines.get(resource);
    if (!line) {
      line = new Line(this.#gateway, this.#environment);
      this.#lines.set(resource, line);
    }
    line.stand(standing);
    return { kind: "held", place: 0, leftMs: askAgainMs };
  }

  #leaveLine(standing: Standing): void {
    standing.session?.leave(standing);
    const line = this.#lines.get(standing.resource);
    line?.leave(standing);
    if (line?.isEmpty === true) this.#lines.delete(standing.resource);
  }

  /** Its time is over, though its session may live on: nobody else shall wait for that. */
  #expire(standing: Standing): void {
    // It is tried again with every renewal of the session.
    const { resource, nonce } = standing;
    void this.cancel({ birth: undefined, resource, nonce }).catch(() => undefined);
  }

  /** Takes a key out of the line. One that may still come is kept out. */
  async #remove(resource: string, nonce: string, standing: Standing | undefined): Promise<void> {
    const leave = step.remove(this.#store.names.line(resource, nonce));
    const { session, unanswered = 0 } = standing ?? {};
    const isLate = unanswered > 0 && session?.isOver === false;
    const note = isLate ? [step.put(this.#store.names.gone(resource, nonce), "", session.id)] : [];
    const answer = await this.#gateway.ask(
      "/v3/kv/txn",
      bodyOf({ compare: [], success: [leave, ...note], failure: [] }),
    );
    if (!isRefusal(answer)) return;
    // Without its session neither the key nor a late one can be.
    if (!isLate || !answer.refused.includes("lease not found")) throw refused(answer.refused);
  }
}

const notInLine: OpenReply = { kind: "held", place: -1, leftMs: 0 };
