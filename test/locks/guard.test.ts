/** The guard as a machine: what each step leaves, and that its bytes are read as they were written. */
import { describe, expect, test } from "vitest";
import { CorruptStorageError } from "../../src/errors.ts";
import {
  commit,
  compareAndSet,
  type GuardRecord,
  integerOf,
  isHeld,
  open,
  operate,
  release,
  renew,
  untouched,
} from "../../src/escalate/fence/guard.ts";
import {
  decodeGuard,
  encodeGuard,
  type StoredGuard,
} from "../../src/escalate/fence/guard-codec.ts";
import { operationsRemembered } from "../../src/escalate/locks.ts";
import { Random } from "../simulation/virtual-environment.ts";
import { bytes, text } from "./trial.ts";

const opened = (record: GuardRecord, nonce: string, token: bigint, nowMs = 0): GuardRecord =>
  open(record, { nonce, token, ttlMs: 100, nowMs }) ?? expect.unreachable("it is held");

const set = (record: GuardRecord, operationId: string, nowMs = 0): GuardRecord => {
  const expected = record.version;
  const outcome = compareAndSet(record, { expected, value: bytes("x"), operationId, nowMs });
  return outcome.kind === "written" ? outcome.record : expect.unreachable(outcome.kind);
};

const many = (record: GuardRecord, count: number): GuardRecord => {
  let after = record;
  for (let i = 0; i < count; i++) after = set(after, `filler ${after.version}`);
  return after;
};

describe("a guard", () => {
  test("is opened by one until its lease ends, and by that one again under the same token", () => {
    const mine = opened(untouched, "me", 1n);
    expect(open(mine, { nonce: "you", token: 2n, ttlMs: 100, nowMs: 99 })).toBeUndefined();
    const again = opened(mine, "me", 7n, 50);
    expect(again.token).toBe(1n);
    expect([isHeld(again, 149), isHeld(again, 150)]).toEqual([true, false]);
    expect(opened(again, "you", 2n, 150).holder).toMatchObject({ nonce: "you", token: 2n });
  });

  test("refuses to be given a token that is not larger", () => {
    const freed = release(opened(untouched, "me", 5n), "me");
    expect(() => opened(freed, "you", 5n)).toThrow("token 5 was drawn after 5");
  });

  test("is renewed by its holder while the lease lives, and never beyond its end", () => {
    const mine =
      open(untouched, { nonce: "me", token: 1n, ttlMs: 100, maxHoldMs: 150, nowMs: 0 }) ??
      untouched;
    const fence = { nonce: "me", token: 1n };
    expect(renew(mine, { fence, ttlMs: 100, nowMs: 100 })).toBeUndefined();
    expect(renew(mine, { fence: { ...fence, nonce: "you" }, ttlMs: 1, nowMs: 1 })).toBeUndefined();
    expect(renew(mine, { fence, ttlMs: 100, nowMs: 90 })?.holder?.untilMs).toBe(150);
  });

  test("tells where a commit stands that was asked before: applied, refused, or too long ago to tell", () => {
    const record = opened(untouched, "me", 1n);
    const fence = { nonce: "me", token: 1n };
    const part = { fence, version: 0n, value: bytes("mine") };
    const first = commit([{ ...part, record }], "id");
    const after = first.kind === "committed" ? first.records[0] : undefined;
    const free = release(after ?? untouched, "me");
    const again = (later: GuardRecord): unknown => commit([{ ...part, record: later }], "id");
    expect(again(many(free, operationsRemembered - 1))).toMatchObject({ versions: [1n] });
    expect(again(many(free, operationsRemembered))).toMatchObject({
      kind: "stale",
      forgotten: true,
    });
    const never = many(release(record, "me"), operationsRemembered);
    expect(again(never)).toMatchObject({ kind: "stale", forgotten: false });
    expect(again(many(never, 1))).toMatchObject({ kind: "stale", forgotten: true });
  });

  test("answers for all resources of a commit when only one remembers it", () => {
    const fence = { nonce: "me", token: 1n };
    const part = { fence, version: 0n, value: bytes("x"), record: opened(untouched, "me", 1n) };
    const first = commit([part, part], "id");
    const [a, b] = first.kind === "committed" ? first.records : [];
    const busy = many(release(a ?? untouched, "me"), operationsRemembered * 2);
    const again = commit(
      [
        { ...part, record: busy },
        { ...part, record: b ?? untouched },
      ],
      "id",
    );
    expect(again).toMatchObject({ kind: "committed", versions: [1n, 1n] });
    expect(again).toMatchObject({ records: [busy, b] });
  });

  test("adds once what arrives twice, however much was written in between", () => {
    const operation = { kind: "add", by: 1n } as const;
    const ask = (record: GuardRecord): ReturnType<typeof operate> =>
      operate(record, { operation, operationId: "id", since: 0n, nowMs: 0 });
    const first = ask(untouched);
    const sum = first.kind === "operated" ? first.record : untouched;
    const added = (record: GuardRecord, count: number): GuardRecord => {
      let after = record;
      for (let i = 0; i < count; i++) {
        const one = { operation, operationId: `${after.version}`, since: after.version, nowMs: 0 };
        const outcome = operate(after, one);
        after = outcome.kind === "operated" ? outcome.record : after;
      }
      return after;
    };
    expect(ask(added(sum, operationsRemembered - 1))).toMatchObject({ applied: true, version: 1n });
    const late = added(sum, operationsRemembered);
    expect(ask(late)).toEqual({ kind: "forgotten", version: late.version });
    expect(text({ value: late.value ?? bytes(""), version: 0n, token: 0n })).toBe("129");
  });

  test("reads integers as it writes them, and nothing else", () => {
    const fine = ["0", "-1", "10", "9223372036854775807", "-9223372036854775808"];
    expect(fine.map((digits) => integerOf(bytes(digits)))).toEqual(fine.map(BigInt));
    const others = ["", "-", "-0", "00", "+1", " 1", "1e3", "9223372036854775808", "1".repeat(99)];
    expect(others.map((digits) => integerOf(bytes(digits)))).toEqual(others.map(() => undefined));
  });
});

const samples: readonly StoredGuard[] = [
  { birth: "b", value: undefined, version: 0n, token: 0n, nonce: undefined, operations: [] },
  {
    ...{ birth: "b", value: bytes("v"), version: 2n, token: 2n ** 63n, nonce: "n" },
    operations: [{ operationId: "o" }, { operationId: "p", value: bytes("7") }],
  },
];

describe("the bytes of a guard", () => {
  test.each(samples)("are read as they were written: %#", (guard) => {
    expect(decodeGuard(encodeGuard(guard), "it")).toEqual(guard);
  });

  test("stay what they are from release to release", () => {
    const [empty = "", full = ""] = samples.map((guard) =>
      Buffer.from(encodeGuard(guard)).toString("hex"),
    );
    expect(empty).toBe(`01016200${"00".repeat(16)}00`);
    expect(full).toBe(
      ["0101620300000000000000028000000000000000016e0176", "02016f000170010137"].join(""),
    );
  });

  test("are refused, and nothing else happens, when they are anything else", () => {
    const random = new Random(5);
    const [, guard = samples[0]] = samples;
    const fine = encodeGuard(guard as StoredGuard);
    let refused = 0;
    for (let i = 0; i < 20_000; i++) {
      const changed = fine.slice(0, random.below(fine.length + 1));
      if (changed.length > 0) changed[random.below(changed.length)] = random.below(256);
      try {
        decodeGuard(changed, "it");
      } catch (error) {
        if (!(error instanceof CorruptStorageError)) throw error;
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(10_000);
  });
});
