/** Requests and answers as bytes, and both ends of a way for them. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LockUnavailableError } from "../../src/errors.ts";
import {
  authorityBytesMax,
  isCall,
  numberOfReply,
  readCall,
  readReply,
  writeCall,
  writeReply,
} from "../../src/escalate/embedded/authority-codec.ts";
import { answer, AuthorityHost } from "../../src/escalate/embedded/authority-host.ts";
import type { Call, Reply } from "../../src/escalate/embedded/authority-message.ts";
import { RemoteAuthority } from "../../src/escalate/embedded/remote-authority.ts";
import { distanceMax } from "../../src/escalate/embedded/standing.ts";
import type { Authority } from "../../src/escalate/fence/authority.ts";
import { GuardTable } from "../../src/escalate/fence/guard-table.ts";
import { MalformedError } from "../../src/store/bytes.ts";
import { World } from "../simulation/virtual-environment.ts";
import { clientOf } from "./durable-subject.ts";
import { bytes, operationId, rejection } from "./trial.ts";

const big = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const amount = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n });
const name = fc.string({ unit: "grapheme", maxLength: 40 });
const nonce = fc.string({ maxLength: 32 });
const drawn = fc.string({ minLength: 1, maxLength: 32 });
const time = fc.double({ min: 0, max: 2 ** 31, noNaN: true });
const value = fc.uint8Array({ maxLength: 200 });
const birth = fc.option(fc.string({ maxLength: 32 }), { nil: undefined });
const fence = fc.record({ token: big, nonce });
const present = fc.record({
  value: fc.option(value, { nil: undefined }),
  version: big,
  token: big,
});
const operation = fc.oneof(
  fc.record({ kind: fc.constant("set-if-absent" as const), value }),
  fc.record(
    { kind: fc.constant("add" as const), by: amount, min: amount, max: amount },
    { requiredKeys: ["kind", "by"] },
  ),
);
const part = fc.record(
  { resource: name, fence, version: big, value },
  { requiredKeys: ["resource", "fence", "version"] },
);
const one = { birth, resource: name };

const requests = {
  open: fc.record(
    { ...one, nonce, ttlMs: time, waitMs: time, maxHoldMs: time },
    { requiredKeys: ["birth", "resource", "nonce", "ttlMs", "waitMs"] },
  ),
  turn: fc.record({ ...one, nonce }),
  cancel: fc.record({ ...one, nonce }),
  renew: fc.record({ ...one, fence, ttlMs: time }),
  read: fc.record(one),
  commit: fc.record({
    birth,
    parts: fc.array(part, { minLength: 1, maxLength: 4 }),
    operationId: nonce,
  }),
  compareAndSet: fc.record({ ...one, expected: big, value, operationId: nonce }),
  operate: fc.record({ ...one, operation, operationId: nonce, since: big }),
};

const call: fc.Arbitrary<Call> = fc.oneof(
  fc.constant<Call>({ kind: "birth" }),
  requests.open.map((request): Call => ({ kind: "open", request })),
  requests.turn.map((request): Call => ({ kind: "turn", request })),
  requests.cancel.map((request): Call => ({ kind: "cancel", request })),
  requests.renew.map((request): Call => ({ kind: "renew", request })),
  requests.read.map((request): Call => ({ kind: "read", request })),
  requests.commit.map((request): Call => ({ kind: "commit", request })),
  requests.compareAndSet.map((request): Call => ({ kind: "compareAndSet", request })),
  requests.operate.map((request): Call => ({ kind: "operate", request })),
  fc.record({ kind: fc.constant("give" as const), move: drawn, host: nonce }),
  fc.record({ kind: fc.constant("take" as const), move: drawn, after: name }),
);

const refused = fc.record({
  kind: fc.constantFrom("stale" as const, "moved" as const, "held" as const),
  index: fc.nat(1024),
  installed: big,
  forgotten: fc.boolean(),
});
const reborn = fc.record({ kind: fc.constant("reborn" as const), birth: nonce });
const reason = fc.record({
  kind: fc.constantFrom("unavailable" as const, "failed" as const),
  reason: name,
});

const claim = fc.record({
  ...{ authority: nonce, host: nonce, generation: fc.nat(), epoch: fc.nat() },
  replaces: fc.array(nonce, { maxLength: 4 }),
  ...{ isDurable: fc.boolean(), isEstablished: fc.boolean() },
});

/** Answers to one kind of request. */
const answers: { readonly [K in Call["kind"]]: fc.Arbitrary<Reply> } = {
  birth: fc.record({ kind: fc.constant("born" as const), birth: nonce }),
  open: fc.oneof(
    fc.record({ kind: fc.constant("opened" as const), token: big, present }),
    fc.record({
      kind: fc.constant("held" as const),
      place: fc.integer({ min: -1, max: 10_000 }),
      leftMs: time,
    }),
    fc.constant<Reply>({ kind: "full" }),
    reborn,
    reason,
  ),
  turn: fc.constant<Reply>({ kind: "done" }),
  cancel: fc.constant<Reply>({ kind: "done" }),
  renew: fc.record({ kind: fc.constant("alive" as const), isAlive: fc.boolean() }),
  read: fc.oneof(fc.record({ kind: fc.constant("present" as const), present }), reborn),
  commit: fc.oneof(
    fc.record({ kind: fc.constant("committed" as const), versions: fc.array(big) }),
    refused,
    reborn,
  ),
  compareAndSet: fc.oneof(
    fc.record({ kind: fc.constant("written" as const), version: big, token: big }),
    refused,
    fc.record({
      kind: fc.constant("moved" as const),
      ...{ index: fc.nat(1024), installed: big, forgotten: fc.boolean(), present },
    }),
    reborn,
  ),
  operate: fc.oneof(
    fc.record({ kind: fc.constant("operated" as const), applied: fc.boolean(), present }),
    fc.record({ kind: fc.constant("forgotten" as const), version: big }),
    fc.constant<Reply>({ kind: "no-integer" }),
    refused,
    reborn,
  ),
  give: fc.record({ kind: fc.constant("given" as const), claim, serial: fc.nat() }),
  take: fc.record({
    kind: fc.constant("guards" as const),
    guards: fc.array(fc.record({ resource: name, bytes: value }), { maxLength: 4 }),
    isLast: fc.boolean(),
  }),
};

const kinds = Object.keys(answers) as Call["kind"][];
const answered = fc
  .constantFrom(...kinds)
  .chain((kind) => answers[kind].map((reply) => ({ kind, reply })));
const number = fc.nat();

/** What this throws; as if it were malformed, if nothing. */
function thrownBy(read: () => unknown): unknown {
  try {
    read();
  } catch (error) {
    return error;
  }
  return new MalformedError("it is not");
}

describe("the codec of an authority", () => {
  test("reads every request as it was written", () => {
    fc.assert(
      fc.property(number, call, fc.nat(distanceMax), (at, asked, hops) => {
        const written = writeCall({ number: at, call: asked, hops });
        expect(isCall(written)).toBe(true);
        expect(readCall(written)).toEqual({ number: at, call: asked, hops });
      }),
    );
  });

  test("reads every answer as it was written", () => {
    fc.assert(
      fc.property(number, answered, (at, { kind, reply }) => {
        const written = writeReply(at, reply);
        expect(isCall(written)).toBe(false);
        expect(numberOfReply(written)).toBe(at);
        expect(readReply(kind, written)).toEqual(reply);
      }),
    );
  });

  test("refuses an answer to another kind of request", () => {
    const written = writeReply(1, { kind: "held", index: 0, installed: 1n, forgotten: false });
    expect(() => readReply("open", written)).toThrow(MalformedError);
    const queued = writeReply(1, { kind: "held", place: 0, leftMs: 1 });
    expect(() => readReply("commit", queued)).toThrow(MalformedError);
  });

  test("refuses what is no message, whatever bytes it is", () => {
    const reads = [readCall, numberOfReply, ...kinds.map((kind) => readReply.bind(null, kind))];
    const mutated = fc
      .tuple(fc.oneof(call, answered), fc.nat(), fc.nat(255), fc.nat(3))
      .map(([source, at, byte, how]) => {
        const written =
          "reply" in source
            ? writeReply(1, source.reply)
            : writeCall({ number: 1, call: source, hops: at % 2 });
        if (how === 0) return written.subarray(0, at % written.length);
        if (how === 1) return Uint8Array.from([...written, byte]);
        const changed = Uint8Array.from(written);
        changed[at % changed.length] = byte;
        return changed;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), mutated), (garbage) => {
        const thrown = reads.map((read) => thrownBy(() => read(garbage)));
        expect(thrown.filter((error) => !(error instanceof MalformedError))).toEqual([]);
      }),
      { numRuns: 2_000 },
    );
    expect(() => readCall(new Uint8Array(authorityBytesMax + 1).fill(1))).toThrow(MalformedError);
  });

  test("passes amounts and versions that nothing can have on as such", () => {
    const request = {
      ...{ birth: undefined, resource: "r", operationId: "id", since: -1n },
      operation: { kind: "add", by: -(10n ** 40n), min: 10n ** 30n } as const,
    };
    const { call: read } = readCall(
      writeCall({ number: 1, hops: 0, call: { kind: "operate", request } }),
    );
    expect(read).toMatchObject({ request: { since: 2n ** 64n - 1n } });
    const { operation: after } = (read as Extract<Call, { kind: "operate" }>).request;
    expect(after).toMatchObject({ kind: "add", by: -(2n ** 65n - 2n), min: 2n ** 65n - 2n });
  });
});

describe("an authority at the other end of a way", () => {
  function connected(change: Partial<Authority> = {}): {
    readonly remote: RemoteAuthority;
    readonly table: GuardTable;
    /** Requests so far. */
    readonly asked: () => number;
  } {
    let asked = 0;
    const table = new GuardTable(new World(1).environment());
    const authority: Authority = {
      birth: () => table.birth(),
      open: (request) => table.open(request),
      turn: (request) => table.turn(request),
      cancel: (request) => table.cancel(request),
      renew: (request) => table.renew(request),
      read: (request) => table.read(request),
      commit: (request) => table.commit(request),
      compareAndSet: (request) => table.compareAndSet(request),
      ...change,
    };
    const host = new AuthorityHost(
      async (asking) => answer(authority, asking),
      (reply) => {
        remote.received(reply);
        return true;
      },
    );
    const remote: RemoteAuthority = new RemoteAuthority((request) => {
      asked++;
      host.received(request);
      return true;
    });
    return { remote, table, asked: () => asked };
  }

  const set = { birth: undefined, resource: "r", expected: 0n, operationId: "1" };

  test("answers as the authority itself", async () => {
    const { remote, table } = connected();
    expect(await remote.birth()).toBe(await table.birth());
    const written = await remote.compareAndSet({ ...set, value: bytes("x") });
    expect(written).toEqual({ kind: "written", version: 1n, token: 0n });
    expect(await remote.read({ birth: undefined, resource: "r" })).toEqual(
      await table.read({ birth: undefined, resource: "r" }),
    );
  });

  test("says which refusals are sure, and which are not", async () => {
    const sure = connected({
      compareAndSet: () => Promise.reject(new LockUnavailableError("the disk refuses")),
    });
    const refusal = await rejection(sure.remote.compareAndSet({ ...set, value: bytes("x") }));
    expect(refusal).toBeInstanceOf(LockUnavailableError);
    const unsure = connected({ compareAndSet: () => Promise.reject(new Error("a fault")) });
    const failure = await rejection(unsure.remote.compareAndSet({ ...set, value: bytes("x") }));
    expect(failure).not.toBeInstanceOf(LockUnavailableError);
  });

  test("is surely not asked without room, after the end, and for more than a message holds", async () => {
    let hasRoom = false;
    const remote = new RemoteAuthority(() => hasRoom);
    expect(await rejection(remote.birth())).toBeInstanceOf(LockUnavailableError);
    hasRoom = true;
    const parts = Array.from({ length: 5 }, (_, i) => ({
      ...{ resource: `${i}`, fence: { token: 1n, nonce: "n" }, version: 0n },
      value: new Uint8Array(4 * 1024 * 1024),
    }));
    const large = remote.commit({ birth: undefined, parts, operationId: "1" });
    expect(await rejection(large)).toBeInstanceOf(LockUnavailableError);
    const asked = rejection(remote.birth());
    remote.end();
    expect(await asked).not.toBeInstanceOf(LockUnavailableError);
    expect(await rejection(remote.birth())).toBeInstanceOf(LockUnavailableError);
  });

  test("is asked three times for a lease with a commit, and once for a compare-and-set", async () => {
    const { remote, asked } = connected();
    await using client = clientOf(remote);
    await client.birth();
    const before = asked();
    const lease = await client.acquire("r", { ttlMs: 1_000, waitMs: 0 });
    await client.commit([{ lease, value: bytes("x") }], operationId());
    await lease.release();
    expect(asked() - before).toBe(3);
    await client.compareAndSet("r", 1n, bytes("y"), operationId());
    expect(asked() - before).toBe(4);
  });

  test("takes no answer to a request that was never made", () => {
    const remote = new RemoteAuthority(() => true);
    expect(() => remote.received(writeReply(1, { kind: "done" }))).toThrow(MalformedError);
  });
});
