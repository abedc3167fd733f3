/** What a store computes by itself. */
import { expect } from "vitest";
import { UsageError } from "../../../src/errors.ts";
import type { LockBackend, Operated, Operation } from "../../../src/escalate/locks.ts";
import type { LockCase } from "../conformance.ts";
import { bytes, operationId, rejection, text } from "../trial.ts";

/** Asks for an operation of a backend that has them. */
export const operate = (
  client: LockBackend,
  operation: Operation,
  id = operationId(),
  resource = "r",
): Promise<Operated> =>
  client.operate?.(resource, operation, id) ?? expect.unreachable("this backend does not operate");

const add = (by: bigint, bounds: { min?: bigint; max?: bigint } = {}): Operation => ({
  kind: "add",
  by,
  ...bounds,
});

export const operationCases: readonly LockCase[] = [
  {
    name: "an add starts from nothing, keeps within its bounds, and changes nothing when it cannot",
    needs: ["operate"],
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const refused = await operate(first, add(-1n, { min: 0n }));
      expect(refused).toMatchObject({ applied: false, guarded: { version: 0n } });
      expect(await second.read("r")).toBeUndefined();
      const five = await operate(first, add(5n, { min: 0n, max: 5n }));
      expect(five.applied).toBe(true);
      expect(text(five.guarded)).toBe("5");
      expect((await operate(second, add(1n, { max: 5n }))).applied).toBe(false);
      expect((await operate(second, add(-6n, { min: 0n }))).applied).toBe(false);
      expect(text((await operate(second, add(-5n, { min: 0n }))).guarded)).toBe("0");
      expect(await first.read("r")).toMatchObject({ value: bytes("0"), version: 2n });
    },
  },
  {
    name: "an add is exact to 64 bits, and refused beyond them",
    needs: ["operate"],
    run: async (trial) => {
      const client = await trial.client();
      const most = 2n ** 63n - 1n;
      await operate(client, add(most - 1n));
      expect(text((await operate(client, add(1n))).guarded)).toBe(most.toString());
      expect((await operate(client, add(1n))).applied).toBe(false);
      expect(text((await operate(client, add(-2n * most))).guarded)).toBe((-most).toString());
    },
  },
  {
    name: "an add to what is no integer is refused",
    needs: ["operate"],
    run: async (trial) => {
      const client = await trial.client();
      await client.compareAndSet("r", undefined, bytes("07"), operationId());
      expect(await rejection(operate(client, add(1n)))).toBeInstanceOf(UsageError);
      expect(text(await client.read("r"))).toBe("07");
    },
  },
  {
    name: "adds by many clients at once all count, once each",
    needs: ["operate"],
    run: async (trial) => {
      const clients = await Promise.all(Array.from({ length: 6 }, () => trial.client()));
      await Promise.all(
        clients.map(async (client) => {
          for (let i = 0; i < 40; i++) await operate(client, add(1n));
        }),
      );
      expect(text(await clients[0]?.read("r"))).toBe("240");
    },
  },
  {
    name: "the first to set what is absent sets it",
    needs: ["operate"],
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const set = (client: LockBackend, value: string): Promise<Operated> =>
        operate(client, { kind: "set-if-absent", value: bytes(value) });
      const outcomes = await Promise.all([set(first, "first"), set(second, "second")]);
      expect(outcomes.filter(({ applied }) => applied)).toHaveLength(1);
      const [one, two] = outcomes.map(({ guarded }) => text(guarded));
      expect(one).toBe(two);
      expect(text(await first.read("r"))).toBe(one);
    },
  },
  {
    name: "an operation that is asked again under its id has one effect and one answer",
    needs: ["operate"],
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const [sum, claim] = [operationId(), operationId()];
      const answer = await operate(first, add(3n), sum);
      await operate(second, add(4n));
      expect(await operate(first, add(3n), sum)).toMatchObject({
        applied: true,
        guarded: { value: answer.guarded.value, version: 1n },
      });
      expect(text(await second.read("r"))).toBe("7");
      const set: Operation = { kind: "set-if-absent", value: bytes("mine") };
      const claimed = await operate(first, set, claim, "name");
      expect(await operate(first, set, claim, "name")).toEqual(claimed);
    },
  },
  {
    name: "a live lease excludes operations",
    needs: ["operate"],
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const lease = await trial.hold(first, "r");
      expect(await rejection(operate(second, add(1n)))).toMatchObject({ held: true });
      await lease.release();
      expect((await operate(second, add(1n))).applied).toBe(true);
    },
  },
];
