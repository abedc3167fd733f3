/** A witness in the memory of this machine, where there is one. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { objection, type Stand, type Witness } from "../../src/escalate/witness.ts";
import { tmpfsWitness } from "../../src/escalate/witness/tmpfs.ts";

const id = "0af1";

describe.runIf(process.platform === "linux")("a witness in memory", () => {
  let memory = "";
  let directory = "";
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    memory = await mkdtemp("/dev/shm/trellis-test-");
    directory = await mkdtemp(join(tmpdir(), "trellis-witness-"));
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    await rm(memory, { recursive: true });
    await rm(directory, { recursive: true });
  });

  const witness = (options: { readonly at?: string; readonly pid?: number } = {}) =>
    tmpfsWitness({ directory: options.at ?? directory, memory, ...options });

  async function copied(): Promise<string> {
    const copy = await mkdtemp(join(tmpdir(), "trellis-witness-"));
    await cp(directory, copy, { recursive: true });
    return copy;
  }

  /** A process that does nothing until it is killed. */
  async function sleeper(): Promise<{ readonly pid: number; readonly kill: () => Promise<void> }> {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
    children.push(child);
    await once(child, "spawn");
    const kill = async (): Promise<void> => {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    };
    return { pid: child.pid ?? 0, kill };
  }

  async function taken(by: Witness, turn: number, serial: number): Promise<Stand> {
    const stand = await by.take(id, turn, serial);
    if (!stand) throw new Error("taken by another");
    return stand;
  }

  const fileOf = async (): Promise<string> => {
    const [folder = ""] = await readdir(memory);
    const [file = ""] = await readdir(join(memory, folder));
    return join(memory, folder, file);
  };

  test("knows nothing of what it has not seen", async () => {
    expect(await (await witness()).recall(id)).toMatchObject({ kind: "absent", turn: 0 });
  });

  test("remembers the last mark of who closed, and of who was killed", async () => {
    const owner = await sleeper();
    const stand = await taken(await witness({ pid: owner.pid }), 0, 1);
    stand.mark(7);
    const copy = await witness({ at: await copied() });
    expect(await copy.recall(id)).toMatchObject({ kind: "in-use" });
    await owner.kill();
    expect(await copy.recall(id)).toEqual({ kind: "left", turn: 1, serial: 7 });
    const next = await taken(copy, 1, 8);
    next.leave();
    next.leave();
    expect(await (await witness()).recall(id)).toEqual({ kind: "left", turn: 2, serial: 8 });
    expect(() => next.mark(9)).toThrow("left");
  });

  test("knows that who had the very directory that is open here is gone, whatever runs", async () => {
    const stand = await taken(await witness(), 0, 1);
    expect(await (await witness()).recall(id)).toMatchObject({ kind: "left", serial: 1 });
    expect(await (await witness({ at: await copied() })).recall(id)).toMatchObject({
      kind: "in-use",
    });
    stand.leave();
  });

  test("is taken by one of those who found it at the same turn", async () => {
    const both = [await witness(), await witness({ at: await copied() })];
    const stands = await Promise.all(both.map((one) => one.take(id, 0, 1)));
    expect(stands.filter((stand) => stand !== undefined)).toHaveLength(1);
    for (const stand of stands) stand?.leave();
  });

  test("does not believe what was damaged, nor what another start of the machine left", async () => {
    const stand = await taken(await witness(), 0, 5);
    stand.leave();
    const file = await fileOf();
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace('"serial":5', '"serial":4'));
    expect(await (await witness()).recall(id)).toMatchObject({ kind: "absent", turn: 1 });
    const next = await taken(await witness(), 1, 6);
    expect(await (await witness()).recall(id)).toMatchObject({ kind: "left", serial: 6 });
    next.leave();
  });

  test("does not grow for ever, and forgets what was closed, the oldest first", async () => {
    const kept = await taken(await witness(), 0, 5);
    const file = await fileOf();
    const folder = join(file, "..");
    kept.leave();
    const closed = await readFile(file, "utf8");
    for (let i = 0; i < 100; i++) {
      await writeFile(join(folder, `old${i}.1`), closed);
      await utimes(join(folder, `old${i}.1`), 1_000 + i, 1_000 + i);
    }
    const next = await taken(await tmpfsWitness({ directory, memory, filesMax: 80 }), 1, 6);
    const names = new Set(await readdir(folder));
    expect(names.size).toBe(101 - 20);
    expect(names.has("old0.1") || names.has("old19.1")).toBe(false);
    expect(names.has("old20.1") && names.has(`${id}.2`)).toBe(true);
    next.leave();
  });

  test("is none where the folder is on a disk, or the name could leave it", async () => {
    const onDisk = await tmpfsWitness({ directory, memory: "/proc" });
    expect(await onDisk.recall(id)).toMatchObject({ kind: "absent" });
    await expect((await witness()).recall("../x")).rejects.toThrow("name");
  });
});

describe("what is objected to", () => {
  const open = { serial: 5, isClosed: false };
  const closed = { serial: 5, isClosed: true };
  const left = (serial: number) => ({ kind: "left", turn: 1, serial }) as const;
  const absent = { kind: "absent", turn: 0, why: "rebooted" } as const;

  test("is who runs, always", () => {
    const inUse = { kind: "in-use", by: "process 7" } as const;
    for (const isExclusive of [false, true]) {
      expect(objection(closed, inUse, isExclusive)).toContain("process 7");
    }
  });

  test("is a state behind its mark, unless an operator knows better", () => {
    for (const state of [open, closed]) {
      expect(objection(state, left(5), false)).toBeUndefined();
      expect(objection(state, left(4), false)).toBeUndefined();
      expect(objection(state, left(6), false)).toContain("set back");
      expect(objection(state, left(6), true)).toBeUndefined();
    }
  });

  test("is a state that was not closed and that nobody knows, unless an operator does", () => {
    expect(objection(closed, absent, false)).toBeUndefined();
    expect(objection(open, absent, false)).toContain("rebooted");
    expect(objection(open, absent, true)).toBeUndefined();
  });
});
