/**
 * What a process notes while it works, for whoever wants to know what it was told after it was killed. A write to a
 * file outlives the process, though not the machine.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import type { Client } from "../strategy.ts";

/** What may have happened to one key. */
export interface Noted {
  /** Units that it was told are added, or taken. */
  readonly acknowledged: number;
  /** Of operations whose answer it did not live to hear. */
  readonly unknown: number;
}

/** The client, noting each `add` and `take` as it begins and ends. `close` ends the notes only. */
export function journaled(
  client: Client,
  path: string,
): { readonly client: Client; readonly close: () => void } {
  const file = openSync(path, "a");
  const note = (what: string, key: string): void => void writeSync(file, `${what} ${key}\n`);
  const { add, take } = client;
  return {
    client: {
      ...client,
      ...(add && {
        add: async (key: string, amount: number) => {
          note("begun", key);
          await add(key, amount);
          note("done", key);
        },
      }),
      ...(take && {
        take: async (key: string, units: number) => {
          note("begun", key);
          const isTaken = await take(key, units);
          note(isTaken ? "done" : "refused", key);
          return isTaken;
        },
      }),
    },
    close: () => closeSync(file),
  };
}

/** What stands there, by key. All operations were of one unit. */
export function readJournal(path: string): ReadonlyMap<string, Noted> {
  const noted = new Map<string, { acknowledged: number; unknown: number }>();
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const [what = "", key = ""] = line.split(" ");
    if (what === "" || key === "") continue;
    const of = noted.get(key) ?? { acknowledged: 0, unknown: 0 };
    noted.set(key, of);
    if (what === "begun") of.unknown++;
    else of.unknown--;
    if (what === "done") of.acknowledged++;
  }
  return noted;
}
