/** What is said and kept of the lock authority: in the present forms, and in those that were written once. */
import {
  isCall,
  readCall,
  readReply,
  writeCall,
  writeReply,
} from "../../src/escalate/embedded/authority-codec.ts";
import type { Call, Reply } from "../../src/escalate/embedded/authority-message.ts";
import {
  authorityKey,
  claimKey,
  guardKey,
  markKey,
  offerKey,
  readGuards,
  readKeptSeat,
  writeAuthority,
  writeGuard,
  writeMark,
  writeOffer,
} from "../../src/escalate/embedded/guard-records.ts";
import {
  type Claim,
  isStanding,
  readStanding,
  writeClaim,
  writeStanding,
} from "../../src/escalate/embedded/standing.ts";
import { ByteWriter } from "../../src/store/bytes.ts";
import { memoryStorage } from "../../src/store/storage/memory.ts";
import { bytesOf, type Golden, type GoldenLine, hex } from "./file.ts";

const claim: Claim = {
  ...{ authority: "0f".repeat(16), generation: 2, epoch: 1_700_000_000, host: "checkout-1 é" },
  ...{ replaces: ["1e".repeat(16)], isDurable: true, isEstablished: true },
};
const one = { birth: claim.authority, resource: "trellis/r" };
const trace = { traceId: "5a".repeat(16), spanId: "6b".repeat(8), flags: 1 };
const fence = { token: 2n ** 40n, nonce: "ab" };

/** Every request, and an answer to each. */
const conversations: readonly (readonly [Call, Reply])[] = [
  [{ kind: "birth" }, { kind: "born", birth: claim.authority }],
  [
    { kind: "open", request: { ...one, nonce: "ab", ttlMs: 10_000, waitMs: 5, maxHoldMs: 7 } },
    { kind: "held", place: 3, leftMs: 20 },
  ],
  [{ kind: "turn", request: { ...one, nonce: "ab" } }, { kind: "done" }],
  [{ kind: "cancel", request: { ...one, nonce: "ab" } }, { kind: "done" }],
  [
    { kind: "renew", request: { ...one, fence, ttlMs: 9 } },
    { kind: "alive", isAlive: true },
  ],
  [
    { kind: "read", request: one },
    { kind: "present", present: { value: Uint8Array.of(1), version: 3n, token: 4n } },
  ],
  [
    {
      kind: "commit",
      request: {
        ...{ birth: undefined, operationId: "id" },
        parts: [{ resource: "a", fence, version: 1n, value: Uint8Array.of(2) }],
      },
    },
    { kind: "committed", versions: [2n] },
  ],
  [
    {
      kind: "compareAndSet",
      request: { ...one, expected: 0n, value: Uint8Array.of(3), operationId: "id" },
    },
    { kind: "moved", index: 0, installed: 7n, forgotten: true },
  ],
  [
    {
      kind: "compareAndSet",
      request: { ...one, expected: 2n, value: Uint8Array.of(3), operationId: "ie" },
    },
    {
      ...{ kind: "moved", index: 0, installed: 0n, forgotten: false },
      present: { value: Uint8Array.of(5), version: 3n, token: 4n },
    },
  ],
  [
    {
      kind: "operate",
      request: {
        ...one,
        operation: { kind: "add", by: -5n, min: 0n },
        operationId: "i",
        since: 0n,
      },
    },
    { kind: "unavailable", reason: "the disk is full" },
  ],
  [
    { kind: "give", move: "2d".repeat(16), host: "b" },
    { kind: "given", claim, serial: 12 },
  ],
  [
    { kind: "take", move: "2d".repeat(16), after: "trellis/q" },
    { kind: "guards", guards: [{ resource: "trellis/r", bytes: Uint8Array.of(9) }], isLast: true },
  ],
];

/** Every golden file of the authority, made anew. */
export async function authorityGoldens(): Promise<Golden[]> {
  const standings = [
    writeStanding({ claim, rival: undefined, distance: 0 }),
    writeStanding({ claim, rival: { ...claim, authority: "3c" }, distance: undefined }),
    writeStanding({ claim: undefined, rival: undefined, distance: 3 }),
    firstStanding(),
  ];
  const said = conversations.flatMap(([call, reply], i) => [
    ["says", hex(writeCall({ number: i + 1, call, hops: i % 2 }))],
    [call.kind, hex(writeReply(i + 1, reply))],
  ]);
  const traced = [0, 3].map((hops) =>
    hex(writeCall({ number: 300, call: { kind: "read", request: one }, hops, trace })),
  );
  const lines: GoldenLine[] = [
    { word: "#", text: "who is the authority, requests and answers, and what is kept of it" },
    ...standings.map((bytes): GoldenLine => ({ word: "authority", text: `says ${hex(bytes)}` })),
    ...said.map(([to, text]): GoldenLine => ({ word: "authority", text: `${to} ${text}` })),
    ...traced.map((bytes): GoldenLine => ({ word: "authority", text: `says ${bytes}` })),
    ...keptNow().map((text): GoldenLine => ({ word: "kept", text })),
    ...keptFirst().map((text): GoldenLine => ({ word: "kept", text: `first ${text}` })),
  ];
  const meanings: GoldenLine[] = [];
  for (const text of await authorityMeanings(lines)) meanings.push({ word: "holds", text });
  return [{ name: "authority.hex", lines: [...lines, ...meanings] }];
}

/** What the lines say, one after the other, and then what is kept, as it was first and as it is now. */
export async function authorityMeanings(lines: readonly GoldenLine[]): Promise<string[]> {
  const said = lines
    .filter(({ word }) => word === "authority")
    .map(({ word, text }) => {
      const [to = "", bytes = ""] = text.split(" ");
      return meaningOf(to, bytesOf({ word, text: bytes }));
    });
  const kept = lines.filter(({ word }) => word === "kept").map(({ text }) => text);
  const first = kept.filter((text) => text.startsWith("first ")).map((text) => text.slice(6));
  const now = kept.filter((text) => !text.startsWith("first "));
  return [...said, await seatOf(now), await seatOf(first)].map((meaning) =>
    JSON.stringify(meaning, (_, value: unknown) => {
      if (typeof value === "bigint") return `${value}n`;
      if (value instanceof Map) return [...(value as Map<string, unknown>)];
      return value instanceof Uint8Array ? hex(value) : value;
    }),
  );
}

function meaningOf(to: string, bytes: Uint8Array): unknown {
  if (to !== "says") return readReply(to as Call["kind"], bytes);
  if (isStanding(bytes)) return readStanding(bytes);
  return isCall(bytes) ? readCall(bytes) : "no request";
}

async function seatOf(records: readonly string[]): Promise<unknown> {
  const engine = await memoryStorage().open();
  const batch = engine.batch();
  for (const record of records) {
    const [key = "", value = ""] = record.split(" ");
    batch.put(Buffer.from(key, "hex"), Buffer.from(value, "hex"));
  }
  await batch.write({ sync: true });
  const seat = await readKeptSeat(engine);
  const guards = await readGuards(engine, seat.authority?.birth, 0);
  await engine.close();
  return { seat, guards };
}

const birth = claim.authority;
const guard = (): readonly [Uint8Array, Uint8Array] => {
  const operations = [{ operationId: "id" }];
  const value = Uint8Array.of(1, 2);
  const record = { value, version: 1n, token: 5n, holder: undefined, operations };
  return [guardKey("trellis/r"), writeGuard({ record, leaseMs: 0, holdMs: undefined }, birth)];
};

const recordOf = ([key, value]: readonly [Uint8Array, Uint8Array]): string =>
  `${hex(key)} ${hex(value)}`;

const keptNow = (): string[] =>
  [
    [authorityKey(), writeAuthority({ birth, epoch: 7, generation: 2, seal: "2d" })] as const,
    [claimKey(), writeClaim(claim)] as const,
    [markKey(), writeMark({ serial: 300, isClosed: true })] as const,
    [offerKey(), writeOffer("4b")] as const,
    guard(),
  ].map(recordOf);

/** Before the part could be moved: format 1. */
function keptFirst(): string[] {
  const [authority, first] = [new ByteWriter(), new ByteWriter()];
  authority.byte(1);
  authority.text(birth);
  authority.varint(7);
  first.byte(1);
  putFirst(first);
  return [
    [authorityKey(), authority.take()] as const,
    [claimKey(), first.take()] as const,
    guard(),
  ].map(recordOf);
}

/** Of the host, in format 1. */
function firstStanding(): Uint8Array {
  const out = new ByteWriter();
  for (const byte of [1, 64, 1 | 4]) out.byte(byte);
  putFirst(out);
  return out.take();
}

function putFirst(out: ByteWriter): void {
  out.byte(3);
  out.text(birth);
  out.text("checkout-1");
}
