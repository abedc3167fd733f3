/** A process that writes numbered batches until it is killed, and what must be there then. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type { StorageEngine } from "../../src/store/storage.ts";
import { bytesOf, contentOf } from "./conformance.ts";

/** When it is killed. */
export interface Killing {
  /** Every how many batches one is synchronised. */
  readonly syncEvery: number;
  /** After it has promised so many batches, if nothing else kills it before. */
  readonly count: number;
  /** A command that runs it. */
  readonly under?: readonly string[];
}

/** How many batches there are; they must be whole, and the first ones. */
export async function prefixOf(engine: StorageEngine, prefix = ""): Promise<number> {
  const names = (await contentOf(engine, bytesOf("a"), bytesOf("c"))).map(([key]) => key);
  const length = names.length / 2;
  const padded = (at: number): string =>
    String(at)
      .padStart(names[0]?.length ?? 0, "0")
      .slice(1);
  const expected = ["a", "b"].flatMap((kind) =>
    Array.from({ length }, (_, at) => `${kind}${padded(at)}`),
  );
  expect(names, `at ${prefix}`).toEqual(expected);
  return length;
}

/** Runs the writer until it is killed; gives the number of the last batch that was promised, or -1. */
export async function killedWriter(directory: string, killing: Killing): Promise<number> {
  const { syncEvery, count, under = [] } = killing;
  const engine = new URL("../../dist/store/storage/level.js", import.meta.url).href;
  const script = fileURLToPath(new URL("writer.mjs", import.meta.url));
  const args = [script, engine, directory, String(syncEvery)];
  const [command, ...rest] = [...under, process.execPath, ...args];
  const child: ChildProcess = spawn(String(command), rest, {
    stdio: ["ignore", "pipe", "pipe"],
    // Whoever runs it goes with it.
    detached: under.length > 0,
  });
  let [promised, errors] = ["", ""];
  child.stdout?.on("data", (chunk: Buffer) => {
    promised += chunk.toString();
    if (promised.split("\n").length <= count || child.pid === undefined) return;
    try {
      process.kill(under.length > 0 ? -child.pid : child.pid, "SIGKILL");
    } catch {
      // It is gone already.
    }
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    errors += chunk.toString();
  });
  await new Promise((resolve) => {
    child.once("close", resolve);
  });
  if (errors !== "") throw new Error(errors);
  const whole = promised.slice(0, promised.lastIndexOf("\n") + 1);
  return Number(whole.split("\n").at(-2) ?? -1);
}
