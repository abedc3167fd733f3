/** Who is the lock authority of a cluster: replicas on one network in memory, in virtual time. */
import { expect, test } from "vitest";
import { LockUnavailableError, UsageError } from "../../src/errors.ts";
import { judge, type Claim } from "../../src/escalate/embedded/standing.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import { openReplica } from "../../src/index.ts";
import { FaultyDisk } from "../storage/faulty-disk.ts";
import { run } from "./scene.ts";
import { bytes, operationId, rejection, text } from "./trial.ts";
import { type Member, schema, Village } from "./village.ts";

const statusOf = ({ replica }: Member): unknown => replica.status().locks;

test("the replica that hosts is found over the links, also by who is opened with no locks at all", async () => {
  const village = new Village();
  const host = await village.open("host", { host: true });
  const guest = await village.open("guest", { peers: ["host"] });
  const environment = village.world.environment();
  await village.pass();
  await village.write(guest, "x");
  expect(await village.read(host)).toBe("x");
  expect(statusOf(host)).toMatchObject({ host: "host", isHost: true, isServing: true });
  expect(statusOf(guest)).toMatchObject({ host: "host", isHost: false, isServing: true });
  expect(environment.now()).toBeGreaterThan(0);
  expect(guest.locks.guarantees).toMatchObject({ fencing: "until-restart", faultTolerant: false });
});

test("a replica with neither a port nor peers hosts its own, and writes nothing before it is asked", async () => {
  const village = new Village();
  const disk = new FaultyDisk(1);
  const alone = await openReplica({ schema, storage: disk });
  await alone.close();
  const before = disk.image().records.size;
  const environment = village.world.environment();
  for (const round of ["1", "2"]) {
    const locks = embeddedLocks({ environment });
    const replica = await openReplica({ schema, storage: disk, locks });
    expect(disk.image().records.size - before).toBe(round === "1" ? 0 : 4);
    expect(locks.guarantees.fencing).toBe("durable");
    const written = locks.compareAndSet(`r${round}`, undefined, bytes(round), operationId());
    expect(await run(village.world, written)).toMatchObject({ version: 1n });
    expect(text(await run(village.world, locks.read("r1")))).toBe("1");
    // The replica itself is in real time.
    await replica.close();
  }
});

test("with no authority in reach it says how to name one, and free operations go on", async () => {
  const village = new Village();
  const one = await village.open("one");
  const refused = await village.refusal(one);
  expect(refused).toBeInstanceOf(LockUnavailableError);
  expect(refused.message).toContain("embeddedLocks({ host: true })");
  const host = await village.open("host", { host: true });
  one.replica.addPeer("mem://host");
  await village.pass();
  await village.write(one, "x");
  await village.close(host);
  await village.pass();
  one.replica.collections.likes.increment("post");
  expect(one.replica.collections.likes.value("post")).toBe(1);
  const away = await village.refusal(one);
  expect(away).toBeInstanceOf(LockUnavailableError);
  expect(away.message).toContain("no link to it stands");
});

test("a second one that claims the part is refused, loudly, and asks the first", async () => {
  const village = new Village();
  const host = await village.open("host", { host: true });
  await village.write(host, "x");
  const other = await village.open("other", { host: true, peers: ["host"] });
  await village.pass();
  expect(await village.read(other)).toBe("x");
  expect(other.warnings).toEqual([expect.stringContaining("our claim to be the lock authority")]);
  expect(statusOf(other)).toMatchObject({ host: "host", isHost: false });
  expect(statusOf(host)).toMatchObject({ host: "host", isHost: true, isServing: true });
});

test("a claim that somebody heard of first does not outlive the one that is in use", async () => {
  const village = new Village();
  const host = await village.open("host", { host: true });
  await village.write(host, "x");
  const late = await village.open("late", { host: true });
  const guest = await village.open("guest", { peers: ["late"] });
  await village.pass();
  expect(statusOf(guest)).toMatchObject({ host: "late" });
  guest.replica.addPeer("mem://host");
  await village.pass();
  expect(statusOf(guest)).toMatchObject({ host: "host", isServing: true });
  expect(late.warnings).toHaveLength(1);
  // By way of the guest.
  expect(await village.read(late)).toBe("x");
  expect(statusOf(late)).toMatchObject({ host: "host", isHost: false });
});

test("two that were asked meet: none of them serves, and all say so", async () => {
  const village = new Village();
  const [one, two] = [
    await village.open("one", { host: true }),
    await village.open("two", { host: true }),
  ];
  const guest = await village.open("guest", { peers: ["one"] });
  await village.pass();
  await village.write(guest, "1");
  await village.write(two, "2");
  guest.replica.addPeer("mem://two");
  await village.pass();
  for (const member of [one, two, guest]) {
    expect(await village.refusal(member)).toBeInstanceOf(LockUnavailableError);
    expect(member.warnings).toEqual([expect.stringContaining("two lock authorities were asked")]);
    expect(statusOf(member)).toMatchObject({ isServing: false });
  }
});

test("who is the authority stays known on every disk, and no other may be opened as one there", async () => {
  const village = new Village();
  const disks = [new FaultyDisk(1), new FaultyDisk(2)] as const;
  const host = await village.open("host", { host: true, storage: disks[0] });
  const guest = await village.open("guest", { peers: ["host"], storage: disks[1] });
  await village.pass();
  await village.write(guest, "x");
  expect(guest.locks.guarantees.fencing).toBe("durable");
  await village.close(guest);
  await village.close(host);
  const claiming = rejection(village.open("guest", { host: true, storage: disks[1] }));
  expect(await claiming).toBeInstanceOf(UsageError);
  const back = await village.open("guest", { peers: ["host"], storage: disks[1] });
  expect(statusOf(back)).toMatchObject({ host: "host", isServing: false });
  // It is the authority whether it is told so again or not.
  const again = await village.open("host", { storage: disks[0] });
  await village.pass();
  expect(await village.read(back)).toBe("x");
  expect(statusOf(again)).toMatchObject({ isHost: true });
});

test("a host whose disk is full opens all the same, and serves when it is not", async () => {
  const village = new Village();
  const disk = new FaultyDisk(1);
  const host = await village.open("host", { host: true, storage: disk });
  await village.write(host, "x");
  await village.close(host);
  disk.isFull = true;
  const again = await village.open("host", { host: true, storage: disk });
  again.replica.collections.likes.increment("post");
  expect(await village.refusal(again)).toBeInstanceOf(LockUnavailableError);
  disk.isFull = false;
  expect(await village.read(again)).toBe("x");
});

test("one whose directory was copied, and its copy, do not serve once they have met", async () => {
  const village = new Village();
  const disk = new FaultyDisk(1);
  const host = await village.open("host", { host: true, storage: disk });
  await village.write(host, "x");
  const copy = await village.open("copy", { host: true, storage: disk.copy(), peers: ["host"] });
  const guest = await village.open("guest", { peers: ["host"] });
  await village.pass();
  for (const member of [host, copy, guest]) {
    expect(await village.refusal(member)).toBeInstanceOf(LockUnavailableError);
    expect(member.warnings).toEqual([expect.stringContaining("runs twice")]);
  }
});

test("one whose directory is empty again is refused by those who knew it", async () => {
  const village = new Village();
  const host = await village.open("host", { host: true, storage: new FaultyDisk(1) });
  const guest = await village.open("guest", { peers: ["host"] });
  await village.pass();
  await village.write(guest, "x");
  await village.close(host);
  const wiped = await village.open("host", { host: true, storage: new FaultyDisk(2) });
  await village.pass(60_000);
  expect(wiped.warnings).toEqual([expect.stringContaining("our claim to be the lock authority")]);
  expect(await village.refusal(guest)).toBeInstanceOf(LockUnavailableError);
  expect(await village.refusal(wiped)).toBeInstanceOf(LockUnavailableError);
});

test("closing a replica gives back what it holds, while the links stand", async () => {
  const village = new Village();
  const host = await village.open("host", { host: true });
  const guest = await village.open("guest", { peers: ["host"] });
  await village.pass();
  await run(village.world, guest.locks.acquire("r", { ttlMs: 60_000, waitMs: 0 }));
  await village.close(guest);
  const next = host.locks.acquire("r", { ttlMs: 60_000, waitMs: 0 });
  await run(village.world, next);
  expect((await next).token).toBeGreaterThan(0n);
});

test("locks belong to one replica, and are refused without one", async () => {
  const village = new Village();
  const { locks } = await village.open("one");
  const second = openReplica({ schema, locks });
  expect(await rejection(second)).toBeInstanceOf(UsageError);
  const environment = village.world.environment();
  const loose = embeddedLocks({ environment });
  const refused = await run(village.world, rejection(loose.read("r")));
  expect(refused).toBeInstanceOf(LockUnavailableError);
});

test("claims are judged alike by all, whatever they heard first", () => {
  const claims = ["a", "b"].flatMap((authority) =>
    [false, true].map((isEstablished): Claim => ({
      authority,
      host: "h",
      isDurable: true,
      isEstablished,
      generation: 0,
      epoch: 1,
      replaces: [],
    })),
  );
  const after = (recorded: Claim, heard: Claim): string => {
    const judgement = judge(recorded, heard);
    if (judgement === "adopt") return heard.authority;
    return judgement === "dispute" ? "dispute" : recorded.authority;
  };
  for (const left of claims) {
    expect(judge(undefined, left)).toBe("adopt");
    for (const right of claims) expect(after(left, right)).toBe(after(right, left));
  }
});
