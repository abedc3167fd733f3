/** The lock authority moves from one store to another, and is replaced when it is lost. */
import { describe, expect, test } from "vitest";
import type { Environment } from "../../src/environment.ts";
import { LockUnavailableError, UsageError } from "../../src/errors.ts";
import { DurableAuthority } from "../../src/escalate/embedded/durable-authority.ts";
import { isSeated, keepClaim, readKeptSeat } from "../../src/escalate/embedded/guard-records.ts";
import { moveAuthority, type Moved } from "../../src/escalate/embedded/move.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { FaultyDisk } from "../storage/faulty-disk.ts";
import { type OnWrite, WatchedEngine } from "../storage/watched-engine.ts";
import { World } from "../simulation/virtual-environment.ts";
import { Machine, type MachineProcess } from "../witness/machine.ts";
import { clientOf } from "./durable-subject.ts";
import { run } from "./scene.ts";
import { bytes, operationId, rejection, text } from "./trial.ts";

const ttlMs = 10_000;
const through: OnWrite = (go) => go();

/** An authority that runs. */
interface Running {
  readonly client: LockBackend;
  readonly close: () => Promise<void>;
}

/** Disks on one machine; the first one is the authority, of two values and a lease that lives. */
class Removal {
  readonly world: World;
  readonly environment: Environment;
  readonly machine = new Machine();
  /** Processes that move. */
  readonly movers: MachineProcess[] = [];
  readonly from = new FaultyDisk(1);
  readonly to = new FaultyDisk(2);
  readonly id = operationId();
  token = 0n;

  constructor(seed = 1) {
    this.world = new World(seed);
    this.environment = this.world.environment();
  }

  async prepare(): Promise<this> {
    const engine = await this.from.open();
    const { client, close, authority } = this.#authorityOf(engine);
    const authorityId = await authority.birth();
    const claim = { authority: authorityId, generation: 0, epoch: 0, replaces: [], host: "one" };
    await keepClaim(engine, { ...claim, isDurable: true, isEstablished: true });
    for (const name of ["a", "b"]) {
      await run(this.world, client.compareAndSet(name, undefined, bytes(name), this.id + name));
    }
    const lease = await run(this.world, client.acquire("held", { ttlMs, waitMs: 0 }));
    this.token = lease.token;
    await close();
    return this;
  }

  /** Serves from it, if the part is there. */
  async serve(disk: FaultyDisk): Promise<Running | undefined> {
    const engine = await disk.open();
    if (isSeated(await readKeptSeat(engine))) return this.#authorityOf(engine);
    await engine.close();
    return undefined;
  }

  /** Serves from it. */
  async running(disk: FaultyDisk): Promise<Running> {
    const running = await this.serve(disk);
    if (!running) throw new Error("it is not there");
    return running;
  }

  #authorityOf(engine: Awaited<ReturnType<FaultyDisk["open"]>>): Running & {
    readonly authority: DurableAuthority;
  } {
    const { environment } = this;
    const process = this.machine.process();
    const authority = new DurableAuthority({ engine, environment, witness: process });
    const close = async (): Promise<void> => {
      await authority.close();
      await engine.close();
      process.kill();
    };
    return { authority, client: clientOf(authority, { environment }), close };
  }

  async move(onWrite = through, disks = [this.from, this.to], isExclusive = false): Promise<Moved> {
    const witness = this.machine.process();
    this.movers.push(witness);
    const [from, to] = await Promise.all(
      disks.map(async (disk, i) => ({
        engine: new WatchedEngine(await disk.open(), onWrite),
        ...{ name: `disk ${i}`, witness },
      })),
    );
    if (!from || !to) throw new Error("two are needed");
    try {
      return await moveAuthority({ from, to, environment: this.environment, isExclusive });
    } finally {
      await from.engine.close();
      await to.engine.close();
    }
  }

  /** What is there: `whole` if it is all that was, and goes on. */
  async found({ client }: Running): Promise<unknown> {
    const { world } = this;
    const guards = [];
    for (const name of ["a", "b"]) {
      const guarded = await run(world, client.read(name));
      // Asked again, it has no second effect.
      const again = client.compareAndSet(name, undefined, bytes(name), this.id + name);
      const { version } = await run(world, again);
      guards.push([text(guarded), guarded?.version, version]);
    }
    const early = await run(world, rejection(client.acquire("held", { ttlMs, waitMs: 0 })));
    const lease = await run(world, client.acquire("held", { ttlMs, waitMs: 2 * ttlMs }));
    return { guards, early: early.code, tokensGrow: lease.token > this.token };
  }
}

const whole = {
  guards: [
    ["a", 1n, 1n],
    ["b", 1n, 1n],
  ],
  early: "TRELLIS_LOCK_TIMEOUT",
  tokensGrow: true,
};

describe("moving", () => {
  test("takes values, versions, tokens, remembered ids and leases along; the old place refuses for good", async () => {
    const removal = await new Removal().prepare();
    const before = removal.from.copy();
    expect(await removal.move()).toMatchObject({ guards: 3, claim: { generation: 1 } });
    expect(await removal.serve(removal.from)).toBeUndefined();
    expect(await removal.serve(removal.from.copy())).toBeUndefined();
    expect(await removal.found(await removal.running(removal.to))).toEqual(whole);
    // Also a copy from before, on this machine.
    const copy = await removal.serve(before);
    const refused = copy && (await run(removal.world, rejection(copy.client.read("a"))));
    expect(refused).toBeInstanceOf(LockUnavailableError);
  });

  test("is crash-safe at every write: never two places serve, and the same move goes on", async () => {
    let crashes = 0;
    for (let at = 1; ; at++) {
      let isDone = false;
      for (const moment of ["before", "within", "after"] as const) {
        const removal = await new Removal().prepare();
        let writes = 0;
        let tellCrash = (): void => undefined;
        const crashed = new Promise<"crashed">((resolve) => {
          tellCrash = () => resolve("crashed");
        });
        const crash = (): Promise<never> => {
          for (const disk of [removal.from, removal.to]) disk.crash();
          for (const process of removal.movers) process.kill();
          tellCrash();
          return new Promise(() => undefined);
        };
        const moving = removal.move(async (go) => {
          writes++;
          if (writes !== at) return go();
          if (moment === "before") return crash();
          const done = go();
          if (moment === "within") return crash();
          await done;
          return crash();
        });
        const end = await Promise.race([moving, crashed]);
        isDone = end !== "crashed";
        if (isDone) break;
        crashes++;
        // Whoever serves now, it is one of them; the other does not also when the move has gone on.
        const running = [await removal.serve(removal.from), await removal.serve(removal.to)];
        expect(running.filter(Boolean).length, `${moment} ${at}`).toBeLessThanOrEqual(1);
        for (const one of running) await one?.close();
        const both = running[0] && (await removal.serve(removal.to));
        expect(both, `${moment} ${at}`).toBeUndefined();
        await removal.move();
        expect(await removal.serve(removal.from), `${moment} ${at}`).toBeUndefined();
        expect(await removal.found(await removal.running(removal.to))).toEqual(whole);
      }
      if (isDone) break;
    }
    // Offer, seal, the guards, and the end of it.
    expect(crashes).toBe(3 * 4);
  });

  test("that was begun goes on to the same place only", async () => {
    const removal = await new Removal().prepare();
    let writes = 0;
    const refusing: OnWrite = (go) => (++writes === 3 ? Promise.reject(new Error("full")) : go());
    await expect(removal.move(refusing)).rejects.toThrow("full");
    expect(await removal.serve(removal.from)).toBeUndefined();
    const elsewhere = removal.move(through, [removal.from, new FaultyDisk(3)]);
    expect(await rejection(elsewhere)).toMatchObject({ code: "TRELLIS_USAGE" });
    await removal.move();
    expect(await removal.found(await removal.running(removal.to))).toEqual(whole);
  });

  test("goes to another place when an operator says that the one it was begun to is lost", async () => {
    const removal = await new Removal().prepare();
    let writes = 0;
    const refusing: OnWrite = (go) => (++writes === 3 ? Promise.reject(new Error("full")) : go());
    await expect(removal.move(refusing)).rejects.toThrow("full");
    const third = new FaultyDisk(3);
    const disks = [removal.from, third];
    expect((await rejection(removal.move(through, disks))).message).toContain("--exclusive");
    expect(await removal.move(through, disks, true)).toMatchObject({ claim: { generation: 2 } });
    expect(await removal.found(await removal.running(third))).toEqual(whole);
    // Not once it was ended.
    const again = removal.move(through, [removal.from, new FaultyDisk(4)], true);
    expect(await rejection(again)).toMatchObject({ code: "TRELLIS_USAGE" });
  });

  test("goes back again, and on to a third", async () => {
    const removal = await new Removal().prepare();
    const third = new FaultyDisk(3);
    await removal.move();
    expect(await removal.move(through, [removal.to, removal.from])).toMatchObject({
      claim: { generation: 2 },
    });
    await removal.move(through, [removal.from, third]);
    for (const disk of [removal.from, removal.to])
      expect(await removal.serve(disk)).toBeUndefined();
    expect(await removal.found(await removal.running(third))).toEqual(whole);
  });

  test("is refused from where it is not, to another authority, and from what may be an old state", async () => {
    const removal = await new Removal().prepare();
    const nowhere = removal.move(through, [removal.to, removal.from]);
    expect(await rejection(nowhere)).toBeInstanceOf(UsageError);
    const other = await new Removal(2).prepare();
    const both = removal.move(through, [removal.from, other.from]);
    expect((await rejection(both)).message).toContain("is a lock authority itself");
    const running = await removal.running(removal.from);
    await run(removal.world, running.client.read("a"));
    const copied = removal.move(through, [removal.from.copy(), removal.to]);
    expect((await rejection(copied)).message).toContain("in use");
    await running.close();
    expect(await removal.found(await removal.running(removal.from))).toEqual(whole);
  });
});
