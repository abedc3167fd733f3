/** The span of two replicas' coming to hold the same. */
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { VersionVector } from "../../src/crdt/version-vector.ts";
import { counter, openReplica, silentTelemetry, withTracer } from "../../src/index.ts";
import { openTelemetryTracer } from "../../src/telemetry/opentelemetry-tracer.ts";
import { until } from "../../src/cli/servers/until.ts";
import { CatchUps } from "../../src/sync/catch-up.ts";
import type { LinkEnd } from "../../src/sync/refusal.ts";
import { CollectedSpans } from "./collected-spans.ts";

const spans = new CollectedSpans();
beforeEach(() => spans.reset());
afterAll(() => spans.stop());

const schema = { likes: counter() };
const telemetry = withTracer(silentTelemetry, openTelemetryTracer({ tracer: spans.tracer }));

const urlOf = ({ address }: { readonly address: { readonly port: number } | undefined }): string =>
  `ws://127.0.0.1:${address?.port ?? 0}`;

test("catching up is a trace of its own, from the hello to what the peer held, with how much that was", async () => {
  await using host = await openReplica({ schema, name: "host", listen: { port: 0 } });
  for (let i = 0; i < 100; i++) {
    host.collections.likes.increment(`post ${i}`);
    await Promise.resolve();
  }
  await spans.tracer.startActiveSpan("startup", async (startup) => {
    await using late = await openReplica({ schema, name: "late", peers: [urlOf(host)], telemetry });
    await late.synced();
    expect(late.collections.likes.size()).toBe(100);
    startup.end();
  });
  const caught = spans.one("trellis.catch_up");
  expect(caught.parentSpanContext).toBeUndefined();
  expect(caught.status.code).toBe(0);
  expect(caught.events.map(({ name }) => name)).toEqual(["streaming"]);
  expect(caught.attributes).toMatchObject({
    ...{ "trellis.peer": "host", "trellis.link": 1, "trellis.dialed": true },
    "trellis.actor": host.status().actor,
  });
  expect(caught.attributes["trellis.batches"]).toBeGreaterThan(0);
  expect(caught.attributes["trellis.frames_in"]).toBeGreaterThan(0);
  expect(caught.attributes["trellis.bytes_in"]).toBeGreaterThan(100);
});

describe("a link", () => {
  const held = new VersionVector();
  held.raise(1, 3);
  const target = new VersionVector();
  target.raise(1, 5);
  target.raise(2, 7);
  const peer = { name: "peer", actor: "0f" };
  const figures = {
    traffic: { framesIn: 2, framesOut: 0, bytesIn: 300, bytesOut: 40, bufferedBytes: 0 },
  };
  const lost: LinkEnd = { code: "network", reason: "the network is gone", by: "network" };
  const tracer = openTelemetryTracer({ tracer: spans.tracer });

  test("that ends before it is in step ends its span, with the code of the end", async () => {
    for (const streams of [false, true]) {
      spans.reset();
      const catchUps = new CatchUps(tracer, held);
      const link = { ...figures, number: 7, url: undefined, target: streams ? target : undefined };
      catchUps.met(link, peer);
      if (streams) catchUps.started(link);
      catchUps.ended(link, lost);
      catchUps.ended(link, lost);
      await until("the span ended", 1_000, () => spans.all.length > 0);
      const { attributes, status } = spans.one("trellis.catch_up");
      expect(status).toEqual({ code: 2, message: "network" });
      expect(attributes).toMatchObject({ "trellis.dialed": false, "trellis.bytes_in": 300 });
      expect(attributes["trellis.batches"]).toBe(streams ? 9 : undefined);
      expect(JSON.stringify(attributes)).not.toContain("the network is gone");
    }
  });

  test("that was never met has no span, and one that is in step has one, whatever comes after", async () => {
    const catchUps = new CatchUps(tracer, target);
    const link = { ...figures, number: 7, url: "ws://a", target };
    catchUps.received(link);
    catchUps.ended(link, lost);
    expect(spans.all).toEqual([]);
    catchUps.met(link, peer);
    catchUps.started(link);
    catchUps.received(link);
    catchUps.ended(link, lost);
    await until("the span ended", 1_000, () => spans.all.length > 0);
    expect(spans.one("trellis.catch_up").status.code).toBe(0);
    expect(spans.one("trellis.catch_up").attributes["trellis.batches"]).toBe(0);
  });
});
