/**
 * The laws of a join semilattice, for states that random histories made. States are compared with
 * their dots: live cells, by actor and sequence, and the vector.
 */
import { expect, test } from "vitest";
import { Exchange } from "../../src/store/exchange.ts";
import { Cluster } from "../store/cluster.ts";
import { join, Replica } from "../store/replica.ts";
import { underSeeds } from "../store/seeds.ts";
import { type Dump, dump } from "../store/dump.ts";
import { World } from "../simulation/virtual-environment.ts";
import { runsOf, type TypeCase, typeCases } from "./type-cases.ts";

const runs = 300;
/** Added to a seed, so that two worlds do not draw the same actors. */
const elsewhere = 1_000_000;

/** Three replicas that know parts of each other, with floors of their own. */
function states(seed: number, typeCase: TypeCase): [Replica, Replica, Replica] {
  const weights = { write: 30, send: 20, deliver: 25, connect: 6, cut: 3, forget: 4 };
  const cluster = new Cluster({ seed, cases: [typeCase], weights, isChecked: false });
  for (let i = 0; i < 30; i++) cluster.step();
  for (const replica of cluster.replicas) replica.keyspace.flush();
  return cluster.replicas as [Replica, Replica, Replica];
}

/** The join of states, in this order, in a replica that is nobody's. */
function joined(world: World, ...replicas: readonly Replica[]): Replica {
  const into = new Replica("join", world.environment());
  for (const replica of replicas) join(into, replica);
  return into;
}

const stateOf = (replica: Replica): Dump => dump(replica.keyspace);

test.each(typeCases)(
  "joins of $collection are commutative, associative, idempotent",
  (typeCase) => {
    underSeeds({ runs: runsOf(typeCase, runs) }, (seed) => {
      const world = new World(seed + elsewhere);
      const [x, y, z] = states(seed, typeCase);
      const xy = joined(world, x, y);
      const yz = joined(world, y, z);
      const all = stateOf(joined(world, xy, z));
      expect(stateOf(joined(world, y, x))).toEqual(stateOf(xy));
      for (const other of [
        [x, yz],
        [z, y, x],
        [yz, xy],
        [x, y, z, x, xy, yz, z],
      ]) {
        expect(stateOf(joined(world, ...other))).toEqual(all);
      }
      const before = stateOf(xy);
      join(xy, x);
      join(xy, y);
      join(xy, xy);
      expect(stateOf(xy)).toEqual(before);
    });
  },
);

test.each(typeCases)("frames of $collection by another path or late change nothing", (typeCase) => {
  underSeeds({ runs: runsOf(typeCase, runs) }, (seed) => {
    const [x, y, z] = states(seed, typeCase);
    join(y, x);
    join(z, y);
    // All of x has come to z by way of y: x itself, late, has nothing new.
    const before = stateOf(z);
    const sender = new Exchange(x.exchanges, {
      told: x.keyspace.held,
      known: x.translate(new Map()),
    });
    const receiver = new Exchange(z.exchanges, {
      told: z.keyspace.held,
      known: z.translate(x.vector()),
    });
    for (let frame = sender.next(); frame; frame = sender.next()) receiver.receive(frame);
    expect(stateOf(z)).toEqual(before);
  });
});
