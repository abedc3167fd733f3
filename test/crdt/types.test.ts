import { expect, test } from "vitest";
import * as types from "../../src/crdt/index.ts";
import { Cluster } from "../store/cluster.ts";
import { underSeeds } from "../store/seeds.ts";
import { runsOf, schema, typeCases } from "./type-cases.ts";

const runs = 300;
const steps = 60;

/** What is decided outside the replicas has its tests in `test/fenced` and `test/escrow`. */
const guarded = ["boundedCounter", "fencedRegister", "uniqueClaims"];

/** A type that is there already, with keys that expire. */
const variants = ["sessions"];

/** Types of other libraries, each in an entry point of its own. */
const bridged = ["documents", "drafts"];

test("every type has a case in the table", () => {
  expect(Object.keys(types)).toEqual(expect.arrayContaining(guarded));
  expect(Object.keys(types).length - guarded.length + variants.length + bridged.length).toBe(
    typeCases.length,
  );
  expect(typeCases.map(({ collection }) => collection)).toEqual(Object.keys(schema));
});

test.each(typeCases)("$collection show at every step what their meaning says", (typeCase) => {
  underSeeds({ runs: runsOf(typeCase, runs) }, (seed) => {
    const cluster = new Cluster({ seed, cases: [typeCase] });
    for (let i = 0; i < steps; i++) cluster.step();
    cluster.heal();
    cluster.assertForgotten();
    expect(cluster.writes.length).toBeGreaterThan(0);
  });
});
