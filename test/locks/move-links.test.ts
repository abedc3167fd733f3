/** The lock authority moves, by hand or over a link, and the other replicas follow. */
import { describe, expect, test } from "vitest";
import { LockUnavailableError, UsageError } from "../../src/errors.ts";
import { moveAuthority, replaceLostAuthority } from "../../src/escalate/embedded/move.ts";
import type { EmbeddedLocks } from "../../src/escalate/locks/embedded.ts";
import { FaultyDisk } from "../storage/faulty-disk.ts";
import { type OnWrite, WatchedEngine } from "../storage/watched-engine.ts";
import { run } from "./scene.ts";
import { bytes, operationId, rejection } from "./trial.ts";
import { type Member, Village } from "./village.ts";

const ttlMs = 10_000;
const through: OnWrite = (go) => go();

describe("the others", () => {
  async function settled(): Promise<{
    readonly village: Village;
    readonly disks: readonly [FaultyDisk, FaultyDisk];
    readonly guest: Member;
  }> {
    const village = new Village();
    const disks = [new FaultyDisk(1), new FaultyDisk(2)] as const;
    const host = await village.open("host", { host: true, storage: disks[0] });
    const next = await village.open("next", { peers: ["host"], storage: disks[1] });
    const guest = await village.open("guest", { peers: ["host", "next"] });
    await village.pass();
    await village.write(guest, "x");
    await village.close(host);
    await village.close(next);
    return { village, disks, guest };
  }

  test("adopt the new place without a word, and ask there; the old one says where it is", async () => {
    const { village, disks, guest } = await settled();
    const [from, to] = await Promise.all(
      disks.map(async (disk) => ({
        ...{ engine: await disk.open(), name: "next", witness: village.machine.process() },
      })),
    );
    if (!from || !to) throw new Error("two are needed");
    await moveAuthority({ from, to, environment: village.world.environment() });
    await from.engine.close();
    await to.engine.close();
    const old = await village.open("host", { storage: disks[0] });
    const next = await village.open("next", { peers: ["host"], storage: disks[1] });
    await village.pass(60_000);
    for (const member of [guest, next, old]) {
      expect(await village.read(member)).toBe("x");
      expect(member.warnings).toEqual([]);
      expect(member.replica.status().locks).toMatchObject({ host: "next", isServing: true });
    }
    await village.close(old);
    const claiming = await rejection(village.open("host", { host: true, storage: disks[0] }));
    expect(claiming).toBeInstanceOf(UsageError);
    expect(claiming.message).toContain("next");
  });

  test("adopt one that was put in the place of a lost one, with tokens above all that were seen", async () => {
    const { village, disks, guest } = await settled();
    const before = await village.open("host", { storage: disks[0] });
    await village.pass(60_000);
    const lease = await run(village.world, guest.locks.acquire("t", { ttlMs, waitMs: 0 }));
    await village.close(before);
    const engine = await disks[1].open();
    const { lost, claim } = await replaceLostAuthority(
      { engine, name: "next" },
      village.world.environment(),
    );
    expect(claim.replaces).toEqual([lost.authority]);
    await engine.close();
    const next = await village.open("next", { storage: disks[1] });
    await village.pass(60_000);
    expect(guest.replica.status().locks).toMatchObject({ host: "next", isServing: true });
    const again = await run(village.world, next.locks.acquire("t", { ttlMs, waitMs: 0 }));
    expect(again.token).toBeGreaterThan(lease.token);
    // It comes back all the same.
    const back = await village.open("host", { storage: disks[0], peers: ["next"] });
    await village.pass(60_000);
    expect(back.replica.status().locks).toMatchObject({ host: "next", isHost: false });
    expect(back.warnings).toEqual([expect.stringContaining("our claim to be")]);
  });

  test("an operator's word puts a host above its copies, and they give up", async () => {
    const village = new Village();
    const disk = new FaultyDisk(1);
    const host = await village.open("host", { host: true, storage: disk });
    const guest = await village.open("guest", { peers: ["host", "copy"] });
    await village.pass();
    await village.write(guest, "x");
    const copied = disk.copy();
    village.network.cut("host", "guest");
    village.machine.reboot();
    const storage = { open: () => copied.open(), exclusive: true };
    const copy = await village.open("copy", { storage });
    await village.pass(60_000);
    expect(await village.read(guest)).toBe("x");
    expect(guest.replica.status().locks).toMatchObject({ host: "copy" });
    village.network.heal();
    await village.pass(60_000);
    expect(host.replica.status().locks).toMatchObject({ host: "copy", isHost: false });
    expect(await village.read(host)).toBe("x");
    expect(host.warnings).toEqual([expect.stringContaining("our claim to be")]);
    expect(copy.warnings).toEqual([]);
  });

  test("notice that a host was set back by the starts that they know of, and so does the host", async () => {
    const village = new Village();
    const disk = new FaultyDisk(1);
    const open = () => village.open("host", { storage: disk, host: true });
    const guest = await village.open("guest", { peers: ["host"] });
    let host = await open();
    await village.pass(60_000);
    await village.write(guest, "x");
    await village.close(host);
    const image = disk.image();
    host = await open();
    await village.pass(60_000);
    expect(await village.read(guest)).toBe("x");
    await village.close(host);
    disk.restore(image);
    village.machine.reboot();
    host = await open();
    await village.pass(60_000);
    expect(await village.refusal(guest)).toBeInstanceOf(LockUnavailableError);
    expect(host.warnings).toEqual([expect.stringContaining("runs twice")]);
  });
});

describe("over a link", () => {
  /** A host with guards, and who is to have them, on disks whose writes pass `onWrite`. */
  class Pair {
    readonly village = new Village();
    readonly disks = [new FaultyDisk(1), new FaultyDisk(2)] as const;
    readonly id = operationId();
    onWrite: OnWrite = through;
    #members: readonly Member[] = [];

    async open(): Promise<readonly [Member, Member]> {
      const [host, next] = this.disks.map((disk) => ({
        storage: {
          open: async () =>
            new WatchedEngine(await disk.open(), (...write) => this.onWrite(...write)),
        },
      }));
      const members = [
        await this.village.open("host", { ...host }),
        await this.village.open("next", { ...next, peers: ["host"] }),
      ] as const;
      this.#members = members;
      await this.village.pass();
      return members;
    }

    async prepare(values: number): Promise<void> {
      const host = await this.village.open("host", { host: true, storage: this.disks[0] });
      for (let i = 0; i < values; i++) {
        const written = host.locks.compareAndSet(
          `r${i}`,
          undefined,
          bytes(`${i}`),
          `${this.id}${i}`,
        );
        await run(this.village.world, written);
      }
      await this.village.close(host);
    }

    take(next: Member): Promise<unknown> {
      return (next.locks as EmbeddedLocks).takeOver();
    }

    /** Both processes end at once. */
    crash(): void {
      for (const disk of this.disks) disk.crash();
      for (const name of ["host", "next"]) this.village.network.kill(name);
      for (const { kill } of this.#members) kill();
    }
  }

  test("a live host gives all its guards away, in pages, and the others follow", async () => {
    const pair = new Pair();
    const { village } = pair;
    await pair.prepare(1_500);
    const [host, next] = await pair.open();
    const guest = await village.open("guest", { peers: ["host", "next"] });
    await village.pass();
    const lease = await run(village.world, guest.locks.acquire("held", { ttlMs, waitMs: 0 }));
    await run(village.world, pair.take(next));
    await village.pass(100);
    expect(host.replica.status().locks).toMatchObject({ host: "next", isHost: false });
    expect(next.replica.status().locks).toMatchObject({ isHost: true, isServing: true });
    // Its holder goes on, and every value is there.
    await run(village.world, guest.locks.commit([{ lease, value: bytes("y") }], operationId()));
    for (const member of [host, next, guest]) {
      expect(await village.read(member, "held")).toBe("y");
      expect(await village.read(member, "r1499")).toBe("1499");
      expect(member.warnings).toEqual([]);
    }
  });

  test("only a replica with a disk takes it, and only from who has it", async () => {
    const village = new Village();
    const host = await village.open("host", { host: true });
    const next = await village.open("next", { peers: ["host"], storage: new FaultyDisk(1) });
    await village.pass();
    const memory = await village.open("memory", { peers: ["host"] });
    const take = ({ locks }: Member): Promise<Error> =>
      run(village.world, rejection((locks as EmbeddedLocks).takeOver()));
    expect(await take(memory)).toBeInstanceOf(UsageError);
    expect((await take(next)).message).toContain("no guards on a disk");
    await village.write(next, "x");
    expect(await village.read(host)).toBe("x");
  });

  test("is crash-safe at every write of both, and goes on when it is asked for again", async () => {
    let crashes = 0;
    for (let at = 1; ; at++) {
      let isDone = false;
      for (const moment of ["before", "within", "after"] as const) {
        const pair = new Pair();
        const { world } = pair.village;
        await pair.prepare(2);
        const [host, next] = await pair.open();
        await pair.village.read(host, "r0");
        let writes = 0;
        let hasCrashed = false;
        const crash = (): Promise<never> => {
          hasCrashed = true;
          pair.onWrite = through;
          pair.crash();
          return new Promise(() => undefined);
        };
        pair.onWrite = async (go, { sync }) => {
          if (!sync || ++writes !== at) return go();
          if (moment === "before") return crash();
          const written = go();
          if (moment === "within") return crash();
          await written;
          return crash();
        };
        let isOver = false;
        const over = (): void => void (isOver = true);
        pair.take(next).then(over, over);
        await world.settle({ until: () => isOver || hasCrashed, forMs: 60_000 });
        isDone = !hasCrashed;
        if (isDone) break;
        crashes++;
        const [again, then] = await pair.open();
        const serving = [again, then].filter(
          ({ replica }) => (replica.status().locks as { isHost?: boolean }).isHost === true,
        );
        expect(serving.length, `${moment} ${at}`).toBeLessThanOrEqual(1);
        await pair.village.pass(60_000);
        await run(world, pair.take(then));
        await pair.village.pass(1_000);
        for (const member of [again, then]) {
          expect(member.replica.status().locks, `${moment} ${at}`).toMatchObject({ host: "next" });
          expect(await pair.village.read(member, "r1")).toBe("1");
          const same = member.locks.compareAndSet("r1", undefined, bytes("1"), `${pair.id}1`);
          expect(await run(world, same)).toMatchObject({ version: 1n });
        }
      }
      if (isDone) break;
    }
    // At least the offer, the seal and the guards.
    expect(crashes).toBeGreaterThanOrEqual(3 * 3);
  });
});
