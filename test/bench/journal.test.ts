import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { journaled, readJournal } from "../../src/cli/bench/node/journal.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-journal-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("tells what was acknowledged, and what was under way when the process ended", async () => {
  const path = join(folder, "0");
  const answers = [true, false, true];
  const { client, close } = journaled(
    {
      take: (key) =>
        key === "hung" ? new Promise<boolean>(() => undefined) : answers.shift() === true,
      close: async () => undefined,
    },
    path,
  );
  for (let i = 0; i < 3; i++) await client.take?.("a", 1);
  void client.take?.("hung", 1);
  void client.take?.("hung", 1);
  close();
  expect([...readJournal(path)]).toEqual([
    ["a", { acknowledged: 2, unknown: 0 }],
    ["hung", { acknowledged: 0, unknown: 2 }],
  ]);
});

test("what failed stays unknown", async () => {
  const path = join(folder, "0");
  const add = async (): Promise<void> => await Promise.reject(new Error("no answer"));
  const { client, close } = journaled({ add, close: async () => undefined }, path);
  await expect(client.add?.("a", 1)).rejects.toThrow("no answer");
  close();
  expect(readJournal(path).get("a")).toEqual({ acknowledged: 0, unknown: 1 });
});
