import { describe, expect, test } from "vitest";
import * as errors from "../src/errors.ts";

/** The names of contract.md. */
const contract = [
  "InsufficientError",
  "RightsUnavailableError",
  "AlreadyClaimedError",
  "ConflictError",
  "StaleTokenError",
  "LeaseLostError",
  "LockTimeoutError",
  "LockUnavailableError",
  "OverloadedError",
  "ClockSkewError",
  "SchemaMismatchError",
  "ProtocolError",
  "CorruptStorageError",
  "StorageError",
  "StoreRolledBackError",
  "UsageError",
  "InvalidValueError",
  "CounterRangeError",
  "ClosedError",
  "WaitTimeoutError",
  "UnauthorizedError",
  "UnknownOutcomeError",
  "VersionLostError",
] as const;

const classes: ReadonlyMap<string, unknown> = new Map(Object.entries(errors));

const codeOf = (name: string): string =>
  `TRELLIS_${name
    .replace(/Error$/u, "")
    .replace(/(?<=[a-z])(?=[A-Z])/gu, "_")
    .toUpperCase()}`;

describe("every error", () => {
  test("is named in the contract, and the other way round", () => {
    const exported = [...classes.keys()].filter((name) => name !== "TrellisError");
    expect(exported.toSorted()).toEqual(contract.toSorted());
  });

  test.each(contract)("%s is a TrellisError with its own name and the code made of it", (name) => {
    const Class = classes.get(name) as new (message: string, fields: object) => errors.TrellisError;
    const error = new Class("it broke", {});
    expect(error).toBeInstanceOf(errors.TrellisError);
    expect(error).toBeInstanceOf(Error);
    expect(error.code).toBe(codeOf(name));
    expect(error.name).toBe(name);
    expect(String(error)).toBe(`${name}: it broke`);
    expect(Object.getPrototypeOf(Class)).toBe(errors.TrellisError);
  });
});

test("an error carries its fields as properties", () => {
  const error = new errors.InsufficientError("3 of sku:9 asked for, 1 left", {
    collection: "stock",
    key: "sku:9",
    requested: 3,
    available: 1,
  });
  expect(error).toMatchObject({ collection: "stock", key: "sku:9", requested: 3, available: 1 });
});

test("an error keeps its cause, and has none that was not given", () => {
  const cause = new Error("ENOSPC");
  expect(new errors.StorageError("the disk is full", { cause }).cause).toBe(cause);
  expect(new errors.UsageError("no such collection", { cause }).cause).toBe(cause);
  expect("cause" in new errors.UsageError("no such collection")).toBe(false);
});

test("a field that was not given is absent", () => {
  expect("retryAfterMs" in new errors.OverloadedError("too many")).toBe(false);
});
