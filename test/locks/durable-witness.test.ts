/** An authority whose directory may be an old one, or one of two, and what the memory of the machine knows of that. */
import { describe, expect, test } from "vitest";
import { LockUnavailableError } from "../../src/errors.ts";
import { DurableAuthority } from "../../src/escalate/embedded/durable-authority.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import type { Witness } from "../../src/escalate/witness.ts";
import { FaultyDisk } from "../storage/faulty-disk.ts";
import { type VirtualEnvironment, World } from "../simulation/virtual-environment.ts";
import { Machine, type MachineProcess } from "../witness/machine.ts";
import { clientOf } from "./durable-subject.ts";
import { run } from "./scene.ts";
import { bytes, operationId, rejection, text } from "./trial.ts";

/** An authority in a process, and who asks it. */
interface Started {
  readonly authority: DurableAuthority;
  readonly client: LockBackend;
  readonly process: MachineProcess;
  readonly close: () => Promise<void>;
}

/** Processes on machines, with directories. */
class Yard {
  readonly world = new World(1);
  readonly environment: VirtualEnvironment = this.world.environment();
  readonly machine = new Machine();

  async start(
    disk: FaultyDisk,
    options: { readonly isExclusive?: boolean; readonly machine?: Machine } = {},
  ): Promise<Started> {
    const { machine = this.machine, isExclusive = false } = options;
    const { environment } = this;
    const engine = await disk.open();
    const process = machine.process();
    const authority = new DurableAuthority({
      ...{ engine, environment, isExclusive },
      witness: process,
    });
    const close = async (): Promise<void> => {
      await authority.close();
      await engine.close();
    };
    return { authority, client: clientOf(authority, { environment }), process, close };
  }

  async write({ client }: Started, value: string): Promise<void> {
    const before = await run(this.world, client.read("r"));
    await run(this.world, client.compareAndSet("r", before?.version, bytes(value), operationId()));
  }

  async read({ client }: Started): Promise<string | undefined> {
    return text(await run(this.world, client.read("r")));
  }

  /** What it says to whoever asks. */
  async refusal({ client }: Started): Promise<string> {
    const error = await run(this.world, rejection(client.read("r")));
    if (!(error instanceof LockUnavailableError)) throw error;
    return error.message;
  }
}

/** The end of a process that was not told to end. */
function killed(started: Started, disk: FaultyDisk): void {
  started.process.kill();
  disk.crash();
}

describe("an authority that was killed", () => {
  test("goes on in place", async () => {
    const [yard, disk] = [new Yard(), new FaultyDisk(1)];
    const first = await yard.start(disk);
    await yard.write(first, "1");
    killed(first, disk);
    const second = await yard.start(disk);
    expect(await yard.read(second)).toBe("1");
    await yard.write(second, "2");
    killed(second, disk);
    expect(await yard.read(await yard.start(disk))).toBe("2");
  });

  test("does not go on where nobody remembers it, and says how to, until that is asserted", async () => {
    const [yard, disk] = [new Yard(), new FaultyDisk(1)];
    const first = await yard.start(disk);
    await yard.write(first, "1");
    killed(first, disk);
    yard.machine.reboot();
    const second = await yard.start(disk);
    const said = await yard.refusal(second);
    expect(said).toContain("it was not closed");
    expect(said).toContain("exclusive: true");
    expect(said).toContain("trellis authority move --lost");
    await second.close();
    const third = await yard.start(disk, { isExclusive: true });
    expect(await yard.read(third)).toBe("1");
    await third.close();
    // It was closed since.
    expect(await yard.read(await yard.start(disk))).toBe("1");
  });
});

describe("a copy of its directory", () => {
  test("does not serve while it runs, also if an operator asserts that there is none", async () => {
    const [yard, disk] = [new Yard(), new FaultyDisk(1)];
    const first = await yard.start(disk);
    await yard.write(first, "1");
    for (const isExclusive of [false, true]) {
      const copy = await yard.start(disk.copy(), { isExclusive });
      expect(await yard.refusal(copy)).toContain("in use");
    }
    await first.close();
    const copy = await yard.start(disk.copy());
    await yard.write(copy, "2");
    // Now the first one is the copy.
    expect(await yard.refusal(await yard.start(disk))).toContain("in use");
    await copy.close();
    const again = yard.start(disk.copy());
    expect(await yard.refusal(await again)).toContain("set back");
  });

  test("that was taken while it ran does not serve on another machine", async () => {
    const [yard, disk] = [new Yard(), new FaultyDisk(1)];
    const first = await yard.start(disk);
    await yard.write(first, "1");
    const copy = await yard.start(disk.copy(), { machine: new Machine() });
    expect(await yard.refusal(copy)).toContain("this machine has not seen it run");
  });

  test("that was taken when it was closed serves on another machine, for it may have moved", async () => {
    const [yard, disk] = [new Yard(), new FaultyDisk(1)];
    const first = await yard.start(disk);
    await yard.write(first, "1");
    await first.close();
    const moved = await yard.start(disk.copy(), { machine: new Machine() });
    expect(await yard.read(moved)).toBe("1");
  });
});

describe("a directory that was set back", () => {
  test.each(["closed", "killed"])(
    "does not serve on the machine that saw more (%s)",
    async (how) => {
      const [yard, disk] = [new Yard(), new FaultyDisk(1)];
      let now = await yard.start(disk);
      const end = async (): Promise<void> => {
        if (how === "killed") killed(now, disk);
        else await now.close();
      };
      await yard.write(now, "1");
      await end();
      const image = disk.image();
      now = await yard.start(disk);
      await yard.write(now, "2");
      await end();
      disk.restore(image);
      now = await yard.start(disk);
      expect(await yard.refusal(now)).toContain("set back");
      await now.close();
      now = await yard.start(disk, { isExclusive: true });
      expect(await yard.read(now)).toBe("1");
      await yard.write(now, "3");
      await end();
      // From here on this is the newest.
      expect(await yard.read(await yard.start(disk))).toBe("3");
    },
  );

  test("by a single write that was answered is noticed", async () => {
    const [yard, disk] = [new Yard(), new FaultyDisk(1)];
    const first = await yard.start(disk);
    await yard.write(first, "1");
    const image = disk.image();
    await yard.write(first, "2");
    first.process.kill();
    disk.restore(image);
    expect(await yard.refusal(await yard.start(disk))).toContain("set back");
  });
});

test("what the witness cannot be told is not answered for, and nothing is after it", async () => {
  const [yard, disk] = [new Yard(), new FaultyDisk(1)];
  let isBroken = false;
  const process = yard.machine.process();
  const witness: Witness = {
    recall: (id) => process.recall(id),
    take: async (id, turn, serial) => {
      const stand = await process.take(id, turn, serial);
      return (
        stand && {
          leave: () => stand.leave(),
          mark: (next) => {
            if (isBroken) throw new Error("no memory");
            stand.mark(next);
          },
        }
      );
    },
  };
  const { environment, world } = yard;
  const authority = new DurableAuthority({ engine: await disk.open(), environment, witness });
  const birth = await run(world, authority.birth());
  isBroken = true;
  const request = { birth, resource: "r", value: bytes("x") };
  const set = authority.compareAndSet({ ...request, expected: 0n, operationId: "1" });
  const failed = await run(world, rejection(set));
  expect(failed).not.toBeInstanceOf(LockUnavailableError);
  isBroken = false;
  const read = await run(world, rejection(authority.read({ birth, resource: "r" })));
  expect(read.message).toContain("witness");
});
