/**
 * Guards in ZooKeeper, and the transactions on them. Below the prefix there are
 *
 *   birth, birth/BIRTH       who the store is; the second can be checked for in a transaction
 *   guard/R                  the record; its version moves with every write
 *   line/R                   the fence: the nonce of who opened it last; the zxid of that is the token
 *   line/R/NONCE-SEQUENCE    ephemeral, one for each who holds or waits; the first one holds
 *
 * A commit is one `multi`: the birth, one's own node, the version of the fence, the version of the record.
 * Nodes have names of their own, so who sees that the node of the fence's nonce is gone knows that it stays
 * gone: a compare-and-set checks the version of a fence that nobody was behind. The client takes version 0 for
 * "any", so whatever is created is written once more in the same step. Reads of one server may be old; behind
 * a transaction of the same session, which a majority has agreed to, they are not.
 */
import type { Environment } from "../../../environment.ts";
import { LockUnavailableError } from "../../../errors.ts";
import type { Reborn } from "../../fence/authority.ts";
import { type GuardRecord, untouched } from "../../fence/guard.ts";
import { decodeGuard, encodeGuard } from "../../fence/guard-codec.ts";
import type { Change, Changed, ComparingStore, Found, FoundAll } from "../../fence/optimistic.ts";
import {
  type NodeStat,
  type PartResult,
  type Reply,
  type ZookeeperConnection,
  type ZookeeperTransaction,
} from "./connection.ts";
import type { ZookeeperSessions } from "./sessions.ts";

const birthBytes = 16;
const empty = Buffer.alloc(0);
/** Of fences that nobody is behind. */
const freeMax = 10_000;

/** The node of who holds, and the fence that it installed. */
export interface Installed {
  readonly connection: ZookeeperConnection;
  readonly path: string;
  /** Of the fence. */
  readonly version: number;
}

/** The fence of a resource that nobody is behind; at version 0 there is none. */
interface Free {
  readonly version: number;
  readonly token: bigint;
}

/** What was read of the line of one resource. */
export interface LineRead {
  /** The nonce of the fence; empty if there was none. */
  readonly nonce: string;
  readonly token: bigint;
  /** Of the fence; 0 if there is no line. */
  readonly version: number;
  /** Names of nodes, the first one to be created first. */
  readonly nodes: readonly string[];
}

/** The records of one prefix in one ensemble. */
export class ZookeeperStore implements ComparingStore {
  /** By nonce, what this client holds. */
  readonly installed: Map<string, Installed> = new Map();
  readonly #sessions: ZookeeperSessions;
  readonly #environment: Environment;
  readonly #root: string;
  readonly #free = new Map<string, Free>();
  /** Of lines, that are about to be asked for. */
  readonly #reads = new WeakMap<ZookeeperConnection, Map<string, Promise<LineRead>>>();

  constructor(sessions: ZookeeperSessions, environment: Environment, prefix: string) {
    this.#sessions = sessions;
    this.#environment = environment;
    // A prefix that is a path is one; any other is one odd name.
    const isPath = /^(?:(?!\.{1,2}\/)[\w.-]+\/)+$/u.test(prefix);
    this.#root = `/${isPath ? prefix.slice(0, -1) : `=${encodeURIComponent(prefix)}`}`;
  }

  async birth(): Promise<string> {
    const connection = await this.#sessions.any();
    const node = `${this.#root}/birth`;
    const known = await connection.ask<string>((client, done) =>
      client.getData(node, (error, data) => done(error, String(data))),
    );
    if (known.ok) return known.value;
    await connection.ask((client, done) => client.mkdirp(this.#root, done));
    const drawn = Buffer.from(this.#environment.randomBytes(birthBytes)).toString("hex");
    const made = await this.transact(connection, (parts) => {
      parts.create(node, Buffer.from(drawn));
      for (const below of [`birth/${drawn}`, "guard", "line"]) {
        parts.create(`${this.#root}/${below}`, empty);
      }
    });
    // Somebody else may have been first.
    return made.ok ? drawn : await this.birth();
  }

  guard(resource: string): string {
    return `${this.#root}/guard/=${encodeURIComponent(resource)}`;
  }

  line(resource: string): string {
    return `${this.#root}/line/=${encodeURIComponent(resource)}`;
  }

  /** What is checked in every transaction. */
  checkBirth(parts: ZookeeperTransaction, birth: string): void {
    parts.check(`${this.#root}/birth/${birth}`);
  }

  /** All parts, or none; a reply with a code is a refusal. */
  async transact(
    connection: ZookeeperConnection,
    fill: (parts: ZookeeperTransaction) => void,
  ): Promise<Reply<readonly PartResult[]>> {
    return await connection.ask<readonly PartResult[]>((client, done) => {
      const parts = client.transaction();
      fill(parts);
      parts.commit(done);
    });
  }

  /** Why a transaction was refused, if that was the birth. */
  async reborn(connection: ZookeeperConnection, birth: string): Promise<Reborn | undefined> {
    const found = await connection.ask<string>((client, done) =>
      client.getData(`${this.#root}/birth`, (error, data) => done(error, String(data))),
    );
    if (found.ok && found.value === birth) return undefined;
    return { kind: "reborn", birth: found.ok ? found.value : "nobody" };
  }

  /**
   * The line as this server knows it; not behind what this session did. Who asks in one turn shares what is
   * read: if each of 500 who join at once were told of all 500, the last would wait longer than an answer may
   * take, the connection would be cut, and all of them would ask again.
   */
  readLine(connection: ZookeeperConnection, resource: string): Promise<LineRead> {
    const reads = this.#reads.get(connection) ?? new Map<string, Promise<LineRead>>();
    this.#reads.set(connection, reads);
    let read = reads.get(resource);
    if (!read) {
      // Sent when the turn is over, behind whatever was sent in it.
      read = Promise.resolve().then(() => {
        reads.delete(resource);
        return this.#readLine(connection, resource);
      });
      reads.set(resource, read);
    }
    return read;
  }

  async #readLine(connection: ZookeeperConnection, resource: string): Promise<LineRead> {
    const line = this.line(resource);
    const [fence, children] = await Promise.all([
      connection.ask<{ readonly data: Buffer; readonly stat: NodeStat }>((client, done) =>
        client.getData(line, (error, data, stat) => done(error, { data, stat })),
      ),
      connection.ask<string[]>((client, done) =>
        client.getChildren(line, (error, names) => done(error, names)),
      ),
    ]);
    if (!fence.ok) return { nonce: "", token: 0n, version: 0, nodes: [] };
    const { data, stat } = fence.value;
    const nonce = data.toString();
    return {
      nonce,
      token: nonce === "" ? 0n : stat.mzxid.readBigUInt64BE(),
      version: stat.version,
      nodes: (children.ok ? children.value : []).toSorted(
        (left, right) => sequenceOf(left) - sequenceOf(right),
      ),
    };
  }

  async readGuard(
    connection: ZookeeperConnection,
    resource: string,
  ): Promise<{ readonly stamp: bigint; readonly record: GuardRecord }> {
    const path = this.guard(resource);
    const kept = await connection.ask<{ readonly data: Buffer; readonly stat: NodeStat }>(
      (client, done) => client.getData(path, (error, data, stat) => done(error, { data, stat })),
    );
    if (!kept.ok) return { stamp: 0n, record: untouched };
    const { value, version, token, operations } = decodeGuard(kept.value.data, path);
    const record = { value, version, token, operations, holder: undefined };
    return { stamp: BigInt(kept.value.stat.version), record };
  }

  async find(
    birth: string,
    asked: readonly Pick<Change, "resource" | "fence">[],
  ): Promise<FoundAll | Reborn> {
    const connection = await this.#sessions.any();
    // Sent one behind the other, so that none is older than the transaction: one round trip.
    const agreed = this.transact(connection, (parts) => this.checkBirth(parts, birth));
    const reads = asked.map(async ({ resource }) => {
      const [guard, line] = await Promise.all([
        this.readGuard(connection, resource),
        this.readLine(connection, resource),
      ]);
      return this.#found(resource, guard, line);
    });
    const [born, ...found] = await Promise.all([agreed, ...reads]);
    if (born.ok) return { kind: "found", found };
    const reborn = await this.reborn(connection, birth);
    if (reborn) return reborn;
    throw unsound("its birth is there and cannot be checked");
  }

  async change(birth: string, changes: readonly Change[]): Promise<Changed> {
    const connection = await this.#connectionOf(changes);
    const held = changes.map(({ fence }) => fence && this.installed.get(fence.nonce));
    const free = changes.map(({ resource, fence, stamp }) =>
      fence ? undefined : (this.#free.get(resource) ?? (stamp === 0n ? absent : undefined)),
    );
    // Without knowing the fence nothing can be checked: it is asked for first.
    if (changes.some((_, i) => !held[i] && !free[i])) return await this.find(birth, changes);
    const stamped: number[] = [];
    let parts = 1;
    const done = await this.transact(connection, (transaction) => {
      this.checkBirth(transaction, birth);
      for (const [i, change] of changes.entries()) {
        parts += this.#checkFence(transaction, change.resource, held[i], free[i]);
        const [steps, written] = this.#write(transaction, change, birth);
        stamped[i] = parts + written;
        parts += steps;
      }
    });
    for (const [i, { resource }] of changes.entries()) {
      // A fence that was created now has a version of its own.
      if (free[i] && (!done.ok || free[i].version === 0)) this.#free.delete(resource);
      if (free[i]?.version === 0 && done.ok) this.#noteFree(resource, created);
    }
    if (!done.ok) return await this.find(birth, changes);
    return {
      kind: "changed",
      stamps: changes.map((_, i) => BigInt(done.value[stamped[i] ?? 0]?.stat?.version ?? 0)),
      tokens: changes.map(({ fence }, i) => fence?.token ?? free[i]?.token ?? 0n),
    };
  }

  /** Checks that a fence is what it was; how many parts that are. */
  #checkFence(
    parts: ZookeeperTransaction,
    resource: string,
    held: Installed | undefined,
    free: Free | undefined,
  ): number {
    const line = this.line(resource);
    if (held) {
      parts.check(held.path);
      parts.check(line, held.version);
      return 2;
    }
    if (free && free.version > 0) {
      parts.check(line, free.version);
      return 1;
    }
    parts.create(line, empty);
    parts.setData(line, empty, -1);
    return 2;
  }

  /** Writes a record; how many parts that are, and which of them says its version. */
  #write(
    parts: ZookeeperTransaction,
    { resource, stamp, record }: Change,
    birth: string,
  ): readonly [steps: number, written: number] {
    const path = this.guard(resource);
    if (!record) {
      // What was never written is kept so by the fence alone.
      if (stamp > 0n) parts.check(path, Number(stamp));
      return [stamp > 0n ? 1 : 0, 0];
    }
    const { value, version, token, operations } = record;
    const bytes = encodeGuard({ birth, value, version, token, operations, nonce: undefined });
    const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    if (stamp === 0n) parts.create(path, empty);
    parts.setData(path, data, stamp === 0n ? -1 : Number(stamp));
    return stamp === 0n ? [2, 1] : [1, 0];
  }

  #found(
    resource: string,
    { stamp, record }: { readonly stamp: bigint; readonly record: GuardRecord },
    line: LineRead,
  ): Found {
    const [first] = line.nodes;
    const { token } = line;
    if (first === undefined) this.#noteFree(resource, { version: line.version, token });
    else this.#free.delete(resource);
    // Who is the first and has not opened yet holds too: nobody may come in between.
    const nonce = first !== undefined && nonceOf(first) === line.nonce ? line.nonce : "";
    const holder =
      first === undefined
        ? undefined
        : { token, nonce, untilMs: Number.POSITIVE_INFINITY, endMs: Number.POSITIVE_INFINITY };
    return { stamp, record: { ...record, token, holder } };
  }

  #noteFree(resource: string, free: Free): void {
    this.#free.delete(resource);
    this.#free.set(resource, free);
    const oldest = this.#free.keys().next();
    if (this.#free.size > freeMax && oldest.done !== true) this.#free.delete(oldest.value);
  }

  /** That of the holder, so that its release comes after its commit. */
  async #connectionOf(changes: readonly Change[]): Promise<ZookeeperConnection> {
    for (const { fence } of changes) {
      const connection = fence && this.installed.get(fence.nonce)?.connection;
      if (connection && !connection.isOver) {
        await connection.ready();
        return connection;
      }
    }
    return await this.#sessions.any();
  }
}

const absent: Free = { version: 0, token: 0n };
/** After it was created and written once more. */
const created: Free = { version: 1, token: 0n };

/** The nonce in the name of a node. */
export const nonceOf = (name: string): string => name.slice(0, name.lastIndexOf("-"));

const sequenceOf = (name: string): number => Number(name.slice(name.lastIndexOf("-") + 1));

const unsound = (why: string): LockUnavailableError =>
  new LockUnavailableError(`ZooKeeper is not as it was: ${why}; nothing was written`, {
    backend: "zookeeper",
  });
