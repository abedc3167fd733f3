/** What a live replica tells of what makes up a value. */
import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { Pace } from "../../src/store/compare/pace.ts";
import { provenanceOf, shownLengthMax, toldCellsMax } from "../../src/store/provenance.ts";
import { ProtocolError } from "../../src/errors.ts";
import { Cluster, type Node } from "./cluster.ts";
import { liar, through, witness } from "./observing.ts";

describe("the question what makes up a value", () => {
  test("is answered as a keyspace at hand answers, with who has seen each write", async () => {
    const cluster = new Cluster(1);
    const a = await cluster.open("a");
    const b = await cluster.open("b", ["a"]);
    a.collections.likes.increment("post", 2);
    b.collections.likes.decrement("post", 5);
    b.collections.tags.add("post", "x");
    await cluster.converge();
    a.collections.tags.remove("post", "x");
    await cluster.converge();
    cluster.network.cut("a", "b");
    a.collections.likes.increment("post", 40);
    a.keyspace.flush();
    const peer = await witness(cluster, "a");
    const place = { collection: "likes", key: "post", path: [] };
    const { found, actors, members } = await through(cluster, peer.provenance(place));
    expect(found).toEqual(await through(cluster, here(a, place)));
    const sequence = a.keyspace.held.at(a.keyspace.me);
    const common = { path: [], isLive: true, isHeld: false, value: "" };
    expect(found).toEqual({
      tag: "counter/1",
      count: 2,
      cells: [
        { ...common, actor: a.keyspace.actor, sequence, number: 42 },
        { ...common, actor: b.keyspace.actor, sequence: 1, number: -5 },
      ],
    });
    expect(actors.map(({ actor, held }) => [actor, held])).toEqual([
      [a.keyspace.actor, sequence],
      [b.keyspace.actor, 1],
    ]);
    // The cut is not noticed yet, or it is: in either case the last write is not acknowledged.
    expect(members).toHaveLength(1);
    const [ofA, ofB] = members[0]?.acknowledged ?? [];
    expect(ofA).toBeLessThan(sequence);
    expect(ofB).toBe(1);
    const removed = { collection: "tags", key: "post", path: ["x"] };
    const tags = await through(cluster, peer.provenance(removed));
    expect(tags.found?.cells).toMatchObject([{ path: ['"x"'], isLive: false }]);
  });

  test("about what is not there is answered with nothing", async () => {
    const cluster = new Cluster(2);
    const a = await cluster.open("a");
    a.collections.tags.add("post", "x");
    const peer = await witness(cluster, "a");
    for (const place of [
      { collection: "unheard of", key: "post", path: [] },
      { collection: "tags", key: "__proto__", path: [] },
      { collection: "tags", key: "post", path: ["y"] },
      { collection: "tags", key: "post", path: ["x", "x", null, 1, true] },
    ]) {
      const { found, actors } = await through(cluster, peer.provenance(place));
      expect([found, actors]).toEqual([undefined, []]);
    }
  });

  test("is answered with a bounded part of what is much, and how much there is", async () => {
    const cluster = new Cluster(3);
    const a = await cluster.open("a");
    for (let i = 0; i < 5_000; i++) a.collections.tags.add("post", `${i} ${"long".repeat(1_000)}`);
    const peer = await witness(cluster, "a");
    const before = peer.bytes;
    const place = { collection: "tags", key: "post", path: [] };
    const { found } = await through(cluster, peer.provenance(place));
    expect(found?.count).toBe(5_000);
    expect(found?.cells.length).toBeGreaterThan(100);
    expect(found?.cells.length).toBeLessThanOrEqual(toldCellsMax);
    expect(found?.cells[0]?.path[0]?.length).toBe(shownLengthMax + 1);
    expect(peer.bytes - before).toBeLessThan(200_000);
  });

  test("is not put to a peer of a version that does not know it, which is said", async () => {
    const cluster = new Cluster(4);
    // It says nothing of the questions that it knows, as versions before this one did.
    await liar(cluster, undefined);
    const peer = await witness(cluster, "liar");
    const asked = peer.provenance({ collection: "likes", key: "post", path: [] });
    const error = await asked.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UsageError);
    expect(String(error)).toContain("cannot tell what makes up a value");
    // The link goes on: it may be asked what it knows.
    expect(peer.hello.name).toBe("liar");
  });

  test("that is answered with something else ends the link", async () => {
    const cluster = new Cluster(5);
    await liar(cluster, { about: "digests", digests: [] }, { questions: 5 });
    const peer = await witness(cluster, "liar");
    const asked = peer.provenance({ collection: "likes", key: "post", path: [] });
    await expect(through(cluster, asked)).rejects.toBeInstanceOf(ProtocolError);
  });
});

const here = (
  { keyspace, environment }: Node,
  place: { readonly collection: string; readonly key: string; readonly path: readonly string[] },
) => provenanceOf(keyspace, place, new Pace(environment));
