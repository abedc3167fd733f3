/** The lock authority is reached over other replicas: in stars, in chains, and while links come and go. */
import { describe, expect, test } from "vitest";
import { distanceMax } from "../../src/escalate/embedded/standing.ts";
import { Random } from "../simulation/virtual-environment.ts";
import { run } from "./scene.ts";
import { bytes, operationId, rejection, text } from "./trial.ts";
import { type Member, Village } from "./village.ts";

const ttlMs = 10_000;

/** Each dials the one before it; the first one hosts. */
async function chain(village: Village, length: number): Promise<Member[]> {
  const members: Member[] = [];
  for (let i = 0; i < length; i++) {
    const options = i === 0 ? { host: true } : { peers: [`m${i - 1}`] };
    members.push(await village.open(`m${i}`, options));
  }
  await village.pass();
  return members;
}

const last = (members: readonly Member[]): Member => {
  const member = members.at(-1);
  if (!member) throw new Error("nobody");
  return member;
};

test("a leaf of a star hosts, and the other leaves reach it over the middle", async () => {
  const village = new Village();
  const middle = await village.open("middle");
  const host = await village.open("host", { host: true, peers: ["middle"] });
  const leaf = await village.open("leaf", { peers: ["middle"] });
  await village.pass();
  await village.write(leaf, "x");
  expect(await village.read(host)).toBe("x");
  expect(await village.read(middle)).toBe("x");
  expect(leaf.replica.status().locks).toMatchObject({ isHost: false, isServing: true });
});

test("a chain of four: leases, turns in line and commits go from end to end", async () => {
  const village = new Village();
  const members = await chain(village, 4);
  const { world } = village;
  const [host, far] = [members[0], last(members)];
  if (!host) throw new Error("nobody");
  const held = await run(world, host.locks.acquire("r", { ttlMs, waitMs: 0 }));
  const waiting = far.locks.acquire("r", { ttlMs, waitMs: 60_000 });
  await village.pass(500);
  const before = village.world.nowMs;
  await run(world, held.release());
  const lease = await run(world, waiting);
  expect(lease.token).toBeGreaterThan(held.token);
  // It was told of its turn, over three links, and did not only ask again.
  expect(village.world.nowMs - before).toBeLessThan(45);
  await run(world, far.locks.commit([{ lease, value: bytes("far") }], operationId()));
  expect(await village.read(host)).toBe("far");
});

test("when a link on the way is lost, what was asked is unknown or surely not done; another way is found", async () => {
  const village = new Village();
  const members = await chain(village, 4);
  const far = last(members);
  await village.write(far, "x");
  village.network.cut("m1", "m2");
  const refused = await run(village.world, rejection(far.locks.read("r")));
  expect(refused).toMatchObject({ code: "TRELLIS_LOCK_UNAVAILABLE" });
  await village.pass(20_000);
  expect(far.replica.status().locks).toMatchObject({ isServing: false });
  expect((await village.refusal(far)).message).toContain("no link to it stands");
  far.replica.addPeer("mem://m0");
  await village.pass();
  expect(await village.read(far)).toBe("x");
  // Also for the one in the middle, the other way round.
  expect(members[2] && (await village.read(members[2]))).toBe("x");
});

test(`beyond ${distanceMax} links it is not reached`, async () => {
  const village = new Village();
  const members = await chain(village, distanceMax + 2);
  await village.pass(10_000);
  const [near, far] = [members[distanceMax], members[distanceMax + 1]];
  expect(near && (await village.read(near))).toBeUndefined();
  expect(far && (await village.refusal(far)).message).toContain("no link to it stands");
});

test("when the host is gone, those in a circle stop asking each other", async () => {
  const village = new Village();
  const host = await village.open("host", { host: true });
  const circle = [
    await village.open("a", { peers: ["host"] }),
    await village.open("b", { peers: ["a"] }),
    await village.open("c", { peers: ["b", "a"] }),
  ];
  await village.pass();
  for (const member of circle) expect(await village.read(member)).toBeUndefined();
  await village.close(host);
  await village.pass(5_000);
  const before = village.network.messages;
  for (const member of circle) {
    expect(member.replica.status().locks).toMatchObject({ isServing: false });
    expect((await village.refusal(member)).message).toContain("no link to it stands");
  }
  expect(village.network.messages - before).toBeLessThan(20);
});

describe("while links come and go", () => {
  const names = ["m0", "m1", "m2", "m3", "m4", "m5"];

  /** What an outside ledger knows. */
  interface Tally {
    done: number;
    unknown: number;
    refused: number;
  }

  async function adding(member: Member, tally: Tally, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      try {
        await member.locks.operate?.("sum", { kind: "add", by: 1n }, operationId());
        tally.done++;
      } catch (error) {
        const { code } = error as { readonly code?: string };
        if (code === "TRELLIS_UNKNOWN_OUTCOME") tally.unknown++;
        else if (code === "TRELLIS_LOCK_UNAVAILABLE") tally.refused++;
        else throw error;
      }
      // The host itself would not let the clock move.
      await new Promise<void>((resolve) => {
        member.wait(20, resolve);
      });
    }
  }

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    "nothing is done twice, and nothing answered is lost (seed %i)",
    async (seed) => {
      const village = new Village(seed);
      const random = new Random(seed);
      const members: Member[] = [];
      for (const [i, name] of names.entries()) {
        // A ring with two chords, so that there is more than one way.
        const peers = i === 0 ? [] : [names[i - 1] ?? ""];
        if (i === 5) peers.push("m0");
        if (i === 3) peers.push("m0");
        if (i === 4) peers.push("m1");
        members.push(await village.open(name, { host: i === 2, peers }));
      }
      await village.pass();
      village.network.faults = {
        ...{ lossRate: 0.002, duplicateRate: 0.02, reorderRate: 0 },
        ...{ delayMsMin: 1, delayMsMax: 20 },
      };
      const tally: Tally = { done: 0, unknown: 0, refused: 0 };
      let isOver = false;
      const working = Promise.all(members.map((member) => adding(member, tally, () => isOver)));
      for (let round = 0; round < 25; round++) {
        const [left = "", right = ""] = [names[random.below(6)], names[random.below(6)]];
        if (left !== right) village.network.cut(left, right);
        if (random.chance(0.6)) village.network.heal();
        await village.pass(200 + random.below(1_500));
      }
      isOver = true;
      village.network.heal();
      village.network.faults = { ...village.network.faults, lossRate: 0, duplicateRate: 0 };
      await run(village.world, working);
      await village.pass(60_000);
      for (const member of members) {
        const sum = Number(text(await run(village.world, member.locks.read("sum"))));
        expect(sum).toBeGreaterThanOrEqual(tally.done);
        expect(sum).toBeLessThanOrEqual(tally.done + tally.unknown);
      }
      expect(tally.done).toBeGreaterThan(500);
      expect(tally.refused + tally.unknown).toBeGreaterThan(0);
    },
  );
});
