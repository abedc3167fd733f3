/** Found by the fuzzer: what a refused frame had said of the peer's vector was believed by the next. */
import { expect, test } from "vitest";
import { flag } from "../../src/index.ts";
import { ByteWriter, MalformedError } from "../../src/store/bytes.ts";
import { Exchange } from "../../src/store/exchange.ts";
import { Exchanges } from "../../src/store/exchanges.ts";
import { flagFirst, flagLast } from "../../src/store/frame.ts";
import { Keyspace } from "../../src/store/keyspace.ts";
import { VersionVector } from "../../src/crdt/version-vector.ts";
import { World } from "../simulation/virtual-environment.ts";
import { assertWhole, dump } from "./dump.ts";

/** A frame that stands alone, on one flag of one actor. */
function frame(parts: { names?: boolean; moveTo?: number; body: readonly number[] }): Uint8Array {
  const out = new ByteWriter();
  out.byte(flagFirst | flagLast);
  out.varint(parts.names === true ? 1 : 0);
  if (parts.names === true) {
    out.varint(0);
    out.text("flags");
    out.text("flag/1");
    out.text('"mark"');
  }
  out.varint(parts.names === true ? 1 : 0);
  if (parts.names === true) {
    out.varint(0);
    out.raw(new Uint8Array(16).fill(0xab));
    out.byte(0);
  }
  out.varint(parts.names === true ? 1 : 0);
  if (parts.names === true) {
    out.varint(4); // number 1
    out.varint(0); // in collection 0
    out.byte(128);
    out.text("x");
  }
  out.varint(parts.moveTo === undefined ? 0 : 1);
  if (parts.moveTo !== undefined) {
    out.varint(0);
    out.varint(parts.moveTo);
  }
  for (const byte of parts.body) out.byte(byte);
  return out.take();
}

/** Slot 1, one cell of actor 0, live, at the sender's vector. */
const cell = [1, 2, 0, 2];
const unknownState = [1, 2, 0, 6];

test("a frame that builds on a refused one is refused, too", () => {
  const environment = new World(1).environment();
  const keyspace = new Keyspace({ schema: { flags: flag() }, environment });
  const exchange = new Exchange(new Exchanges(keyspace), {
    told: new VersionVector(),
    known: new VersionVector(),
  });
  exchange.receive(frame({ names: true, moveTo: 1, body: cell }));
  const before = JSON.stringify(dump(keyspace, "all"));
  expect(() => exchange.receive(frame({ moveTo: 5, body: unknownState }))).toThrow(MalformedError);
  expect(() => exchange.receive(frame({ body: cell }))).toThrow(MalformedError);
  assertWhole(keyspace);
  expect(JSON.stringify(dump(keyspace, "all"))).toBe(before);
});
