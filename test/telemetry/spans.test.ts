/** Spans of one process: which there are, below which, what they say, and what they never say. */
import { afterAll, beforeEach, expect, test } from "vitest";
import { context, trace } from "@opentelemetry/api";
import { InsufficientError, openReplica, silentTelemetry, withTracer } from "../../src/index.ts";
import { memoryLocks } from "../../src/escalate/locks/memory.ts";
import { openTelemetryTracer } from "../../src/telemetry/opentelemetry-tracer.ts";
import { CollectedSpans } from "./collected-spans.ts";
import { schema } from "./guarded-shop.ts";

const spans = new CollectedSpans();
beforeEach(() => spans.reset());
afterAll(() => spans.stop());

const open = (keys = false) =>
  openReplica({
    ...{ schema, name: "shop", locks: memoryLocks() },
    telemetry: withTracer(silentTelemetry, openTelemetryTracer({ tracer: spans.tracer, keys })),
  });

test("a fenced update is one span, and its write one below it", async () => {
  await using shop = await open();
  await shop.collections.accounts.update("ada@example.org", () => 4711);
  const escalate = spans.one("trellis.escalate");
  expect(escalate.parentSpanContext).toBeUndefined();
  expect(escalate.attributes).toEqual({
    "trellis.operation": "update",
    "trellis.route": "fenced",
    "trellis.collection": "accounts",
  });
  const write = spans.one("trellis.compare_and_set");
  expect(spans.chain(write)).toEqual(["trellis.compare_and_set", "trellis.escalate"]);
  expect(write.attributes).toEqual({
    "trellis.backend": "memory",
    "trellis.route": "fenced",
    "trellis.collection": "accounts",
    "trellis.callers": 1,
    "trellis.outcome": "written",
  });
});

test("spans of a replica stand below those of the service, and those of the service below ours", async () => {
  await using shop = await open();
  await spans.tracer.startActiveSpan("request", async (request) => {
    await shop.collections.accounts.update("a", () => {
      spans.tracer.startSpan("work").end();
      return 1;
    });
    request.end();
  });
  expect(spans.chain(spans.one("work"))).toEqual(["work", "trellis.escalate", "request"]);
  expect(spans.chain(spans.one("trellis.compare_and_set"))).toEqual([
    ...["trellis.compare_and_set", "trellis.escalate", "request"],
  ]);
});

test("callers in one write have a span each; the write is below the first and linked to the others", async () => {
  await using shop = await open();
  const { accounts } = shop.collections;
  await accounts.update("a", () => 0);
  spans.reset();
  const requests = [1, 2, 3].map((by) =>
    spans.tracer.startActiveSpan(`request ${by}`, async (request) => {
      await accounts.update("a", (now = 0) => {
        spans.tracer.startSpan(`change ${by}`).end();
        return now + by;
      });
      request.end();
    }),
  );
  await Promise.all(requests);
  expect(accounts.get("a")).toBe(6);
  const write = spans.one("trellis.compare_and_set");
  expect(write.attributes["trellis.callers"]).toBe(3);
  expect(spans.chain(write).at(-1)).toBe("request 1");
  const others = spans
    .named("trellis.escalate")
    .filter((span) => span.spanContext().spanId !== write.parentSpanContext?.spanId);
  expect(write.links.map(({ context: { spanId } }) => spanId)).toEqual(
    others.map((span) => span.spanContext().spanId),
  );
  expect(others).toHaveLength(2);
  // What each of them computes is in its own trace.
  expect(spans.chain(spans.one("change 3"))).toEqual(["change 3", "trellis.escalate", "request 3"]);
});

test("a section acquires each value, with its token, and commits once", async () => {
  await using shop = await open();
  const { accounts } = shop.collections;
  const both = [accounts.at("a"), accounts.at("b")] as const;
  await shop.escalate(both, (section) => {
    section.set(both[0], 1);
    section.set(both[1], 2);
  });
  expect(spans.one("trellis.escalate").attributes).toMatchObject({
    ...{ "trellis.operation": "section", "trellis.resources": 2 },
  });
  const acquired = spans.named("trellis.acquire");
  expect(acquired).toHaveLength(2);
  for (const span of acquired) {
    expect(span.attributes["trellis.token"]).toMatch(/^[0-9]+$/u);
    expect(span.attributes["trellis.route"]).toBe("fenced");
    expect(spans.chain(span)).toEqual(["trellis.acquire", "trellis.escalate"]);
  }
  expect(spans.one("trellis.commit").attributes).toMatchObject({
    ...{ "trellis.resources": 2, "trellis.outcome": "written" },
  });
});

test("rights that run out are a span, the round that gets more is one below it, and free work is none", async () => {
  await using shop = await open();
  const { stock, likes } = shop.collections;
  stock.increment("sku:9", 1_000);
  await stock.decrement("sku:9", 1);
  spans.reset();
  likes.increment("post:42");
  shop.transact(() => likes.increment("post:43"));
  expect(stock.tryDecrement("sku:9", 1)).toBe(true);
  await stock.decrement("sku:9", 1);
  expect(spans.named("trellis.escalate")).toEqual([]);
  await expect(stock.decrement("sku:9", 100_000)).rejects.toThrow(InsufficientError);
  const escalate = spans.one("trellis.escalate");
  expect(escalate.attributes).toMatchObject({
    ...{ "trellis.operation": "decrement", "trellis.route": "escrow" },
    ...{ "trellis.collection": "stock", "error.code": "TRELLIS_INSUFFICIENT" },
  });
  const [refill] = spans
    .named("trellis.refill")
    .filter(({ parentSpanContext }) => parentSpanContext?.spanId === escalate.spanContext().spanId);
  expect(refill?.attributes).toMatchObject({
    ...{ "trellis.collection": "stock", "trellis.callers": 1 },
  });
  expect(typeof refill?.attributes["trellis.rights.granted"]).toBe("number");
});

test("a lock for what is outside is a span, with the wait for it below", async () => {
  await using shop = await open();
  await shop.locks.withLock("report/daily", () => undefined);
  expect(spans.chain(spans.one("trellis.acquire"))).toEqual([
    ...["trellis.acquire", "trellis.escalate"],
  ]);
  expect(spans.one("trellis.escalate").attributes["trellis.route"]).toBe("lock");
});

test("what throws ends its span with the class and the code, and without the message", async () => {
  await using shop = await open();
  const { accounts } = shop.collections;
  const secret = Object.assign(new TypeError("hunter2"), { code: "E_MINE" });
  await expect(
    accounts.update("a", () => {
      throw secret;
    }),
  ).rejects.toThrow("hunter2");
  const { attributes, status, events } = spans.one("trellis.escalate");
  expect(attributes).toMatchObject({ "error.type": "TypeError", "error.code": "E_MINE" });
  expect(status).toEqual({ code: 2, message: "E_MINE" });
  expect(events).toEqual([]);
});

/** Everything that spans say, as text. */
const said = (): string =>
  JSON.stringify(
    spans.all.map(({ name, attributes, events, status }) => [name, attributes, events, status]),
  );

test("spans have no values, and keys only if that was asked for", async () => {
  for (const keys of [false, true]) {
    spans.reset();
    await using shop = await open(keys);
    const { accounts, username, stock } = shop.collections;
    await accounts.update("key-of-ada", () => 47_110_815);
    await accounts.update("key-of-ada", () => 47_110_815, { idempotencyKey: "once-of-ada" });
    await username.claim("key-of-ada", "value-of-ada");
    await username.claim("key-of-ada", "value-of-bob").catch(() => undefined);
    await username.release("key-of-ada", "value-of-bob").catch(() => undefined);
    stock.increment("key-of-ada", 5);
    await stock.decrement("key-of-ada", 47_110_815).catch(() => undefined);
    await shop.locks.withLock("key-of-ada", () => undefined);
    const [ada] = [accounts.at("key-of-ada")];
    await shop.escalate([ada], (section) => section.set(ada, 47_110_815));
    await accounts.read("key-of-ada");
    expect(said().includes("key-of-ada")).toBe(keys);
    for (const secret of ["47110815", "value-of-", "once-of-ada"]) {
      expect(said()).not.toContain(secret);
    }
  }
});

test("every span ends, also those of calls that are given up", async () => {
  const begun: string[] = [];
  const tracer = openTelemetryTracer({
    tracer: {
      ...{ startActiveSpan: spans.tracer.startActiveSpan.bind(spans.tracer) },
      startSpan: (name, ...rest) => {
        begun.push(name);
        return spans.tracer.startSpan(name, ...rest);
      },
    },
  });
  {
    await using shop = await openReplica({
      ...{ schema, locks: memoryLocks(), telemetry: withTracer(silentTelemetry, tracer) },
    });
    const { accounts } = shop.collections;
    const stop = new AbortController();
    const held = shop.escalate([accounts.at("a")], async () => {
      const waiting = shop.escalate([accounts.at("b")], () => undefined, { signal: stop.signal });
      stop.abort(new Error("no more"));
      await expect(waiting).rejects.toThrow("no more");
    });
    await held;
    await expect(accounts.update("a", () => 1, { waitMs: -1 })).rejects.toThrow("waitMs");
  }
  expect(spans.all.map(({ name }) => name).toSorted()).toEqual(begun.toSorted());
});

test("a tracer tells where it is, and follows what another process tells", () => {
  const tracer = openTelemetryTracer({ tracer: spans.tracer });
  expect(tracer.present()).toBeUndefined();
  const theirs = `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01`;
  expect(tracer.follow(theirs, () => tracer.present())).toBe(theirs);
  for (const none of [undefined, "", "00-ab-cd-01", `00-${"0".repeat(32)}-${"cd".repeat(8)}-01`]) {
    expect(tracer.follow(none, () => tracer.present())).toBeUndefined();
  }
  const here = tracer.follow(theirs, () => tracer.carry());
  expect(here(() => tracer.present())).toBe(theirs);
  expect(trace.getSpanContext(context.active())).toBeUndefined();
  expect(tracer.span("sync", {}, () => 7)).toBe(7);
  expect(() =>
    tracer.span("thrown", {}, () => {
      throw new Error("x");
    }),
  ).toThrow("x");
  expect(spans.one("thrown").status.code).toBe(2);
});
