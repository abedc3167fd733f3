/** Guarded writes: equality of the fence, of the version, and an operation id of its own. */
import { expect } from "vitest";
import { ConflictError, StaleTokenError, UsageError } from "../../../src/errors.ts";
import { operationsRemembered } from "../../../src/escalate/locks.ts";
import type { LockCase } from "../conformance.ts";
import { aborted, bytes, operationId, rejection, text } from "../trial.ts";

export const commitCases: readonly LockCase[] = [
  {
    name: "a stale holder commits nothing, before and after the next one has written",
    run: async (trial) => {
      const [paused, other] = await trial.pair();
      const stale = await trial.holdBriefly(paused, "r");
      const lease = await trial.hold(other, "r", trial.expiryMs);
      const attempt = (): Promise<unknown> =>
        paused.commit([{ lease: stale, value: bytes("stale") }], operationId());
      expect(await rejection(attempt())).toBeInstanceOf(StaleTokenError);
      expect(await other.read("r")).toBeUndefined();
      await other.commit([{ lease, value: bytes("fresh") }], operationId());
      expect(await rejection(attempt())).toMatchObject({ resource: "r", token: stale.token });
      await lease.release();
      expect(await rejection(attempt())).toBeInstanceOf(StaleTokenError);
      expect(text(await paused.read("r"))).toBe("fresh");
    },
  },
  {
    name: "a lease commits more than once, each from what it left",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const lease = await trial.hold(first, "r");
      for (const value of ["1", "2", "3"]) {
        await first.commit([{ lease, value: bytes(value) }], operationId());
      }
      expect(await second.read("r")).toMatchObject({ value: bytes("3"), version: 3n });
      expect(lease.current).toBeUndefined();
    },
  },
  {
    name: "what is committed over several resources is all there, or nothing of it",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const a = await trial.hold(first, "a");
      const b = await trial.holdBriefly(first, "b");
      const both = await first.commit(
        [
          { lease: a, value: bytes("a1") },
          { lease: b, value: bytes("b1") },
        ],
        operationId(),
      );
      expect(both.map(text)).toEqual(["a1", "b1"]);
      const taken = await trial.hold(second, "b", trial.expiryMs);
      const half = first.commit(
        [
          { lease: a, value: bytes("a2") },
          { lease: b, value: bytes("b2") },
        ],
        operationId(),
      );
      expect(await rejection(half)).toMatchObject({ code: "TRELLIS_STALE_TOKEN", resource: "b" });
      expect(text(await second.read("a"))).toBe("a1");
      expect(text(taken.current)).toBe("b1");
    },
  },
  {
    name: "a resource that is only checked decides too, and is not written",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const a = await trial.hold(first, "a");
      const b = await trial.holdBriefly(first, "b");
      const [written, checked] = await first.commit(
        [{ lease: a, value: bytes("a1") }, { lease: b }],
        operationId(),
      );
      expect(written).toMatchObject({ version: 1n });
      expect(checked).toMatchObject({ version: 0n, value: new Uint8Array(0) });
      expect(await second.read("b")).toBeUndefined();
      await trial.hold(second, "b", trial.expiryMs);
      const refused = first.commit([{ lease: a, value: bytes("a2") }, { lease: b }], operationId());
      expect(await rejection(refused)).toBeInstanceOf(StaleTokenError);
      expect(text(await second.read("a"))).toBe("a1");
    },
  },
  {
    name: "a commit with two sections of one resource, with none, or with a foreign lease is refused",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const lease = await trial.hold(first, "r");
      const value = bytes("x");
      const attempts = [
        first.commit([], operationId()),
        first.commit([{ lease, value }, { lease }], operationId()),
        second.commit([{ lease, value }], operationId()),
      ];
      for (const attempt of attempts) expect(await rejection(attempt)).toBeInstanceOf(UsageError);
      expect(await second.read("r")).toBeUndefined();
    },
  },
  {
    name: "a commit that is asked again under its id has one effect and one answer",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const [a, b] = [await trial.hold(first, "a"), await trial.hold(first, "b")];
      const sections = [{ lease: a, value: bytes("a1") }, { lease: b }];
      const id = operationId();
      const answer = await first.commit(sections, id);
      expect(await first.commit(sections, id)).toEqual(answer);
      expect((await second.read("a"))?.version).toBe(1n);
      await first.commit([{ lease: a, value: bytes("a2") }], operationId());
      expect((await first.commit(sections, id))[0]?.version).toBe(1n);
      expect(text(await second.read("a"))).toBe("a2");
    },
  },
  {
    name: "an id is remembered when its lease is over and the value has moved on",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const lease = await trial.hold(first, "r");
      const id = operationId();
      const sections = [{ lease, value: bytes("mine") }];
      const [mine] = await first.commit(sections, id);
      await lease.release();
      const next = await trial.hold(second, "r");
      await second.commit([{ lease: next, value: bytes("theirs") }], operationId());
      expect((await first.commit(sections, id))[0]?.version).toBe(mine?.version);
      expect(text(await second.read("r"))).toBe("theirs");
    },
  },
  {
    name: "a compare-and-set writes at the expected version only, and leaves the token alone",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const one = await first.compareAndSet("r", undefined, bytes("1"), operationId());
      expect(one).toMatchObject({ version: 1n, token: 0n });
      const two = await second.compareAndSet("r", 1n, bytes("2"), operationId());
      expect(two.version).toBe(2n);
      for (const expected of [undefined, 1n, 3n]) {
        const late = first.compareAndSet("r", expected, bytes("late"), operationId());
        expect(await rejection(late)).toMatchObject({ code: "TRELLIS_CONFLICT", held: false });
      }
      const lease = await trial.hold(first, "r");
      await lease.release();
      const three = await second.compareAndSet("r", 2n, bytes("3"), operationId());
      expect(three).toMatchObject({ version: 3n, token: lease.token });
    },
  },
  {
    name: "a live lease excludes compare-and-set, also its holder's; a released or ended one does not",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const lease = await trial.hold(first, "r");
      for (const client of [first, second]) {
        const set = client.compareAndSet("r", undefined, bytes("x"), operationId());
        expect(await rejection(set)).toMatchObject({ held: true, resource: "r" });
      }
      await lease.release();
      await second.compareAndSet("r", undefined, bytes("1"), operationId());
      await trial.holdBriefly(first, "r");
      let version = 1n;
      await trial.until(async () => {
        const set = second.compareAndSet("r", version, bytes("2"), operationId());
        const done = await set.catch((error: unknown) => error);
        if (!(done instanceof Error)) version = done ? version + 1n : version;
        return !(done instanceof Error);
      }, "a lease that ends");
      expect(version).toBe(2n);
    },
  },
  {
    name: "a lease that has ended commits nothing over what was set meanwhile",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const lease = await trial.holdBriefly(first, "r");
      await trial.within(aborted(lease.lost), "the loss");
      await trial.until(async () => {
        const set = second.compareAndSet("r", undefined, bytes("set"), operationId());
        return set.then(() => true).catch(() => false);
      }, "the end of the lease");
      const late = await rejection(first.commit([{ lease, value: bytes("late") }], operationId()));
      expect(late instanceof ConflictError || late instanceof StaleTokenError).toBe(true);
      expect(text(await first.read("r"))).toBe("set");
    },
  },
  {
    name: "an id is remembered over the writes that follow, and forgetting one repeats nothing",
    run: async (trial) => {
      const client = await trial.client();
      const id = operationId();
      const first = await client.compareAndSet("r", undefined, bytes("first"), id);
      let { version } = first;
      const write = async (times: number): Promise<void> => {
        for (let i = 0; i < times; i++) {
          ({ version } = await client.compareAndSet("r", version, bytes("more"), operationId()));
        }
      };
      await write(operationsRemembered - 1);
      const again = (): Promise<unknown> =>
        client.compareAndSet("r", undefined, bytes("first"), id);
      expect(await again()).toMatchObject({ version: first.version });
      await write(operationsRemembered);
      const late = await again().catch((error: unknown) => error);
      if (late instanceof ConflictError) expect(late.forgotten).toBe(true);
      else expect(late).toMatchObject({ version: first.version });
      expect((await client.read("r"))?.version).toBe(version);
    },
  },
];
