/** One keyspace takes all that another has, over a link of one direction. */
import { actorIdFromBytes } from "../../../src/crdt/dot.ts";
import { VersionVector } from "../../../src/crdt/version-vector.ts";
import { Exchange } from "../../../src/store/exchange.ts";
import type { Exchanges } from "../../../src/store/exchanges.ts";
import type { Keyspace } from "../../../src/store/keyspace.ts";
import { vectorOf } from "../dump.ts";

/** One side of such a link. */
export interface Side {
  readonly keyspace: Keyspace;
  readonly exchanges: Exchanges;
}

export function joinInto(into: Side, from: Side): void {
  from.keyspace.flush();
  into.keyspace.flush();
  const sender = new Exchange(from.exchanges, {
    told: from.keyspace.held,
    known: translate(from.keyspace, into.keyspace),
  });
  const receiver = new Exchange(into.exchanges, {
    told: into.keyspace.held,
    known: translate(into.keyspace, from.keyspace),
  });
  for (let frame = sender.next(); frame; frame = sender.next()) receiver.receive(frame);
  sender.close();
  receiver.close();
}

/** The vector of one in the numbers of another. */
function translate(into: Keyspace, of: Keyspace): VersionVector {
  const ours = new VersionVector();
  for (const [name, sequence] of vectorOf(of)) {
    ours.raise(into.actors.intern(actorIdFromBytes(Buffer.from(name, "hex"))), sequence);
  }
  return ours;
}
