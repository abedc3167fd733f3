import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ActorId, actorIdFromBytes, sequenceMax } from "../../src/crdt/dot.ts";
import { endingCode, endingOf } from "../../src/crdt/ending.ts";
import { ByteReader, ByteWriter, MalformedError } from "../../src/store/bytes.ts";
import {
  bucketBits,
  bucketDigests,
  bucketOf,
  digest,
  inActorOrder,
} from "../../src/sync/digest.ts";
import { entriesPerMessageMax, type Message } from "../../src/sync/message.ts";
import { type Reply, toldMembersMax } from "../../src/sync/question.ts";
import { toldCellsMax } from "../../src/store/provenance.ts";
import { partsMax } from "../../src/store/compare/witness.ts";
import { messageBytesMax, MessageWriter, readMessage } from "../../src/sync/protocol.ts";
import { entries, hello, message, natural } from "./arbitrary-messages.ts";

/** With every kind of bytes as a list of numbers. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
}

describe("messages", () => {
  test("every message reads as it was written", () => {
    const writer = new MessageWriter();
    fc.assert(
      fc.property(natural, message, (number, written) => {
        const read = readMessage(writer.write(number, written));
        expect(plain(read)).toEqual(plain({ number, message: written }));
      }),
    );
  });

  test("bytes that were cut off, or changed, are malformed or another message", () => {
    const writer = new MessageWriter();
    fc.assert(
      fc.property(message, fc.nat(), fc.nat(255), fc.boolean(), (written, at, byte, cut) => {
        const whole = writer.write(1, written);
        const broken = cut ? whole.subarray(0, at % whole.length) : whole.slice();
        if (!cut) broken[at % broken.length] = byte;
        expect(isReadOrMalformed(broken)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test("random bytes are malformed or a message", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (broken) => {
        expect(isReadOrMalformed(broken)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test("a hello with fields that we do not know is read as the rest says", () => {
    const [ours] = fc.sample(hello, { numRuns: 1, seed: 1 });
    if (ours === undefined) throw new Error("no sample");
    const whole = new MessageWriter().write(1, ours);
    const grown = withFields(whole, [[99, Uint8Array.of(1, 2, 3)]]);
    expect(plain(readMessage(grown).message)).toEqual(plain(ours));
  });

  test("what follows a body that we know is passed over, as a later version may have it", () => {
    const writer = new MessageWriter();
    const short: Message[] = [
      { kind: "ack", frames: 3 },
      { kind: "ping" },
      { kind: "bye", code: "leaving", reason: "x" },
      { kind: "vector", more: false, entries: [] },
    ];
    for (const known of short) {
      const grown = Uint8Array.of(...writer.write(1, known), 1, 2, 3);
      expect(plain(readMessage(grown).message)).toEqual(plain(known));
    }
  });

  test("a bye with a code of a later version is still a bye", () => {
    const out = new ByteWriter();
    out.byte(8);
    out.varint(1);
    out.varint(1234);
    out.text("for a reason to come");
    expect(readMessage(out.take()).message).toEqual({
      kind: "bye",
      code: "leaving",
      reason: "for a reason to come",
    });
  });

  test.each([
    ["an empty message", []],
    ["an unknown kind", [99, 1]],
    ["a message without a number", [6]],
    ["a hello of something else", [1, 1, ...Buffer.from("HTTP"), 1, 1, 0]],
    ["a hello without fields", [1, 1, ...Buffer.from("TRLS"), 1, 1, 0]],
    ["a hello of no version at all", [1, 1, ...Buffer.from("TRLS"), 2, 1, 0]],
    ["a summary by 17 bits", [2, 1, 17]],
    ["a vector of 2**20 entries", [3, 1, 0, 0x80, 0x80, 0x40]],
    ["an acknowledgement of nothing", [5, 1, 0]],
    ["an end that is none", [10, 1, 1, ...Buffer.alloc(16), 0]],
    ["an end beyond all sequences", [10, 1, 1, ...Buffer.alloc(16), 0x80, 0x80, 0x80, 0x80, 0x10]],
    ["a question about nothing known", [11, 1, 9]],
    ["a range in no parts", [11, 1, 3, 0, 0, 0, 0]],
    ["a range in 65 parts", [11, 1, 3, 0, 0, 0, 65]],
    ["a range that ends where it begins", [11, 1, 3, 0, 1, 1, 97, 1, 1, 97, 1]],
    ["a bound that is not above the last", [11, 1, 4, 0, 0, 0, 2, 1, 98, 1, 97]],
    ["a bound outside the range", [11, 1, 4, 0, 1, 1, 98, 0, 1, 1, 97]],
    ["bounds of 65 parts", [11, 1, 4, 0, 0, 0, 64]],
    ["an answer about nothing known", [12, 1, ...new Uint8Array(16), 9]],
    ["an answer of 65 parts", [12, 1, ...new Uint8Array(16), 3, 65]],
    [
      "2**31 keys",
      [12, 1, ...new Uint8Array(16), 4, 1, 128, 128, 128, 128, 8, ...new Uint8Array(16)],
    ],
    ["a number that does not end", [6, 255, 255, 255, 255, 255, 255, 255, 255, 255]],
  ])("%s is malformed", (_, broken) => {
    expect(() => readMessage(Uint8Array.from(broken))).toThrow(MalformedError);
  });

  test("a vector whose actors are out of order, doubled, or did nothing is malformed", () => {
    const one = new Uint8Array(16).fill(1);
    const two = new Uint8Array(16).fill(2);
    for (const [first, second, sequence] of [
      [two, one, 1],
      [one, one, 1],
      [one, two, 0],
    ] as const) {
      const out = new ByteWriter();
      out.byte(3);
      out.varint(1);
      out.byte(0);
      out.varint(2);
      for (const name of [first, second]) {
        out.raw(name);
        out.varint(sequence);
      }
      expect(() => readMessage(out.take())).toThrow(MalformedError);
    }
  });

  test("a message that is longer than its kind may be is malformed, before it is read", () => {
    for (const [kind, max] of [
      [1, messageBytesMax.hello],
      [2, messageBytesMax.summary],
      [3, messageBytesMax.vector],
      [6, messageBytesMax.ping],
    ] as const) {
      const long = new Uint8Array(max + 1);
      long[0] = kind;
      long[1] = 1;
      expect(() => readMessage(long)).toThrow(MalformedError);
    }
  });

  test("the longest messages that we send are within what a peer accepts", () => {
    const long = "\u{1F98A}".repeat(256);
    const [ours] = fc.sample(hello, { numRuns: 1, seed: 1 });
    if (ours === undefined) throw new Error("no sample");
    const collections = Array.from({ length: 1024 }, (_, i) => ({
      name: `${long.slice(0, 500)}${i}`,
      tag: "or-set/1",
    }));
    const writer = new MessageWriter();
    const greeting = writer.write(1, { ...ours, name: long, collections });
    const read = readMessage(greeting).message;
    expect(read.kind === "hello" && read.collections.length).toBeGreaterThan(40);
    const many = Array.from({ length: entriesPerMessageMax }, (_, i) => {
      const name = new Uint8Array(16);
      new DataView(name.buffer).setUint32(0, i);
      return { actor: actorIdFromBytes(name), sequence: sequenceMax };
    });
    const vector = writer.write(2 ** 40, { kind: "vector", more: true, entries: many });
    expect(readMessage(vector).message.kind).toBe("vector");
    const keys = Array.from({ length: partsMax }, (_, i) => `${"é".repeat(500)}${i + 100}`);
    const range = { after: keys[0], to: keys.at(-1) };
    const ask = writer.write(2 ** 40, {
      kind: "ask",
      question: {
        about: "digests",
        collection: long.slice(0, 512),
        range,
        bounds: keys.slice(1, -1),
      },
    });
    expect(readMessage(ask).message.kind).toBe("ask");
    const digested = { keys: 2 ** 30, digest: digest([]) };
    for (const said of [
      { about: "split", parts: keys.map((last) => ({ last, ...digested })) },
      { about: "vector", more: true, entries: many },
      {
        about: "collections",
        more: true,
        collections: [{ name: long.slice(0, 512), tag: "x".repeat(64 * 1024), keys: 2 ** 30 }],
      },
      longestProvenance(many.map(({ actor }) => actor)),
    ] satisfies Reply[]) {
      const answer = writer.write(2 ** 40, { kind: "answer", digest: digest([]), reply: said });
      expect(readMessage(answer).message.kind).toBe("answer");
    }
    const bye = writer.write(3, { kind: "bye", code: "schema", reason: "\uD800 é".repeat(10_000) });
    expect(readMessage(bye).message.kind).toBe("bye");
  });
});

/** As much as is told of one key. */
function longestProvenance(names: readonly ActorId[]): Reply {
  const actors = names.slice(0, toldCellsMax);
  // Longer names make fewer cells: together they take 48 Ki code units at most, of 3 bytes.
  const shown = "\uFF61".repeat(120);
  const cells = actors.map((actor) => ({
    ...{ path: [shown], actor, sequence: sequenceMax, isLive: true, isHeld: true },
    ...{ number: -Number.MAX_SAFE_INTEGER, value: shown.slice(0, 60) },
  }));
  return {
    about: "provenance",
    found: { tag: "x".repeat(64 * 1024), count: 2 ** 52, cells },
    actors: actors.map((actor) => ({ actor, held: sequenceMax, ending: undefined })),
    members: Array.from({ length: toldMembersMax }, () => ({
      ...{ name: "x".repeat(256), address: "x".repeat(1024), actor: actors[0] },
      ...{ lastSeenMs: Number.MAX_SAFE_INTEGER, acknowledged: actors.map(() => sequenceMax) },
    })),
  };
}

describe("the bytes of protocol version 1", () => {
  const one = actorIdFromBytes(new Uint8Array(16).fill(0x11));
  const golden: [Message, string][] = [
    [
      {
        kind: "hello",
        versions: { min: 1, max: 1 },
        frameVersion: 1,
        actor: one,
        name: "checkout-1",
        nonce: new Uint8Array(16).fill(0x22),
        wallMs: 1_700_000_000_000,
        isDurable: true,
        link: 3,
        collections: [{ name: "likes", tag: "counter/1" }],
        actors: 1,
        digest: digest([{ actor: one, sequence: 5 }]),
      },
      "01820154524c5301010a010101021011111111111111111111111111111111030b0a636865636b6f75742d31" +
        "041022222222222222222222222222222222050680d095ffbc31060101070103081101056c696b657309636f" +
        "756e7465722f310901010a106218feb4e293031b3e31e9f2a8dad6c9",
    ],
    [
      { kind: "summary", bits: 1, digests: [digest([]), digest([])] },
      "02820101e3b0c44298fc1c149afbf4c8996fb924e3b0c44298fc1c149afbf4c8996fb924",
    ],
    [
      {
        kind: "vector",
        more: true,
        stage: { series: 7, frames: 2 },
        entries: [{ actor: one, sequence: 300 }],
      },
      "0382010307020111111111111111111111111111111111ac0200",
    ],
    [
      {
        kind: "vector",
        more: false,
        entries: [{ actor: one, sequence: 5, ending: { at: 6, isFinal: true } }],
      },
      "038201000111111111111111111111111111111111050e",
    ],
    [
      { kind: "ended", endings: [[one, { at: 0, isFinal: false }]] },
      "0a8201011111111111111111111111111111111101",
    ],
    [{ kind: "frame", bytes: Uint8Array.of(3, 0, 0) }, "048201030000"],
    [{ kind: "ack", frames: 200 }, "058201c801"],
    [
      {
        kind: "ask",
        question: {
          about: "digests",
          collection: "likes",
          range: { after: undefined, to: "ü" },
          bounds: ["a", "é"],
        },
      },
      "0b820104056c696b6573000102c3bc02016102c3a9",
    ],
    [
      {
        kind: "answer",
        digest: digest([]),
        reply: { about: "split", parts: [{ last: "a", keys: 300, digest: digest([]) }] },
      },
      "0c8201e3b0c44298fc1c149afbf4c8996fb92403010161ac02e3b0c44298fc1c149afbf4c8996fb924",
    ],
    [{ kind: "ping" }, "068201"],
    [{ kind: "pong" }, "078201"],
    [
      { kind: "bye", code: "duplicate", reason: "there is another link" },
      "0882010715746865726520697320616e6f74686572206c696e6b",
    ],
  ];

  test.each(golden)("of %j are for ever", (said, hex) => {
    expect(Buffer.from(new MessageWriter().write(130, said)).toString("hex")).toBe(hex);
    expect(plain(readMessage(Buffer.from(hex, "hex")))).toEqual(
      plain({ number: 130, message: said }),
    );
  });
});

describe("digests", () => {
  test("do not depend on how a vector came about, and tell any change", () => {
    fc.assert(
      fc.property(entries, fc.nat(), (list, at) => {
        const shuffled = inActorOrder(list.toSorted(() => ((at * 7919) % 3) - 1));
        expect(digest(shuffled)).toEqual(digest(list));
        const changed = list.map((entry, i) =>
          i === at % list.length
            ? { ...entry, sequence: (entry.sequence % sequenceMax) + 1 }
            : entry,
        );
        const isSame = Buffer.compare(digest(changed), digest(list)) === 0;
        expect(isSame).toBe(list.length === 0);
        const ended = list.map((entry, i) => {
          const code = i === at % list.length ? endingCode(entry.ending) + 1 : 0;
          return code > 0 ? { ...entry, ending: endingOf(code) } : entry;
        });
        expect(Buffer.compare(digest(ended), digest(list)) === 0).toBe(list.length === 0);
      }),
    );
  });

  test("of buckets differ exactly where the entries do", () => {
    fc.assert(
      fc.property(entries, entries, fc.nat(6), (left, right, bits) => {
        const [a, b] = [bucketDigests(left, bits), bucketDigests(right, bits)];
        for (let bucket = 0; bucket < 2 ** bits; bucket++) {
          const inBucket = (list: typeof left) =>
            list.filter((entry) => bucketOf(entry.actor, bits) === bucket);
          const same = JSON.stringify(inBucket(left)) === JSON.stringify(inBucket(right));
          expect(Buffer.compare(a[bucket] ?? Buffer.of(), b[bucket] ?? Buffer.of()) === 0).toBe(
            same,
          );
        }
      }),
    );
  });

  test("buckets hold about sixteen actors each, whatever their number", () => {
    expect(bucketBits(10)).toBe(0);
    expect(bucketBits(1_000)).toBe(6);
    expect(bucketBits(2 ** 20)).toBe(16);
    expect(bucketBits(2 ** 30)).toBe(16);
  });
});

function isReadOrMalformed(broken: Uint8Array): boolean {
  try {
    readMessage(broken);
    return true;
  } catch (error) {
    return error instanceof MalformedError;
  }
}

/** A hello with more fields at the end. */
function withFields(
  whole: Uint8Array,
  more: readonly (readonly [number, Uint8Array])[],
): Uint8Array {
  const input = new ByteReader(whole);
  const out = new ByteWriter();
  out.byte(input.byte());
  out.varint(input.varint());
  out.raw(input.raw(4));
  out.varint(input.varint());
  out.varint(input.varint());
  out.varint(input.varint() + more.length);
  out.raw(input.raw(input.left));
  for (const [id, field] of more) {
    out.varint(id);
    out.varint(field.length);
    out.raw(field);
  }
  return out.take();
}
