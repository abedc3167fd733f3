/** What a scrape of Prometheus gets. */
import { Counter, Registry } from "prom-client";
import { expect, test } from "vitest";
import { catalogue } from "../../src/telemetry/catalogue.ts";
import { type PrometheusTelemetry, prometheusTelemetry } from "../../src/telemetry/prometheus.ts";
import { labelValuesMax } from "../../src/telemetry/series.ts";
import { counter, openReplica } from "../../src/index.ts";

/** The samples of a text, by name and labels as they are written. */
async function scrape(telemetry: PrometheusTelemetry): Promise<ReadonlyMap<string, number>> {
  const text = await telemetry.text();
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    samples.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

test("every metric is described from the beginning, with its type", async () => {
  const telemetry = prometheusTelemetry();
  const text = await telemetry.text();
  for (const { name, kind } of catalogue) {
    expect(text).toContain(`# TYPE ${name} ${kind === "distribution" ? "histogram" : kind}\n`);
  }
  expect(telemetry.contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
});

test("what is pushed and what is read is there, once, however often it is read", async () => {
  const telemetry = prometheusTelemetry();
  telemetry.count("trellis_links_ended_total", 2, { code: "leaving" });
  telemetry.count("trellis_links_ended_total", undefined, { code: "leaving" });
  telemetry.gauge("trellis_http_streams", 3);
  telemetry.gauge("trellis_http_streams", 2);
  telemetry.observe("trellis_frame_out_bytes", 70);
  let keys = 5;
  telemetry.collect?.((sink) => {
    sink.total("trellis_batches_total", 11, { slots: "1" });
    sink.gauge("trellis_keys", keys, { collection: "likes" });
  });
  await scrape(telemetry);
  keys = 4;
  const samples = await scrape(telemetry);
  expect(samples.get('trellis_links_ended_total{code="leaving"}')).toBe(3);
  expect(samples.get("trellis_http_streams")).toBe(2);
  expect(samples.get('trellis_batches_total{slots="1"}')).toBe(11);
  expect(samples.get('trellis_keys{collection="likes"}')).toBe(4);
  expect(samples.get('trellis_frame_out_bytes_bucket{le="64"}')).toBe(0);
  expect(samples.get('trellis_frame_out_bytes_bucket{le="256"}')).toBe(1);
  expect(samples.get("trellis_frame_out_bytes_sum")).toBe(70);
});

test("a series that is not told any more is gone", async () => {
  const telemetry = prometheusTelemetry();
  let peers = ["a", "b"];
  telemetry.collect?.((sink) => {
    for (const peer of peers) sink.gauge("trellis_peer_lag_ms", 1, { peer });
  });
  await scrape(telemetry);
  peers = ["b"];
  const samples = await scrape(telemetry);
  expect([...samples.keys()].filter((name) => name.startsWith("trellis_peer_lag_ms"))).toEqual([
    'trellis_peer_lag_ms{peer="b"}',
  ]);
});

test("peers may call themselves what they like: series stay few, and the text whole", async () => {
  const telemetry = prometheusTelemetry();
  const names = Array.from({ length: labelValuesMax * 3 }, (_, i) => `peer-${i}`);
  names[0] = 'x"} 1\ntrellis_keys{collection="\\';
  names[1] = "__proto__";
  telemetry.collect?.((sink) => {
    for (const peer of names) sink.total("trellis_peer_sent_bytes_total", 1, { peer });
  });
  for (const code of names) {
    telemetry.count("trellis_links_ended_total", 1, { code });
    telemetry.observe("trellis_rights_wait_ms", 1, { collection: code });
  }
  const samples = await scrape(telemetry);
  const of = (name: string): [string, number][] =>
    [...samples].filter(([sample]) => sample.startsWith(`${name}{`));
  const sent = of("trellis_peer_sent_bytes_total");
  expect(sent).toHaveLength(labelValuesMax + 1);
  expect(sent.reduce((sum, [, value]) => sum + value, 0)).toBe(names.length);
  expect(samples.get('trellis_peer_sent_bytes_total{peer="other"}')).toBe(2 * labelValuesMax);
  expect(of("trellis_links_ended_total")).toHaveLength(labelValuesMax + 1);
  expect(of("trellis_rights_wait_ms_count")).toHaveLength(labelValuesMax + 1);
  expect(of("trellis_keys")).toEqual([]);
});

test("what is not in the catalogue, or is no number, is dropped", async () => {
  const telemetry = prometheusTelemetry();
  telemetry.count("trellis_unheard_of_total");
  telemetry.count("trellis_members");
  telemetry.gauge("trellis_forks_total", 1);
  telemetry.observe("trellis_forks_total", 1);
  for (const value of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
    telemetry.count("trellis_forks_total", value);
  }
  telemetry.observe("trellis_frame_out_bytes", Number.NaN);
  telemetry.count("trellis_links_started_total", 1, { peer: "a" });
  telemetry.collect?.((sink) => {
    sink.total("trellis_causal_waits_total", Number.NaN);
    sink.gauge("trellis_members", Number.NaN);
  });
  const samples = await scrape(telemetry);
  expect(samples.get("trellis_forks_total")).toBe(0);
  expect(samples.get("trellis_frame_out_bytes_count")).toBe(0);
  expect(samples.get("trellis_links_started_total")).toBe(1);
  expect(samples.get("trellis_causal_waits_total")).toBe(0);
  expect([...samples.keys()].some((name) => name.includes("unheard"))).toBe(false);
});

test("one that cannot be read does not hide the others", async () => {
  const telemetry = prometheusTelemetry();
  telemetry.collect?.(() => {
    throw new Error("half closed");
  });
  telemetry.collect?.((sink) => sink.gauge("trellis_members", 3));
  expect((await scrape(telemetry)).get("trellis_members")).toBe(3);
});

test("replicas of one process are added up; one that closes leaves its totals, and nothing else", async () => {
  const telemetry = prometheusTelemetry();
  const schema = { likes: counter() };
  const one = await openReplica({ schema, telemetry });
  const two = await openReplica({ schema, telemetry });
  for (const { collections } of [one, two]) collections.likes.increment("post");
  for (const { version } of [one, two].map((replica) => ({ version: replica.version() }))) {
    expect(version).not.toBe("");
  }
  const keys = 'trellis_keys{collection="likes"}';
  const changes = 'trellis_changes_total{collection="likes",kind="increment"}';
  const before = await scrape(telemetry);
  expect([before.get(keys), before.get(changes)]).toEqual([2, 2]);
  await one.close();
  await one.close();
  const after = await scrape(telemetry);
  expect([after.get(keys), after.get(changes)]).toEqual([1, 2]);
  await two.close();
  const last = await scrape(telemetry);
  expect([last.get(keys), last.get(changes)]).toEqual([undefined, 2]);
});

test("the figures of a service and ours stand in one registry, whoever reads it", async () => {
  const registry = new Registry();
  const orders = new Counter({ name: "orders_total", help: "Orders.", registers: [registry] });
  orders.inc();
  const telemetry = prometheusTelemetry({ registry });
  let reads = 0;
  telemetry.collect?.((sink) => {
    reads++;
    sink.total("trellis_causal_waits_total", 1);
    sink.gauge("trellis_members", 1);
  });
  const text = await registry.metrics();
  expect(text).toContain("orders_total 1");
  expect(text).toContain("trellis_causal_waits_total 1");
  expect(reads).toBe(1);
  expect(() => prometheusTelemetry({ registry })).toThrow("already been registered");
});
