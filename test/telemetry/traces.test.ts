/** The span that a request to the lock authority is made in, over links: told, relayed, or left out. */
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import * as fc from "fast-check";
import { isCall, readCall, writeCall } from "../../src/escalate/embedded/authority-codec.ts";
import { silentTelemetry, type Telemetry, withTracer } from "../../src/index.ts";
import { MalformedError } from "../../src/store/bytes.ts";
import { openTelemetryTracer } from "../../src/telemetry/opentelemetry-tracer.ts";
import { readTraceparent, traceFields, writeTraceparent } from "../../src/trace-context.ts";
import { run } from "../locks/scene.ts";
import { type Member, Village } from "../locks/village.ts";
import { CollectedSpans } from "./collected-spans.ts";
import { older } from "./older-peer.ts";

const spans = new CollectedSpans();
beforeEach(() => spans.reset());
afterAll(() => spans.stop());

const telemetry = (): Telemetry =>
  withTracer(silentTelemetry, openTelemetryTracer({ tracer: spans.tracer }));

const hex = (digits: number): fc.Arbitrary<string> =>
  fc.stringMatching(new RegExp(`^[0-9a-f]{${digits}}$`, "u")).filter((id) => /[^0]/u.test(id));
const trace = fc.record({ traceId: hex(32), spanId: hex(16), flags: fc.nat(3) });

describe("a span as text", () => {
  test("is read as it was written", () => {
    fc.assert(
      fc.property(trace, (span) => {
        expect(readTraceparent(writeTraceparent(span))).toEqual(span);
      }),
    );
  });

  const good = `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01`;
  test.each([
    ["nothing", undefined],
    ["the empty text", ""],
    ["capitals", good.toUpperCase()],
    ["a trace of zeros", `00-${"0".repeat(32)}-${"cd".repeat(8)}-01`],
    ["a span of zeros", `00-${"ab".repeat(16)}-${"0".repeat(16)}-01`],
    ["version ff", `ff${good.slice(2)}`],
    ["version 0 with more behind it", `${good}-00`],
    ["a line after it", `${good}\n`],
    ["a later version that says nothing between", `01${good.slice(2)}00`],
    ["a header of a megabyte", `01${good.slice(2)}-${"x".repeat(1_000_000)}`],
  ])("is not read out of %s", (_, text) => {
    expect(readTraceparent(text)).toBeUndefined();
  });

  test("of a later version is read as far as it is known", () => {
    expect(readTraceparent(`01${good.slice(2, -2)}ff-more`)).toMatchObject({ flags: 3 });
  });

  test("gives a log line its ids", () => {
    const ids = { traceId: "ab".repeat(16), spanId: "cd".repeat(8) };
    expect(traceFields({ present: () => good })).toEqual(ids);
    expect(traceFields({ present: () => undefined })).toEqual({});
    expect(traceFields(undefined)).toEqual({});
  });
});

describe("a span as bytes", () => {
  const call = { kind: "read", request: { birth: "b", resource: "r" } } as const;

  test("goes before a request, relayed or not, and is read as it was written", () => {
    fc.assert(
      fc.property(trace, fc.nat(8), (span, hops) => {
        const bytes = writeCall({ number: 7, call, hops, trace: span });
        expect(isCall(bytes)).toBe(true);
        expect(readCall(bytes)).toEqual({ number: 7, call, hops, trace: span });
      }),
    );
  });

  const span = { traceId: "ab".repeat(16), spanId: "cd".repeat(8), flags: 1 };
  const bytes = writeCall({ number: 7, call, hops: 2, trace: span });
  const changed = (at: number, to: readonly number[]): Uint8Array => {
    const copy = Uint8Array.from(bytes);
    copy.set(to, at);
    return copy;
  };
  test.each([
    [
      "a trace of zeros",
      changed(
        2,
        Array.from({ length: 16 }, () => 0),
      ),
    ],
    [
      "a span of zeros",
      changed(
        18,
        Array.from({ length: 8 }, () => 0),
      ),
    ],
    ["flags that mean nothing", changed(26, [4])],
    ["two spans", Uint8Array.from([...bytes.subarray(0, 27), ...bytes])],
    ["a span and nothing behind it", bytes.subarray(0, 27)],
    ["half a span", bytes.subarray(0, 12)],
  ])("is refused with %s", (_, hostile) => {
    expect(() => readCall(hostile)).toThrow(MalformedError);
  });
});

/** Takes a lock from the last one, in a span of the service's, and says what was seen of it. */
async function lockFrom(village: Village, member: Member): Promise<void> {
  await village.pass();
  spans.reset();
  await run(
    village.world,
    member.replica.locks.withLock("report", () => undefined),
  );
}

test("a call's spans at the host are below those at who asks", async () => {
  const village = new Village();
  await village.open("host", { host: true, telemetry: telemetry() });
  const asks = await village.open("asks", { peers: ["host"], telemetry: telemetry() });
  await lockFrom(village, asks);
  const opened = spans.one("trellis.authority.open");
  expect(spans.chain(opened)).toEqual([
    ...["trellis.authority.open", "trellis.acquire", "trellis.escalate"],
  ]);
  expect(opened.attributes).toEqual({
    ...{ "trellis.backend": "embedded", "trellis.peer": "asks", "trellis.hops": 0 },
    "trellis.outcome": "opened",
  });
  expect(opened.parentSpanContext?.isRemote).toBe(true);
});

test.each([
  ["that takes spans", true],
  ["that takes none", false],
])("a call over a replica %s stays in its trace", async (_, relayTraces) => {
  const village = new Village();
  await village.open("host", { host: true, telemetry: telemetry() });
  const taken = relayTraces ? { telemetry: telemetry() } : {};
  await village.open("relay", { peers: ["host"], ...taken });
  const asks = await village.open("asks", { peers: ["relay"], telemetry: telemetry() });
  await lockFrom(village, asks);
  const opened = spans.named("trellis.authority.open");
  const atHost = opened.find(({ attributes }) => attributes["trellis.peer"] === "relay");
  if (!atHost) throw new Error("the host was not asked in a span");
  expect(spans.chain(atHost)).toEqual([
    ...opened.map(({ name }) => name),
    ...["trellis.acquire", "trellis.escalate"],
  ]);
  expect(opened).toHaveLength(relayTraces ? 2 : 1);
  expect(new Set(spans.all.map((span) => span.spanContext().traceId)).size).toBe(1);
});

describe("beside a replica of an older version", () => {
  const refuse = (): void => {
    throw new Error("it was sent what it cannot read");
  };
  const tap = { tap: (network: Parameters<typeof older>[0]) => older(network, refuse) };

  test.each([
    ["it hosts", { older: "host" }],
    ["it asks", { older: "asks" }],
    ["it stands between", { older: "relay" }],
  ])("locks work where %s, and the trace ends there", async (_, { older: which }) => {
    const village = new Village();
    const more = (name: string): object => (name === which ? tap : { telemetry: telemetry() });
    const host = await village.open("host", { host: true, ...more("host") });
    const relay = await village.open("relay", { peers: ["host"], ...more("relay") });
    const asks = await village.open("asks", { peers: ["relay"], ...more("asks") });
    await lockFrom(village, asks);
    for (const { replica } of [host, relay, asks]) {
      expect(replica.status().peers.map(({ state }) => state)).not.toContain("refused");
    }
    const acquired = spans.named("trellis.acquire");
    expect(acquired).toHaveLength(which === "asks" ? 0 : 1);
    const remote = spans.all.filter(({ name }) => name.startsWith("trellis.authority."));
    const seenAt = new Set(remote.map(({ attributes }) => attributes["trellis.peer"]));
    expect([...seenAt]).toEqual(which === "host" ? ["asks"] : []);
  });
});
