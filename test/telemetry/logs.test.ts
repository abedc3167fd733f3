/** What the log says, how often, and what it never says. */
import { afterAll, beforeEach, expect, test } from "vitest";
import {
  LockUnavailableError,
  openReplica,
  type Replica,
  silentTelemetry,
  StoreRolledBackError,
  UnknownOutcomeError,
  withTracer,
} from "../../src/index.ts";
import { until } from "../../src/cli/servers/until.ts";
import { EscalatedCalls } from "../../src/escalate/escalated-calls.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { memoryLocks } from "../../src/escalate/locks/memory.ts";
import { replicaLogger, repetitionMs, repetitionsMax } from "../../src/replica-logger.ts";
import { silentLogger } from "../../src/telemetry.ts";
import { openTelemetryTracer } from "../../src/telemetry/opentelemetry-tracer.ts";
import { World } from "../simulation/virtual-environment.ts";
import { CollectedSpans } from "./collected-spans.ts";
import { schema } from "./guarded-shop.ts";
import { Lines } from "./lines.ts";

const spans = new CollectedSpans();
beforeEach(() => spans.reset());
afterAll(() => spans.stop());

/** Locks that fail with this, whatever they are asked to write. */
const failing = (error: Error): LockBackend => {
  const refuse = async (): Promise<never> => {
    throw error;
  };
  return new Proxy(memoryLocks(), {
    get(target, name) {
      if (name === "compareAndSet" || name === "commit") return refuse;
      const found: unknown = Reflect.get(target, name, target);
      return typeof found === "function" ? (found.bind(target) as unknown) : found;
    },
  });
};

const open = (
  locks: LockBackend,
  logger: Lines,
  more: { readonly logKeys?: boolean } = {},
): Promise<Replica<typeof schema>> =>
  openReplica({ schema, locks, logger, telemetry: silentTelemetry, ...more });

const failures = [
  [
    "an unknown outcome",
    new UnknownOutcomeError("trellis/value/accounts/ada is 4711", { operationId: "0f1e" }),
    { level: "warn", code: "TRELLIS_UNKNOWN_OUTCOME", operationId: "0f1e" },
  ],
  [
    "a store that was set back",
    new StoreRolledBackError("value/accounts/ada was 4711", { resource: "value/accounts/ada" }),
    { level: "error", code: "TRELLIS_STORE_ROLLED_BACK", operationId: undefined },
  ],
  [
    "a store that is away",
    new LockUnavailableError("value/accounts/ada", {
      cause: Object.assign(new Error("connect 4711 ada"), { code: "ECONNREFUSED" }),
    }),
    { level: "warn", code: "TRELLIS_LOCK_UNAVAILABLE", operationId: undefined },
  ],
] as const;

test.each(failures)("%s is a line with what it was about, and no key", async (_, error, wanted) => {
  const lines = new Lines();
  await using shop = await open(failing(error), lines);
  const update = shop.collections.accounts.update("ada", () => 4711, { waitMs: 0 });
  await expect(update).rejects.toThrow(error);
  const [line, ...more] = lines.of("an escalated operation failed");
  expect(more).toEqual([]);
  const { level, ...fields } = wanted;
  expect(line?.level).toBe(level);
  expect(line?.fields).toMatchObject({
    ...{ operation: "update", route: "fenced", collection: "accounts", ...fields },
    err: { type: error.name, code: wanted.code },
  });
  expect(line?.fields["latencyMs"]).toBeGreaterThanOrEqual(0);
  expect(JSON.stringify(lines.all)).not.toMatch(/ada|4711/u);
  // The cause is seen by its code.
  const causes = error.cause === undefined ? undefined : [{ type: "Error", code: "ECONNREFUSED" }];
  const { causes: told } = (line?.fields["err"] ?? {}) as { readonly causes?: unknown };
  expect(told).toEqual(causes);
});

test("with logKeys a line names the resource, and says what our errors say, and what others say not", async () => {
  const lines = new Lines();
  const cause = new Error("the text of somebody else, with 4711 in it");
  const resource = "value/accounts/ada";
  const error = new StoreRolledBackError(`${resource} was set back`, { resource, cause });
  await using shop = await open(failing(error), lines, { logKeys: true });
  const update = shop.collections.accounts.update("ada", () => 4711, { waitMs: 0 });
  await expect(update).rejects.toThrow(error);
  const [line] = lines.of("an escalated operation failed");
  expect(line?.fields).toMatchObject({
    resource,
    err: { message: `${resource} was set back`, causes: [{ type: "Error" }] },
  });
  expect(JSON.stringify(line)).not.toContain("4711");
});

test("the idempotency key of a decrement is a key: it is told only where keys are", async () => {
  for (const logKeys of [false, true]) {
    const lines = new Lines();
    spans.reset();
    const tracer = openTelemetryTracer({ tracer: spans.tracer, keys: logKeys });
    const telemetry = withTracer(silentTelemetry, tracer);
    const environment = new World(1).environment();
    const calls = new EscalatedCalls({ environment, telemetry, logger: lines, logKeys });
    const unknown = new UnknownOutcomeError("ask again", { operationId: "order-of-ada" });
    const work = (): Promise<never> => Promise.reject(unknown);
    const call = { operation: "decrement", route: "escrow", collection: "stock" } as const;
    await expect(calls.run(call, work)).rejects.toThrow(unknown);
    expect(JSON.stringify(lines.all).includes("order-of-ada")).toBe(logKeys);
    const { attributes } = spans.one("trellis.escalate");
    expect(attributes["trellis.operation_id"]).toBe(logKeys ? "order-of-ada" : undefined);
  }
});

test("what is an answer is no line: refusals, conflicts and what the caller's function throws", async () => {
  const lines = new Lines();
  await using shop = await open(memoryLocks(), lines);
  const { username, stock, accounts } = shop.collections;
  await username.claim("ada", "u:7");
  await expect(username.claim("ada", "u:8")).rejects.toThrow("belongs to");
  await expect(stock.decrement("sku:9", 1)).rejects.toThrow(/./u);
  await expect(accounts.update("a", () => Promise.reject(new Error("mine")))).rejects.toThrow(
    "mine",
  );
  expect(lines.all.filter(({ level }) => level !== "debug")).toEqual([]);
});

test("a dead lock server is not a line a call: ten in ten seconds, and then how many there were", async () => {
  const lines = new Lines();
  const dead = new LockUnavailableError("it is dead");
  await using shop = await open(failing(dead), lines);
  const { accounts } = shop.collections;
  for (let i = 0; i < 1_000; i++) {
    await accounts.update(`key ${i % 7}`, () => 1, { waitMs: 0 }).catch(() => undefined);
  }
  expect(lines.of("an escalated operation failed")).toHaveLength(repetitionsMax);
});

test("lines of one kind are counted apart, told later, and never more kinds than there is room for", async () => {
  const world = new World(1);
  const environment = world.environment();
  const lines = new Lines();
  const logger = replicaLogger({ logger: lines }, environment);
  for (let i = 0; i < 100; i++) {
    logger.warn({ code: "network", peer: `p${i}` }, `a link ended: for reason ${i}`);
    logger.warn({ code: "schema" }, "a link ended: types differ");
    logger.error({ err: Object.assign(new Error("x"), { code: "E" }) }, "the disk refuses");
    logger.info({}, "the peer listens");
  }
  expect(lines.of("a link ended")).toHaveLength(2 * repetitionsMax);
  expect(lines.of("the disk refuses")).toHaveLength(repetitionsMax);
  expect(lines.of("the disk refuses")[0]?.fields["code"]).toBe("E");
  expect(lines.of("the peer listens")).toHaveLength(100);
  await world.settle({ forMs: repetitionMs });
  logger.warn({ code: "network" }, "a link ended: for reason 1");
  logger.warn({ code: "network" }, "a link ended: for reason 2");
  const [told, next] = lines.all.slice(-2);
  expect(told?.fields).toEqual({ code: "network", suppressed: 100 - repetitionsMax });
  expect(next?.fields).toEqual({ code: "network" });
  lines.all.length = 0;
  // A peer that makes up codes does not make up lines.
  for (let i = 0; i < 10_000; i++) logger.warn({ code: `made up ${i}` }, "a link ended");
  expect(lines.all.length).toBeLessThan(300);
});

test("lines about a link say which: peer, actor, number and address", async () => {
  const lines = new Lines();
  await using host = await openReplica({ schema, name: "host", listen: { port: 0 } });
  const url = `ws://127.0.0.1:${host.address?.port ?? 0}`;
  {
    await using shop = await openReplica({ schema, peers: [url], logger: lines });
    await shop.synced();
  }
  await until("the link ended", 5_000, () => lines.of("a link ended").length > 0);
  const link = { peer: "host", actor: host.status().actor, link: 1, url };
  expect(lines.of("a link streams")[0]?.fields).toEqual(link);
  expect(lines.of("a link ended")[0]?.fields).toEqual({ ...link, code: "leaving", by: "us" });
});

test("a line has the trace that it belongs to", async () => {
  const lines = new Lines();
  const tracer = openTelemetryTracer({ tracer: spans.tracer });
  const telemetry = withTracer(silentTelemetry, tracer);
  const locks = failing(new LockUnavailableError("away"));
  await using shop = await openReplica({ schema, locks, logger: lines, telemetry });
  await shop.collections.accounts.update("a", () => 1, { waitMs: 0 }).catch(() => undefined);
  const { traceId, spanId } = spans.one("trellis.escalate").spanContext();
  expect(lines.of("an escalated operation failed")[0]?.fields).toMatchObject({ traceId, spanId });
});

test("without a logger nothing is made", () => {
  const environment = new World(1).environment();
  expect(replicaLogger({}, environment)).toBe(silentLogger);
});
