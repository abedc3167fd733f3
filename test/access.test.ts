import { expect, test } from "vitest";
import { covers, grantOf } from "../src/access.ts";
import { InvalidValueError } from "../src/errors.ts";

const grant = (...rights: string[]) => grantOf({ subject: "s" }, rights);

test("rights are what they say, and no more", () => {
  expect(grant()).toMatchObject({ replicate: "nothing", read: [], write: [], observe: false });
  expect(grant("replicate-read", "observe")).toMatchObject({ replicate: "read", observe: true });
  expect(grant("replicate", "replicate-read").replicate).toBe("write");
  const { read, write } = grant("read:*", "write:stock/eu:", "write:a%2Fb");
  expect(covers(read, "anything", "")).toBe(true);
  expect(covers(write, "stock", "eu:1")).toBe(true);
  expect(covers(write, "stock", "e")).toBe(false);
  expect(covers(write, "stocks", "eu:1")).toBe(false);
  expect(covers(write, "a/b", "x")).toBe(true);
  // The first slash ends the collection; further ones are part of the prefix.
  expect(covers(grant("read:logs/a/b").read, "logs", "a/bc")).toBe(true);
});

test.each(["", "admin", "read", "replicate:likes", "write:*/x", "read:%zz", "own:likes"])(
  "%j is no right",
  (right) => {
    expect(() => grant(right)).toThrow(InvalidValueError);
    expect(() => grant(right)).toThrow("rights are replicate");
  },
);

test("a grant has a bounded number of rights", () => {
  expect(() => grant(...Array.from({ length: 257 }, () => "read:a"))).toThrow(InvalidValueError);
});
