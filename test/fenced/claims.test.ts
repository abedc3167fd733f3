/** Names with one owner each. */
import { describe, expect, test } from "vitest";
import {
  AlreadyClaimedError,
  ConflictError,
  InvalidValueError,
  UnknownOutcomeError,
} from "../../src/errors.ts";
import { rejection } from "../locks/trial.ts";
import { Cluster, join } from "./scene.ts";

describe("a claim", () => {
  test("of many at once one wins, and the others are told who", async () => {
    const cluster = new Cluster();
    const sites = Array.from({ length: 5 }, () => cluster.site());
    const claims = sites.flatMap((site, i) =>
      [0, 1].map(async (j) => {
        const owner = `u:${i}${j}`;
        try {
          await site.username.claim("ada", owner);
          return { owner, won: true };
        } catch (error) {
          if (!(error instanceof AlreadyClaimedError)) throw error;
          return { owner, won: false, by: error.owner };
        }
      }),
    );
    const outcomes = await cluster.run(Promise.all(claims));
    const [winner, ...others] = outcomes.filter(({ won }) => won);
    expect(others).toEqual([]);
    expect(new Set(outcomes.flatMap(({ by }) => by ?? []))).toEqual(new Set([winner?.owner]));
    const told = sites.flatMap(({ conflicts }) => conflicts);
    expect(told).toHaveLength(9);
    expect(told[0]).toMatchObject({ collection: "username", key: "ada", value: winner?.owner });
    // Whoever was refused knows the owner from then on.
    expect(new Set(sites.map(({ username }) => username.owner("ada")))).toEqual(
      new Set([winner?.owner]),
    );
  });

  test("may be repeated, released by its owner only, released again, and then belongs to the next", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    await cluster.run(a.username.claim("ada", "u:1"));
    await cluster.run(b.username.claim("ada", "u:1"));
    expect(await cluster.run(rejection(b.username.release("ada", "u:2")))).toBeInstanceOf(
      ConflictError,
    );
    await cluster.run(b.username.release("ada", "u:1"));
    await cluster.run(a.username.release("ada", "u:1"));
    await cluster.run(a.username.release("never claimed", "u:1"));
    expect(await cluster.run(a.username.readOwner("ada"))).toBeUndefined();
    expect([a.username.has("ada"), a.username.size(), a.username.keys()]).toEqual([false, 0, []]);
    await cluster.run(b.username.at("ada").claim("u:2"));
    expect(await cluster.run(a.username.at("ada").readOwner())).toBe("u:2");
    expect(await cluster.run(rejection(a.username.release("ada", "u:1")))).toBeInstanceOf(
      ConflictError,
    );
    expect(a.conflicts).toEqual([]);
  });

  test("is taken away from whoever has it, if that is what is asked", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    await cluster.run(a.username.claim("ada", "u:1"));
    await cluster.run(b.username.delete("ada"));
    join(a, b);
    expect(a.username.owner("ada")).toBeUndefined();
  });

  test("of names and by owners that are none is refused", async () => {
    const cluster = new Cluster();
    const { username } = cluster.site();
    const wrong = [
      username.claim("\ud800", "u"),
      username.claim("ada", "x".repeat(1_025)),
      username.claim("ada", 7 as never),
    ];
    for (const claim of wrong.map(rejection)) {
      expect(await cluster.run(claim)).toBeInstanceOf(InvalidValueError);
    }
    await cluster.run(username.claim("__proto__", ""));
    expect([username.owner("__proto__"), username.keys()]).toEqual(["", ["__proto__"]]);
  });

  test("finds itself again when the answer was lost, and never loses to itself", async () => {
    const cluster = new Cluster();
    const { username, way, conflicts } = cluster.site();
    way.fault = "none";
    await cluster.run(username.claim("other", "u"));
    way.fault = "lose-replies";
    const claim = username.claim("other two", "u", { waitMs: 10_000 });
    await cluster.world.settle({ forMs: 300 });
    way.fault = "none";
    await cluster.run(claim);
    way.fault = "lose-replies";
    const late = username.release("other", "u", { waitMs: 200 });
    expect(await cluster.run(rejection(late))).toBeInstanceOf(UnknownOutcomeError);
    way.fault = "none";
    await cluster.run(username.release("other", "u"));
    expect([await cluster.run(username.readOwner("other")), conflicts]).toEqual([undefined, []]);
  });
});
