/** One replica under test: a keyspace with its collections, and the writes of its open batch. */
import { actorIdFromBytes } from "../../src/crdt/dot.ts";
import { VersionVector } from "../../src/crdt/version-vector.ts";
import { openCollections } from "../../src/store/collections/open.ts";
import { Exchange } from "../../src/store/exchange.ts";
import { Exchanges } from "../../src/store/exchanges.ts";
import { type Stage } from "../../src/store/stage.ts";
import type { FrameLimits } from "../../src/store/frame.ts";
import { Keyspace } from "../../src/store/keyspace.ts";
import type { Write } from "../crdt/specifications.ts";
import { schema, type TestCollections } from "../crdt/type-cases.ts";
import type { VirtualEnvironment } from "../simulation/virtual-environment.ts";
import { vectorOf } from "./dump.ts";

/** One replica, as the session of a real one would wire it. */
export class Replica {
  readonly name: string;
  readonly environment: VirtualEnvironment;
  readonly keyspace: Keyspace;
  readonly exchanges: Exchanges;
  readonly collections: TestCollections;
  /** Half-received series by sender, between links. */
  readonly stages = new Map<Replica, Stage>();
  /** Writes that are visible here with all that they had seen. */
  readonly closed = new Set<Write>();
  /** Writes of the open batch. */
  pending: Write[] = [];

  constructor(name: string, environment: VirtualEnvironment, limits?: FrameLimits) {
    this.name = name;
    this.environment = environment;
    this.keyspace = new Keyspace({ schema, environment });
    this.exchanges = new Exchanges(this.keyspace, limits);
    this.collections = openCollections(this.keyspace, schema);
    this.keyspace.listeners.add({ flushed: () => this.#flushed(), joined: () => undefined });
  }

  /** The vector by actor name, as a hello tells it. */
  vector(): Map<string, number> {
    this.keyspace.flush();
    return new Map(vectorOf(this.keyspace));
  }

  /** Of these writes, those that are visible here. */
  visible(writes: readonly Write[]): Write[] {
    const vector = new Map(vectorOf(this.keyspace));
    return writes.filter(
      (write) => (vector.get(write.actor) ?? 0) >= write.sequence || this.pending.includes(write),
    );
  }

  /** The vector that a peer told, in our numbers. */
  translate(vector: ReadonlyMap<string, number>): VersionVector {
    const ours = new VersionVector();
    for (const [name, sequence] of vector) {
      const bytes = Uint8Array.from(Buffer.from(name, "hex"));
      ours.raise(this.keyspace.actors.intern(actorIdFromBytes(bytes)), sequence);
    }
    return ours;
  }

  #flushed(): void {
    for (const write of this.pending) write.stamp = this.keyspace.clock.last;
    this.pending = [];
  }
}

/** `into` takes all that `from` has, over a link of one direction. */
export function join(into: Replica, from: Replica): void {
  const [sender, receiver] = [
    new Exchange(from.exchanges, {
      told: from.keyspace.held,
      known: from.translate(into.vector()),
    }),
    new Exchange(into.exchanges, {
      told: into.keyspace.held,
      known: into.translate(from.vector()),
    }),
  ];
  for (let frame = sender.next(); frame; frame = sender.next()) receiver.receive(frame);
  sender.close();
  receiver.close();
}
