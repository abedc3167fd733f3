/** Values and names at their edges. */
import { expect } from "vitest";
import { ConflictError, InvalidValueError } from "../../../src/errors.ts";
import { Random } from "../../simulation/virtual-environment.ts";
import type { LockCase } from "../conformance.ts";
import { bytes, operationId, rejection, text } from "../trial.ts";

const oddNames = [
  "",
  " ",
  "a",
  "a/",
  "a/b",
  "/a",
  "//",
  "..",
  "../a",
  "a b",
  "a%2Fb",
  "a\u0000b",
  "a\nb",
  "{a}",
  "*",
  "'; --",
  "__proto__",
  "constructor",
  "A",
  "\u00e9",
  "e\u0301",
  "\u{1f600}",
  "\uffff",
  "n".repeat(2_048),
  `${"n".repeat(2_047)}m`,
];

export const valueCases: readonly LockCase[] = [
  {
    name: "what was never written is absent; no bytes are a value",
    run: async (trial) => {
      const client = await trial.client();
      expect(await client.read("r")).toBeUndefined();
      const lease = await trial.hold(client, "r");
      expect(await client.read("r")).toBeUndefined();
      const [empty] = await client.commit([{ lease, value: new Uint8Array(0) }], operationId());
      expect(empty).toMatchObject({ version: 1n, value: new Uint8Array(0) });
      expect(await client.read("r")).toMatchObject({ version: 1n, value: new Uint8Array(0) });
      await lease.release();
      const again = client.compareAndSet("r", undefined, bytes("x"), operationId());
      expect(await rejection(again)).toMatchObject({ code: "TRELLIS_CONFLICT" });
    },
  },
  {
    name: "a compare-and-set that comes too late is told what is there, as by a read",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const late = async (): Promise<ConflictError["current"]> => {
        const refused = await rejection(
          first.compareAndSet("r", undefined, bytes("late"), operationId()),
        );
        expect(refused).toBeInstanceOf(ConflictError);
        return (refused as ConflictError).current;
      };
      const { version: one } = await second.compareAndSet(
        "r",
        undefined,
        bytes("1"),
        operationId(),
      );
      expect(await late()).toEqual(await second.read("r"));
      // Under a lease the token moves too; and no bytes are a value.
      const lease = await trial.hold(second, "r");
      await second.commit([{ lease, value: new Uint8Array(0) }], operationId());
      expect(await rejection(first.compareAndSet("r", one, bytes("held"), operationId()))).toEqual(
        expect.objectContaining({ held: true }),
      );
      await lease.release();
      expect(await late()).toEqual({ value: new Uint8Array(0), version: 2n, token: lease.token });
      const large = new Random(8).bytes(trial.valueBytes);
      await second.compareAndSet("r", 2n, large, operationId());
      expect(await late()).toEqual(await second.read("r"));
      expect(Buffer.compare((await second.read("r"))?.value ?? bytes(""), large)).toBe(0);
    },
  },
  {
    name: "large values and all bytes come back as they were",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const large = new Random(7).bytes(trial.valueBytes);
      const every = Uint8Array.from({ length: 256 }, (_, i) => i);
      await first.compareAndSet("large", undefined, large, operationId());
      const lease = await trial.hold(first, "every");
      await first.commit([{ lease, value: every }], operationId());
      expect(Buffer.compare((await second.read("large"))?.value ?? every, large)).toBe(0);
      expect((await second.read("every"))?.value).toEqual(every);
    },
  },
  {
    name: "what was handed in can be changed without harm",
    run: async (trial) => {
      const client = await trial.client();
      const value = bytes("as it was");
      const writing = client.compareAndSet("r", undefined, value, operationId());
      value.fill(0);
      await writing;
      expect(text(await client.read("r"))).toBe("as it was");
    },
  },
  {
    name: "names are told apart, however odd they are",
    run: async (trial) => {
      const [first, second] = await trial.pair();
      const leases = [];
      for (const name of oddNames) leases.push(await trial.hold(first, name));
      for (const lease of leases) {
        expect(lease.current).toBeUndefined();
        await first.commit([{ lease, value: bytes(lease.resource) }], operationId());
        await lease.release();
      }
      for (const name of oddNames) expect(text(await second.read(name))).toBe(name);
    },
  },
  {
    name: "names, ids and times that are none are refused before anything is sent",
    run: async (trial) => {
      const client = await trial.client();
      const long = { ttlMs: trial.longMs, waitMs: 0 };
      const refused = [
        client.acquire("\ud800", long),
        client.acquire("n".repeat(2_049), long),
        client.acquire("r", { ...long, ttlMs: 0 }),
        client.acquire("r", { ...long, ttlMs: Number.NaN }),
        client.acquire("r", { ...long, waitMs: -1 }),
        client.acquire("r", { ...long, waitMs: Number.POSITIVE_INFINITY }),
        client.acquire("r", { ...long, maxHoldMs: -1 }),
        client.read("\udfff"),
        client.compareAndSet("r", undefined, bytes("x"), ""),
        client.compareAndSet("r", undefined, bytes("x"), "i".repeat(129)),
      ];
      for (const one of refused) expect(await rejection(one)).toBeInstanceOf(InvalidValueError);
      expect(await client.read("r")).toBeUndefined();
    },
  },
  {
    name: "clients of different prefixes do not meet",
    run: async (trial) => {
      const [ours, theirs] = [
        await trial.client({ prefix: "ours/" }),
        await trial.client({ prefix: "theirs/" }),
      ];
      const lease = await trial.hold(ours, "r");
      const other = await trial.hold(theirs, "r");
      await ours.commit([{ lease, value: bytes("ours") }], operationId());
      await theirs.commit([{ lease: other, value: bytes("theirs") }], operationId());
      expect(text(await ours.read("r"))).toBe("ours");
      expect(text(await theirs.read("r"))).toBe("theirs");
    },
  },
];
