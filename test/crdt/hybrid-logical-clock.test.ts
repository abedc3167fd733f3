import { expect, test } from "vitest";
import {
  defaultClockAheadMsMax,
  HybridLogicalClock,
  isTimestamp,
  readStamp,
  stampMs,
  stampsPerMs,
  writeStamp,
} from "../../src/crdt/hybrid-logical-clock.ts";
import { Random } from "../simulation/virtual-environment.ts";

const startMs = 1_700_000_000_000;

/** A clock over a wall that the test moves. */
function clockAt(options: { after?: number; aheadMsMax?: number } = {}): {
  wall: { ms: number };
  clock: HybridLogicalClock;
} {
  const wall = { ms: startMs };
  return { wall, clock: new HybridLogicalClock({ now: () => wall.ms, ...options }) };
}

test("a stamp is the wall clock above a counter that starts at 0", () => {
  const { wall, clock } = clockAt();
  expect(clock.now()).toBe(startMs * stampsPerMs);
  expect(clock.now()).toBe(startMs * stampsPerMs + 1);
  wall.ms += 0.9;
  expect(clock.now()).toBe(startMs * stampsPerMs + 2);
  wall.ms = startMs + 1;
  expect(clock.now()).toBe((startMs + 1) * stampsPerMs);
});

test("a million stamps within one millisecond only grow, and carry into the next ones", () => {
  const { clock } = clockAt();
  let before = clock.now();
  for (let i = 1; i < 1_000_000; i++) {
    const stamp = clock.now();
    if (stamp !== before + 1) throw new Error(`${before} was followed by ${stamp}`);
    before = stamp;
  }
  expect(stampMs(before)).toBe(startMs + Math.floor(999_999 / stampsPerMs));
  expect(Number.isSafeInteger(before)).toBe(true);
});

test("stamps grow through steps of the wall clock in either direction", () => {
  const repeated: number[] = [];
  for (let seed = 1; seed <= 50; seed++) {
    const random = new Random(seed);
    const { wall, clock } = clockAt();
    let before = 0;
    for (let i = 0; i < 500; i++) {
      if (random.chance(0.3)) wall.ms += random.below(7_200_000) - 3_600_000;
      if (random.chance(0.3)) clock.receive((wall.ms + random.below(70_000)) * stampsPerMs);
      const stamp = clock.now();
      if (stamp <= before) repeated.push(seed);
      before = stamp;
    }
  }
  expect(repeated, "seeds").toEqual([]);
});

test("after a step back by an hour the clock goes on above what it issued", () => {
  const { wall, clock } = clockAt();
  const before = clock.now();
  wall.ms -= 3_600_000;
  expect(clock.now()).toBe(before + 1);
});

test("a clock that is opened again issues nothing at or below its former bound", () => {
  const bound = (startMs + 5_000) * stampsPerMs + 7;
  const { clock } = clockAt({ after: bound });
  expect(clock.now()).toBe(bound + 1);
});

test("what is loaded is not checked against the wall clock, however far ahead it is", () => {
  const bound = (startMs + 3_600_000) * stampsPerMs;
  const { clock } = clockAt({ after: bound });
  expect(clock.now()).toBe(bound + 1);
});

test("after (P, 5) and a received (P, 9) the next stamp is (P, 10)", () => {
  const { clock } = clockAt();
  for (let i = 0; i < 6; i++) clock.now();
  expect(clock.last).toBe(startMs * stampsPerMs + 5);
  expect(clock.receive(startMs * stampsPerMs + 9)).toBe(true);
  expect(clock.now()).toBe(startMs * stampsPerMs + 10);
});

test("an old stamp, of a peer that was away for 30 days, is taken and moves nothing", () => {
  const { clock } = clockAt();
  const before = clock.now();
  expect(clock.receive((startMs - 30 * 86_400_000) * stampsPerMs)).toBe(true);
  expect(clock.last).toBe(before);
});

test.each([
  { aheadMs: defaultClockAheadMsMax - 1, isWithin: true },
  { aheadMs: defaultClockAheadMsMax, isWithin: true },
  { aheadMs: defaultClockAheadMsMax + 1, isWithin: false },
  { aheadMs: 365 * 86_400_000, isWithin: false },
])("a stamp $aheadMs ms ahead is within the bound: $isWithin", ({ aheadMs, isWithin }) => {
  const { wall, clock } = clockAt();
  const own = clock.now();
  const stamp = (startMs + aheadMs) * stampsPerMs;
  expect(clock.isHeld(stamp)).toBe(!isWithin);
  expect(clock.receive(stamp)).toBe(isWithin);
  expect(clock.last).toBe(isWithin ? stamp : own);
  // Once the wall clock has come near, nothing is held any more.
  wall.ms += aheadMs;
  expect(clock.isHeld(stamp)).toBe(false);
});

test("the bound is an option, and one stamp beyond it is held", () => {
  const { clock } = clockAt({ aheadMsMax: 10 });
  expect(clock.isHeld((startMs + 10) * stampsPerMs)).toBe(false);
  expect(clock.isHeld((startMs + 10) * stampsPerMs + 1)).toBe(true);
});

test("an honest clock that was led to the bound runs with the wall clock again after it", () => {
  const { wall, clock } = clockAt();
  clock.receive((startMs + defaultClockAheadMsMax) * stampsPerMs);
  wall.ms += defaultClockAheadMsMax + 1;
  expect(clock.now()).toBe(wall.ms * stampsPerMs);
});

test("a clock refuses to leave the safe integers, and stays where it was", () => {
  const { clock } = clockAt({ after: Number.MAX_SAFE_INTEGER - 1 });
  expect(clock.now()).toBe(Number.MAX_SAFE_INTEGER);
  expect(() => clock.now()).toThrow(RangeError);
  expect(clock.last).toBe(Number.MAX_SAFE_INTEGER);
  const broken = new HybridLogicalClock({ now: () => Number.NaN, after: Number.MAX_SAFE_INTEGER });
  expect(() => broken.now()).toThrow(RangeError);
});

test("the eight bytes of stamps sort as the stamps do, and read back", () => {
  const random = new Random(1);
  const stamps = [0, 1, 255, 256, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1];
  stamps.push(2 ** 52, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER);
  for (let i = 0; i < 2_000; i++) {
    stamps.push(Math.floor(random.next() * 2 ** (1 + random.below(53))));
  }
  const bytes = stamps.map((stamp) => {
    const target = new Uint8Array(10).fill(0xaa);
    writeStamp(stamp, target, 1);
    expect([target[0], target[9]]).toEqual([0xaa, 0xaa]);
    expect(readStamp(target, 1)).toBe(stamp);
    return { stamp, bytes: Buffer.from(target.subarray(1, 9)) };
  });
  bytes.sort((one, other) => Buffer.compare(one.bytes, other.bytes));
  expect(bytes.map(({ stamp }) => stamp)).toEqual(stamps.toSorted((one, other) => one - other));
});

test("bytes that hold no stamp are refused, and so is a place that is too short", () => {
  expect(() => readStamp(new Uint8Array(8).fill(0xff))).toThrow(RangeError);
  expect(() => readStamp(Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 0))).toThrow(RangeError);
  expect(readStamp(Uint8Array.of(0, 0x1f, 255, 255, 255, 255, 255, 255))).toBe(
    Number.MAX_SAFE_INTEGER,
  );
  expect(() => readStamp(new Uint8Array(7))).toThrow(RangeError);
  expect(() => readStamp(new Uint8Array(8), 1)).toThrow(RangeError);
  expect(() => readStamp(new Uint8Array(8), -1)).toThrow(RangeError);
  expect(() => writeStamp(1, new Uint8Array(8), 1)).toThrow(RangeError);
});

test.each([
  [0, true],
  [Number.MAX_SAFE_INTEGER, true],
  [-1, false],
  [0.5, false],
  [2 ** 53, false],
  [Number.NaN, false],
  [Number.POSITIVE_INFINITY, false],
])("%d is a stamp: %s", (stamp, expected) => {
  expect(isTimestamp(stamp)).toBe(expected);
});
