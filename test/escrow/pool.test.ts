/** The record of a pool: its bytes, and who is closed. */
import { describe, expect, test } from "vitest";
import { LockUnavailableError } from "../../src/errors.ts";
import { newHolderId } from "../../src/escalate/escrow/holder-id.ts";
import {
  close,
  closedMax,
  enter,
  freeOf,
  newPool,
  type Pool,
  reachOf,
  report,
  standingOf,
} from "../../src/escalate/escrow/pool.ts";
import { decodePool, encodePool } from "../../src/escalate/escrow/pool-codec.ts";
import { Random, World } from "../simulation/virtual-environment.ts";

const environment = new World(1).environment();
const pool = (max?: number): Pool => newPool("birth", "00".repeat(8), { min: -5, initial: 3, max });

/** With some of everything. */
function full(max?: number): Pool {
  const made = pool(max);
  for (let i = 0; i < 5; i++) {
    const entry = enter(made, newHolderId(environment), `replica ${i}`);
    Object.assign(entry.down, {
      granted: 2 + i,
      created: 7,
      spent: 1,
      returned: i,
      wants: i,
      pace: 9,
    });
    if (max !== undefined)
      Object.assign(entry.up, { granted: 3, spent: 7, created: 1, returned: 1 });
    if (i === 4) close(made, entry);
  }
  const gone = enter(made, newHolderId(environment), "gone");
  Object.assign(gone.down, { granted: 4, returned: 1, spent: 3 });
  close(made, gone);
  return made;
}

/** What it throws. */
function outcomeOf(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe("a pool", () => {
  test.each([undefined, 40])("is read as it was written (max: %s)", (max) => {
    const made = full(max);
    const read = decodePool(encodePool(made), "pool/x");
    expect(read).toEqual(made);
    expect([freeOf(read, "down"), reachOf(read, "down")]).toEqual([
      freeOf(made, "down"),
      reachOf(made, "down"),
    ]);
  });

  test("that is cut or changed anywhere is read as something else, or refused", () => {
    const bytes = encodePool(full(40));
    const random = new Random(1);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodePool(bytes.subarray(0, length), "pool/x")).toThrow(LockUnavailableError);
    }
    for (let times = 0; times < 2_000; times++) {
      const changed = Uint8Array.from(bytes);
      changed[random.below(changed.length)] = random.below(256);
      const told = outcomeOf(() => decodePool(changed, "pool/x"));
      expect(told === undefined || told instanceof LockUnavailableError).toBe(true);
    }
  });

  test("takes figures that only grow, in any order and as often as they come", () => {
    const share = enter(pool(), newHolderId(environment), "a").down;
    const reports = [3, 1, 2].map((n) => ({ created: n, returned: n + 1, spent: 2 * n }));
    for (const known of [...reports, ...reports]) report(share, known);
    expect(share).toMatchObject({ created: 3, returned: 4, spent: 6 });
    expect(report(share, reports[1] ?? { created: 0, returned: 0, spent: 0 })).toBe(false);
  });

  test("knows who was closed, and of whom it cannot know any more", () => {
    const made = pool();
    const ids: string[] = [];
    const world = new World(2);
    const clock = world.environment();
    for (let i = 0; i < closedMax + 3; i++) {
      world.run({ forMs: 1 });
      const id = newHolderId(clock);
      ids.push(id);
      close(made, enter(made, id, "a"));
    }
    world.run({ forMs: 1 });
    expect(standingOf(made, newHolderId(clock))).toBe("unknown");
    expect(ids.map((id) => standingOf(made, id))).toEqual(
      ids.map((_, i) => (i < 3 ? "perhaps-closed" : "closed")),
    );
    expect(made.closed.size).toBe(closedMax);
  });

  test("keeps a closed holder that has rights left, for an operator", () => {
    const made = pool();
    const entry = enter(made, newHolderId(environment), "a");
    entry.down.granted = 2;
    close(made, entry);
    expect([standingOf(made, entry.id), reachOf(made, "down")]).toEqual(["closed", 8]);
    expect(freeOf(made, "down")).toBe(6);
  });
});
