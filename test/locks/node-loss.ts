/** Nodes of a quorum are lost while clients write; what was acknowledged is kept in a ledger outside of the store. */
import { expect } from "vitest";
import type { Guarded, LockBackend } from "../../src/escalate/locks.ts";
import type { Cluster, Server } from "../servers/server.ts";
import { until } from "../servers/until.ts";
import { expectGrowing } from "./cases/leases.ts";
import { bytes, operationId, text } from "./trial.ts";

/** Who held when its node was lost holds others up for so long, and for a session of the store. */
const ttlMs = 2_000;
/** For an election and what it holds up. */
const outageMsMax = 20_000;
/** Before each loss and without who is lost, this must be acknowledged. */
const writesMin = 10;

interface Written {
  readonly token: bigint;
  readonly version: bigint;
}

/** What clients of one store write until they are told to stop: each value is the number of its version. */
class Load {
  /** As they were granted. */
  readonly tokens: bigint[] = [];
  /** What was acknowledged. */
  readonly ledger: Written[] = [];
  /** Writes that were never answered for sure. */
  unknown = 0;
  #isOver = false;
  readonly #running: Promise<void>[];

  constructor(clients: readonly LockBackend[]) {
    this.#running = clients.map((client) => this.#write(client));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }

  async #write(client: LockBackend): Promise<void> {
    while (!this.#isOver) {
      try {
        await using lease = await client.acquire("sum", { ttlMs, waitMs: outageMsMax });
        this.tokens.push(lease.token);
        const value = bytes(`${(lease.current?.version ?? 0n) + 1n}`);
        const id = operationId();
        const commit = async (): Promise<void> => {
          const [done] = await client.commit([{ lease, value }], id);
          this.ledger.push({ token: lease.token, version: done?.version ?? 0n });
        };
        // Asked again under its id, what was unknown becomes sure.
        await commit().catch(async () => {
          await commit().catch(() => this.unknown++);
        });
      } catch {
        // Not granted, or not for sure; the next turn asks again.
      }
    }
  }
}

/** Nothing acknowledged is missing, and nothing is there that nobody wrote. */
function expectKept({ tokens, ledger, unknown }: Load, last: Guarded | undefined): void {
  expectGrowing(tokens);
  const written = ledger.toSorted((left, right) => (left.version < right.version ? -1 : 1));
  expectGrowing(written.map(({ version }) => version));
  expectGrowing(written.map(({ token }) => token));
  const sum = Number(last?.version);
  expect(text(last)).toBe(`${sum}`);
  expect(sum).toBeGreaterThanOrEqual(Number(written.at(-1)?.version));
  // A version that is not in the ledger is of a write whose answer was lost.
  expect(sum - written.length).toBeGreaterThanOrEqual(0);
  expect(sum - written.length).toBeLessThanOrEqual(unknown);
}

/** Takes away one node after the other under load, and gives each back before the next. */
export async function loseNodes(options: {
  readonly cluster: Cluster;
  readonly connect: (hosts: readonly string[]) => LockBackend;
  readonly how: "kill" | "pause";
  /** Finds who is to be lost next. */
  readonly losses: readonly ((nodes: readonly Server[]) => Promise<Server>)[];
}): Promise<void> {
  const { cluster, connect, how, losses } = options;
  const { addresses } = cluster;
  // Some begin at the leader, some at a follower.
  const clients = addresses.map((_, i) =>
    connect([...addresses.slice(i), ...addresses.slice(0, i)]),
  );
  const load = new Load(clients);
  const writesMore = async (when: string): Promise<void> => {
    const before = load.ledger.length;
    const isMore = (): boolean => load.ledger.length >= before + writesMin;
    await until(`writes ${when}`, outageMsMax, isMore);
  };
  try {
    for (const lossOf of losses) {
      await writesMore("before");
      const node = await lossOf(cluster.nodes);
      await node[how]();
      await writesMore("without one");
      if (how === "pause") node.resume();
      else await node.restart();
    }
  } finally {
    for (const node of cluster.nodes) node.resume();
    await load.stop();
  }
  expectKept(load, await clients[0]?.read("sum"));
  await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
}

/** The one of that role. */
export const inRole =
  (roleOf: (node: Server) => Promise<string | undefined>, role: "leader" | "follower") =>
  async (nodes: readonly Server[]): Promise<Server> => {
    let found: Server | undefined;
    await until(`a ${role}`, outageMsMax, async () => {
      const roles = await Promise.all(nodes.map((node) => roleOf(node).catch(() => undefined)));
      found = nodes[roles.indexOf(role)];
      return found !== undefined && roles.includes("leader");
    });
    return found ?? expect.unreachable(`no ${role}`);
  };
