/** Replicas on one network in memory, under one seed: what the tests of this folder run on. */
import { counter, orSet } from "../../src/crdt/index.ts";
import { openCollections } from "../../src/store/collections/open.ts";
import type { FreeCollections } from "../../src/store/collections/types.ts";
import { Exchanges } from "../../src/store/exchanges.ts";
import { defaultFrameLimits, type FrameLimits } from "../../src/store/frame.ts";
import { Keyspace } from "../../src/store/keyspace.ts";
import type { Schema } from "../../src/store/schema.ts";
import { Sync, type SyncOptions } from "../../src/sync/sync.ts";
import { MemoryNetwork } from "../../src/sync/transport/memory.ts";
import { type VirtualEnvironment, World } from "../simulation/virtual-environment.ts";

export const schema = { likes: counter(), tags: orSet() };

/** A keyspace with its links. */
export interface Node<S extends Schema = typeof schema> {
  readonly host: string;
  readonly environment: VirtualEnvironment;
  readonly keyspace: Keyspace;
  readonly collections: FreeCollections<S>;
  readonly sync: Sync;
}

/** How one node differs from the others. */
export type NodeOptions = Partial<SyncOptions> & {
  readonly skewMs?: number;
  readonly limits?: FrameLimits;
};

export class Cluster {
  readonly world: World;
  readonly network: MemoryNetwork;
  readonly nodes: Node[] = [];

  constructor(seed = 1) {
    this.world = new World(seed);
    this.network = new MemoryNetwork(this.world.environment());
  }

  /** Opens a replica that listens at `mem://host` and dials `peers`. */
  async open(
    host: string,
    peers: readonly string[] = [],
    options: NodeOptions = {},
  ): Promise<Node> {
    const node = await this.openWith(schema, host, peers, options);
    this.nodes.push(node);
    return node;
  }

  async openWith<S extends Schema>(
    ofSchema: S,
    host: string,
    peers: readonly string[] = [],
    options: NodeOptions = {},
  ): Promise<Node<S>> {
    const { skewMs = 0, limits = defaultFrameLimits, ...rest } = options;
    const environment = this.world.environment({ skewMs });
    const keyspace = new Keyspace({ schema: ofSchema, environment });
    const sync = new Sync({
      keyspace,
      exchanges: new Exchanges(keyspace, limits),
      environment,
      transport: this.network.transport(host, environment),
      name: host,
      listen: { port: 0 },
      peers: peers.map((peer) => `mem://${peer}`),
      ...rest,
    });
    const collections = openCollections(keyspace, ofSchema);
    await sync.start();
    return { host, environment, keyspace, collections, sync };
  }

  /** Whether all replicas that run hold the same vector, told to each other. */
  isAlike(): boolean {
    const [first, ...others] = this.nodes;
    if (first === undefined) return true;
    const vector = namedVector(first);
    return others.every((node) => namedVector(node) === vector);
  }

  /** Runs until all are alike and have met whom they dial. */
  async converge(forMs = 120_000): Promise<void> {
    for (const { keyspace } of this.nodes) keyspace.flush();
    const ended = await this.world.settle({
      forMs,
      until: () => this.isAlike() && this.nodes.every(({ sync }) => sync.members.isSynced),
    });
    if (ended !== "until") {
      const states = this.nodes.map((node) => [node.host, namedVector(node), stateOf(node)]);
      throw new Error(`seed ${this.world.seed}: no convergence: ${JSON.stringify(states)}`);
    }
  }
}

/** A replica's vector by actors' names. */
export function namedVector({ keyspace }: Node<Schema>): string {
  return [...keyspace.held.entries()]
    .map(([actor, sequence]) => `${keyspace.actors.name(actor)}:${sequence}`)
    .sort()
    .join(" ");
}

const stateOf = ({ sync }: Node): unknown =>
  sync.peers.map(({ url, state, lastEnd, lagBatches }) => ({ url, state, lastEnd, lagBatches }));
