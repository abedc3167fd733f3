/** The parts of the page's script that think: they read any stream, keep a bounded past, and know rates from totals. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  eventCharactersMax,
  EventParser,
  type ServerEvent,
} from "../../src/dashboard/browser/event-stream.ts";
import { healthOf, noticesOf } from "../../src/dashboard/browser/health.ts";
import { furthest, History, lagMs, pointsMax } from "../../src/dashboard/browser/history.ts";
import {
  bytes,
  lasting,
  short,
  signed,
  traffic,
  visible,
} from "../../src/dashboard/browser/wording.ts";
import type { Snapshot, SnapshotPeer } from "../../src/insight/snapshot.ts";

const parsed = (pieces: readonly string[]): ServerEvent[] => {
  const parser = new EventParser();
  return pieces.flatMap((piece) => [...parser.take(piece)]);
};

describe("the parser of events", () => {
  const line = fc.string({ maxLength: 12 }).map((text) => text.replaceAll(/[\r\n]/gu, ""));
  const event = fc.record({
    name: line.filter((text) => text.trim() !== ""),
    data: fc.array(line, { minLength: 1, maxLength: 3 }),
  });
  const endings = fc.constantFrom("\n", "\r\n", "\r");

  test("finds the same events, however the bytes are cut and lines end", () => {
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 6 }),
        endings,
        fc.array(fc.nat(), { maxLength: 12 }),
        (events, end, cuts) => {
          const written = events
            .map(({ name, data }) =>
              [
                `event: ${name}`,
                ": a comment",
                ...data.map((each) => `data: ${each}`),
                "",
                "",
              ].join(end),
            )
            .join("");
          const places = [0, ...cuts.map((cut) => cut % (written.length + 1)), written.length];
          const sorted = places.toSorted((left, right) => left - right);
          const pieces = sorted.slice(1).map((to, at) => written.slice(sorted[at], to));
          expect(parsed(pieces)).toEqual(
            events.map(({ name, data }) => ({ name, data: data.join("\n") })),
          );
        },
      ),
    );
  });

  test("passes over comments and what is no event, and refuses what does not end", () => {
    expect(parsed([":\n\n", "event: x\n\n", "id: 1\nretry: 5\n\n"])).toEqual([]);
    expect(parsed(["data\n\n"])).toEqual([{ name: "message", data: "" }]);
    const parser = new EventParser();
    expect(() => {
      for (let i = 0; i <= eventCharactersMax / 1_000_000; i++) parser.take("x".repeat(1_000_000));
    }).toThrow("too long");
    const lines = new EventParser();
    expect(() => {
      for (let i = 0; i <= eventCharactersMax / 1_000_000; i++) {
        lines.take(`data: ${"x".repeat(1_000_000)}\n`);
      }
    }).toThrow("too long");
  });
});

const peer = (id: string, figures: Partial<SnapshotPeer> = {}): SnapshotPeer => ({
  ...{ id, name: id, state: "streaming", isDurable: true, lagBatches: 0, lagMs: 0, silentMs: 10 },
  ...{ bytesIn: 0, bytesOut: 0, framesIn: 0, framesOut: 0, stagedBytes: 0 },
  ...{ lastSeenMs: 0, clockOffsetMs: 0 },
  ...figures,
});

const nothing = { local: 0, remote: 0 };
const noLocks = {
  ...{ granted: 0, released: 0, timeouts: 0, failures: 0, losses: 0, waiting: 0, held: 0 },
  ...{ waitMs: 0, holdMs: 0 },
};

const snapshot = (atMs: number, figures: Partial<Snapshot> = {}): Snapshot => ({
  ...{ version: 1, atMs, uptimeMs: atMs, name: "a", actor: "actor", notReady: [], members: 1 },
  ...{ clock: { lastStampMs: 0, aheadMs: 0 }, storage: { kind: "memory" }, forks: 0 },
  ...{ removalsKept: 0, stateBytes: 0, keys: 0, peers: [], peersLeftOut: 0, collections: [] },
  ...{ collectionsLeftOut: 0, hotKeys: [], backend: { kind: "none" }, locks: [], hotSpots: [] },
  ...{ rights: [], rightsLeftOut: 0, pools: [], errors: [], events: [] },
  totals: { batches: nothing, changes: nothing, locks: noLocks },
  ...figures,
});

const latest = (history: History, name: string): number | undefined =>
  history.points.at(-1)?.figures.get(name);

describe("the history", () => {
  test("keeps ten minutes, however long the page is open and whoever comes and goes", () => {
    const history = new History();
    const crowd = (hour: number): SnapshotPeer[] =>
      Array.from({ length: 100 }, (_, at) => peer(`peer-${hour}-${at}`));
    for (let i = 0; i < 3_000; i++) {
      history.take(snapshot(i * 2_000, { peers: i % 100 === 0 ? crowd(i) : [] }));
    }
    expect(history.points.length).toBe(pointsMax);
    const names = history.points.flatMap(({ figures }) => [...figures.keys()]);
    expect(names.length / pointsMax).toBeLessThan(30);
  });

  test("makes rates of totals, also of peers that are new, gone or began anew", () => {
    const history = new History();
    const at = (ms: number, local: number, peers: readonly SnapshotPeer[]): void => {
      const totals = { batches: nothing, changes: { local, remote: 0 }, locks: noLocks };
      history.take(snapshot(ms, { peers, totals }));
    };
    at(0, 100, [peer("a", { bytesIn: 1_000 }), peer("b", { bytesIn: 500 })]);
    at(2_000, 300, [peer("a", { bytesIn: 3_000 }), peer("c", { bytesIn: 40 })]);
    expect(latest(history, "changes-local")).toBe(100);
    expect(latest(history, "bytesIn")).toBe(1_020);
    at(4_000, 0, [peer("a", { bytesIn: 10 }), peer("c", { bytesIn: 40 })]);
    expect(latest(history, "changes-local")).toBe(0);
    expect(latest(history, "bytesIn")).toBe(5);
  });

  test("breaks the line where nothing was heard, and begins anew after a restart", () => {
    const history = new History();
    for (const ms of [0, 2_000, 60_000]) history.take(snapshot(ms));
    expect(history.points.map(({ atMs, figures }) => [atMs, figures.size > 0])).toEqual([
      [0, false],
      [2_000, true],
      [2_001, false],
      [60_000, true],
    ]);
    const { length } = history.points;
    history.take(snapshot(62_000, { actor: "another" }));
    expect(history.points).toHaveLength(length);
  });

  test("names the peers that were furthest behind, in one order", () => {
    const history = new History();
    const peers = Array.from({ length: 20 }, (_, at) => peer(`p${at}`, { lagMs: at }));
    history.take(snapshot(0, { peers }));
    expect(furthest(history.points, lagMs, 3)).toEqual([
      `${lagMs}p17`,
      `${lagMs}p18`,
      `${lagMs}p19`,
    ]);
  });
});

describe("health", () => {
  test.each([
    [{}, "ok"],
    [{ lagMs: 2_000 }, "behind"],
    [{ lagMs: 6_000 }, "stalled"],
    [{ silentMs: 20_000 }, "stalled"],
    [{ state: "waiting" }, "away"],
    [{ state: "closed" }, "away"],
    [{ state: "refused" }, "refused"],
    [{ state: "greeting" }, "connecting"],
  ] as const)("of %j is %s", (figures, health) => {
    expect(healthOf(peer("a", figures as Partial<SnapshotPeer>))).toBe(health);
  });

  test("what is well needs no notice; what is not has one", () => {
    expect(noticesOf(snapshot(0, { peers: [peer("a"), peer("me", { state: "self" })] }))).toEqual(
      [],
    );
    const peers = [
      peer("a", { state: "refused", refused: "its clock" }),
      peer("b", { clockOffsetMs: -5_000 }),
      peer("c", { state: "opening" }),
    ];
    const backend = {
      kind: "backend",
      name: "redis",
      calls: "open",
      leases: "closed",
      active: 0,
      queued: 0,
    } as const;
    expect(noticesOf(snapshot(0, { peers, backend, forks: 2, notReady: ["the disk"] }))).toEqual([
      "Not ready: the disk.",
      "a is refused: its clock.",
      "The clock of b is 5 s behind ours.",
      "c is connecting.",
      "Calls of the lock backend are turned away: its breaker is open.",
      "Somebody else wrote as our actor 2 times: see the events.",
    ]);
  });
});

test("figures are short, and nothing in a name is invisible", () => {
  expect([0.5, 12, 999, 61_000, 7_500_000, 90_061_000, 400_000_000].map(lasting)).toEqual([
    ...["0.50 ms", "12 ms", "999 ms", "1 min", "2 h 5 min", "25 h 1 min", "4 days"],
  ]);
  expect([0, 1_023, 1_024, 5 * 1024 ** 3].map(bytes)).toEqual(["0 B", "1,020 B", "1 KiB", "5 GiB"]);
  expect([0, 999, 1_500, 2e9].map(traffic)).toEqual(["0 B", "999 B", "1.5 kB", "2 GB"]);
  expect([0, 1_234, 1_234_567].map(short)).toEqual(["0", "1,230", "1.23M"]);
  expect([5, -5, 0].map(signed)).toEqual(["+5 ms", "−5 ms", "0 ms"]);
  expect(visible("a\u202eb\u0000")).toBe(String.raw`a\u{202e}b\u{0}`);
  expect(visible("")).toBe("(empty)");
});
