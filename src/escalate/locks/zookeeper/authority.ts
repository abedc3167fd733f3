/**
 * Holding and waiting in ZooKeeper; `store.ts` says what is kept there. Who asks makes a node at the
 * end of the line, under the session of its locks, with its nonce in the name: if the answer is lost, it is
 * found again by that, and only if it is of this session is it ours. The first of the line opens; any other
 * watches the one before it.
 */
import { CreateMode } from "node-zookeeper-client";
import type { Environment, Timer } from "../../../environment.ts";
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
import { Call } from "../../fence/call.ts";
import { elapsedSince } from "../../fence/elapsed.ts";
import { presentOf } from "../../fence/guard.ts";
import { OptimisticGuards } from "../../fence/optimistic.ts";
import { type NodeStat, refusals, type ZookeeperConnection } from "./connection.ts";
import type { ZookeeperSessions } from "./sessions.ts";
import { type LineRead, nonceOf, type ZookeeperStore } from "./store.ts";

/** Those in line ask by themselves after that long, in case that a watch was lost, in ms … */
const askAgainMs = 20_000;
/** … and for each place so much later. */
const askApartMs = 100;
/** After a removal that failed, in ms. */
const removeAgainMs = 500;
/** What a watch tells of a node. */
const nodeDeleted = 2;
/** What moves while it is looked at makes it look again; so often. */
const triesMax = 5;

/** One acquire of this client, from its first request to its end. */
interface Standing {
  readonly resource: string;
  readonly nonce: string;
  readonly call: Call;
  connection: ZookeeperConnection | undefined;
  /** Of its node; unknown until its creation is answered. */
  path: string | undefined;
  /** A creation has no answer yet. */
  isUnsure: boolean;
  /** The version of the fence when only its holder was before it, and whether that one is gone. */
  next: { readonly version: number; isGone: boolean } | undefined;
  /** It is over: what comes late is of no use. */
  isOver: boolean;
  isHeld: boolean;
  /** Ms until no renewal helps any more. */
  leftMs: () => number;
  end: Timer | undefined;
}

/** The guards of one prefix in one ensemble. */
export class ZookeeperAuthority implements Authority {
  readonly birth: Authority["birth"];
  readonly #environment: Environment;
  readonly #sessions: ZookeeperSessions;
  readonly #store: ZookeeperStore;
  readonly #guards: OptimisticGuards;
  readonly #standings = new Map<string, Standing>();
  #isClosed = false;

  constructor(environment: Environment, sessions: ZookeeperSessions, store: ZookeeperStore) {
    this.#environment = environment;
    this.#sessions = sessions;
    this.#store = store;
    this.#guards = new OptimisticGuards(store);
    this.birth = () => store.birth();
  }

  async open(request: OpenRequest): Promise<OpenReply | Reborn> {
    const { resource, nonce, ttlMs } = request;
    const standing = this.#standing(resource, nonce);
    standing.call.forget();
    for (let tries = 0; tries < triesMax; tries++) {
      if (!standing.connection || standing.connection.isOver) {
        standing.connection = await this.#sessions.living(ttlMs);
        standing.path = standing.next = undefined;
        standing.connection.onOver(() => standing.call.tell());
      }
      await standing.connection.ready();
      if (standing.isOver) return notInLine;
      const reply = await this.#ask(request, standing, standing.connection);
      if (standing.isOver) return notInLine;
      if (reply) return reply;
    }
    throw refusedFor(resource, "the line moved at each look");
  }

  async turn({ nonce }: NonceRequest): Promise<void> {
    const standing = this.#standings.get(nonce);
    if (standing && !standing.isHeld && standing.path !== undefined) await standing.call.told();
  }

  async cancel({ nonce }: NonceRequest): Promise<void> {
    const standing = this.#standings.get(nonce);
    if (!standing) return;
    standing.isOver = true;
    standing.end?.cancel();
    standing.call.tell();
    if (!standing.connection) {
      this.#standings.delete(nonce);
      throw refusedFor(standing.resource, "ZooKeeper was not reached");
    }
    try {
      await this.#remove(standing);
    } catch (error) {
      // Its session may live on and keep the node: whoever asked gives up, this does not.
      if (!this.#isClosed) {
        const again = (): void => void this.#expire(standing);
        standing.end?.cancel();
        standing.end = this.#environment.schedule(removeAgainMs, again);
      }
      throw error;
    }
    this.#standings.delete(nonce);
    this.#store.installed.delete(nonce);
  }

  async renew({ birth = "", fence, resource, ttlMs }: RenewRequest): Promise<boolean> {
    const standing = this.#standings.get(fence.nonce);
    const held = this.#store.installed.get(fence.nonce);
    if (!standing?.isHeld || !held || held.connection.isOver) return false;
    await held.connection.ready();
    // Whatever a session asks renews it.
    const reply = await this.#store.transact(held.connection, (parts) => {
      this.#store.checkBirth(parts, birth);
      parts.check(held.path);
      parts.check(this.#store.line(resource), held.version);
    });
    if (!reply.ok || standing.isOver) return false;
    this.#endAfter(standing, ttlMs);
    return true;
  }

  async read({
    birth = "",
    resource,
  }: ResourceRequest): Promise<{ readonly kind: "present"; readonly present: Present } | Reborn> {
    const answer = await this.#store.find(birth, [{ resource }]);
    if (answer.kind === "reborn") return answer;
    const [found] = answer.found;
    if (!found) throw new Error(`nothing was said of ${resource}`);
    this.#guards.note(resource, found);
    return { kind: "present", present: presentOf(found.record) };
  }

  async commit(request: CommitRequest): Promise<CommitReply> {
    return await this.#guards.commit(request.birth ?? (await this.birth()), request);
  }

  async compareAndSet(request: CompareAndSetRequest): Promise<WriteReply> {
    return await this.#guards.compareAndSet(request.birth ?? (await this.birth()), request);
  }

  /** Ends the sessions, and so all that lives in ZooKeeper only for this client. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const removing = [...this.#standings.values()].map(async (standing) => {
      standing.isOver = true;
      standing.end?.cancel();
      standing.call.tell();
      // A session that was handed in lives on.
      await this.#remove(standing);
    });
    // At once: where nobody answers, each takes as long as an answer may.
    await Promise.allSettled(removing);
    await this.#sessions.close();
  }

  #standing(resource: string, nonce: string): Standing {
    const known = this.#standings.get(nonce);
    if (known) return known;
    const standing: Standing = {
      ...{ resource, nonce, call: new Call() },
      ...{ connection: undefined, path: undefined, next: undefined, end: undefined },
      ...{ isUnsure: false, isOver: false, isHeld: false },
      leftMs: () => Number.POSITIVE_INFINITY,
    };
    this.#standings.set(nonce, standing);
    return standing;
  }

  /** One look at the line, and what follows from it. Undefined: look again. */
  async #ask(
    request: OpenRequest,
    standing: Standing,
    connection: ZookeeperConnection,
  ): Promise<OpenReply | Reborn | undefined> {
    const { resource, nonce, waitMs, birth = "" } = request;
    const { next } = standing;
    standing.next = undefined;
    // Only its holder was before it, and is gone: nobody can be now.
    if (next?.isGone === true) {
      const opened = await this.#install(request, standing, connection, next.version);
      if (opened) return opened;
    }
    if (standing.path === undefined && standing.isUnsure) {
      await this.#findAgain(standing, connection);
    }
    const line = await this.#look(standing, connection);
    if (line.version === 0) {
      // Nobody was ever in this line; or the store is another one.
      const reborn = await this.#store.reborn(connection, birth);
      if (reborn) return reborn;
      await this.#makeLine(resource, connection);
      return undefined;
    }
    const place = line.nodes.findIndex((name) => nonceOf(name) === nonce);
    if (place < 0) {
      standing.path = undefined;
      return undefined;
    }
    if (place === 0) {
      const opened = await this.#install(request, standing, connection, line.version, line);
      return opened ?? (await this.#store.reborn(connection, birth));
    }
    if (waitMs === 0) {
      await this.cancel(request);
      return notInLine;
    }
    if (place === 1 && nonceOf(line.nodes[0] ?? "") === line.nonce) {
      standing.next = { version: line.version, isGone: false };
    }
    this.#watch(standing, connection, `${this.#store.line(resource)}/${line.nodes[place - 1]}`);
    return { kind: "held", place, leftMs: askAgainMs + place * askApartMs };
  }

  /** Reads the line, behind the creation of one's own node if there is none yet: one round trip. */
  async #look(standing: Standing, connection: ZookeeperConnection): Promise<LineRead> {
    const { resource, nonce } = standing;
    if (standing.path !== undefined) return await this.#store.readLine(connection, resource);
    // Called off meanwhile: what is made now would stay.
    if (standing.isOver) throw refusedFor(resource, "the acquire was called off");
    const path = `${this.#store.line(resource)}/${nonce}-`;
    standing.isUnsure = true;
    const [made, line] = await Promise.all([
      connection.ask<string>((client, done) =>
        client.create(path, Buffer.alloc(0), CreateMode.EPHEMERAL_SEQUENTIAL, done),
      ),
      this.#store.readLine(connection, resource),
    ]);
    standing.isUnsure = false;
    standing.path = made.ok ? made.value : undefined;
    return made.ok ? line : { ...line, version: 0 };
  }

  /** The node that a creation without an answer made, if it is of this session; what another one left is removed. */
  async #findAgain(standing: Standing, connection: ZookeeperConnection): Promise<void> {
    for (const path of await this.#nodesOf(standing, connection)) {
      const found = await connection.ask<NodeStat>((client, done) =>
        client.getData(path, (error, _data, stat) => done(error, stat)),
      );
      if (!found.ok) continue;
      if (found.value.ephemeralOwner.equals(connection.sessionId)) standing.path = path;
      else await connection.ask<void>((client, done) => client.remove(path, -1, done));
    }
    standing.isUnsure = false;
  }

  async #nodesOf(
    { resource, nonce }: Standing,
    connection: ZookeeperConnection,
  ): Promise<readonly string[]> {
    const { nodes } = await this.#store.readLine(connection, resource);
    return nodes
      .filter((name) => nonceOf(name) === nonce)
      .map((name) => `${this.#store.line(resource)}/${name}`);
  }

  async #makeLine(resource: string, connection: ZookeeperConnection): Promise<void> {
    const line = this.#store.line(resource);
    // Refused if somebody else was first: then it is there.
    await this.#store.transact(connection, (parts) => {
      parts.create(line, Buffer.alloc(0));
      parts.setData(line, Buffer.alloc(0), -1);
    });
  }

  /** Installs the fence and reads what it guards, which nobody else can change from then on. */
  async #install(
    { birth = "", resource, nonce, ttlMs, maxHoldMs = Number.POSITIVE_INFINITY }: OpenRequest,
    standing: Standing,
    connection: ZookeeperConnection,
    version: number,
    line?: LineRead,
  ): Promise<OpenReply | undefined> {
    const { path } = standing;
    if (path === undefined) return undefined;
    const isAgain = line?.nonce === nonce;
    const [done, guard] = await Promise.all([
      this.#store.transact(connection, (parts) => {
        this.#store.checkBirth(parts, birth);
        parts.check(path);
        const fence = this.#store.line(resource);
        // Asked again by the holder, it is the same lease with the same token.
        if (isAgain) parts.check(fence, version);
        else parts.setData(fence, Buffer.from(nonce), version);
      }),
      this.#store.readGuard(connection, resource),
    ]);
    if (!done.ok || standing.isOver) return undefined;
    const stat = done.value[2]?.stat;
    const token = isAgain ? line.token : (stat?.mzxid.readBigUInt64BE() ?? 0n);
    const installed = { connection, path, version: stat?.version ?? version };
    this.#store.installed.set(nonce, installed);
    standing.isHeld = true;
    const heldMs = elapsedSince(this.#environment);
    standing.leftMs = () => maxHoldMs - heldMs();
    this.#endAfter(standing, ttlMs);
    const record = { ...guard.record, token };
    this.#guards.note(resource, { stamp: guard.stamp, record });
    return { kind: "opened", token, present: presentOf(record) };
  }

  #watch(standing: Standing, connection: ZookeeperConnection, path: string): void {
    const { next } = standing;
    const gone = (): void => {
      if (next) next.isGone = true;
      standing.call.tell();
    };
    const changed = ({ type }: { readonly type: number }): void => {
      if (type === nodeDeleted) gone();
      else standing.call.tell();
    };
    connection
      .ask<Buffer>((client, done) => client.getData(path, changed, done))
      .then((found) => {
        if (!found.ok) gone();
        return undefined;
      })
      // Who asks again finds out.
      .catch(() => standing.call.tell());
  }

  /** Its time is over then, though its session may live on: nobody else shall wait for that. */
  #endAfter(standing: Standing, ttlMs: number): void {
    standing.end?.cancel();
    const endMs = Math.max(0, Math.min(ttlMs, standing.leftMs()));
    standing.end = this.#environment.schedule(endMs, () => void this.#expire(standing));
  }

  async #expire({ resource, nonce }: Standing): Promise<void> {
    // What fails now is tried again.
    await this.cancel({ birth: undefined, resource, nonce }).catch(() => undefined);
  }

  async #remove(standing: Standing): Promise<void> {
    const { connection, path, isUnsure } = standing;
    if (!connection || connection.isOver) return;
    if (path === undefined && !isUnsure) return;
    await connection.ready();
    const paths = path === undefined ? await this.#nodesOf(standing, connection) : [path];
    for (const one of paths) {
      const removed = await connection.ask<void>((client, done) => client.remove(one, -1, done));
      if (removed.ok || removed.code === refusals.noNode) continue;
      throw refusedFor(standing.resource, `ZooKeeper refused to remove a node: ${removed.code}`);
    }
  }
}

const notInLine: OpenReply = { kind: "held", place: -1, leftMs: 0 };

const refusedFor = (resource: string, why: string): LockUnavailableError =>
  new LockUnavailableError(`${resource} was not opened or left: ${why}`, {
    ...{ resource, backend: "zookeeper" },
  });
