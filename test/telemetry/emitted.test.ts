/** Replicas under work emit what the catalogue has, as it has it, and the figures are true. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../src/cli/servers/until.ts";
import { actorBytes } from "../../src/crdt/dot.ts";
import { systemEnvironment } from "../../src/environment.ts";
import { counter, openReplica } from "../../src/index.ts";
import { catalogue, metrics } from "../../src/telemetry/catalogue.ts";
import { Recording, type Told } from "./recording.ts";
import { Shops, units, withinMs } from "./shop.ts";

describe("three replicas under work", () => {
  let shops: Shops;

  beforeAll(async () => {
    shops = await Shops.open();
    await shops.work();
  }, 60_000);

  afterAll(async () => {
    await shops[Symbol.asyncDispose]();
  });

  const told = (): Told[] =>
    shops.all.flatMap(({ telemetry }) => [...telemetry.pushed, ...telemetry.read()]);

  test("emit nothing but what the catalogue has, with just its labels", () => {
    const wrong = told().filter(({ name, kind, labels, value }) => {
      const metric = metrics.get(name);
      const isSame =
        JSON.stringify(Object.keys(labels).toSorted()) ===
        JSON.stringify(metric?.labels.toSorted());
      return metric?.kind !== kind || !isSame || !Number.isFinite(value);
    });
    expect(wrong).toEqual([]);
  });

  test("emit all that the catalogue has of a replica, but for what needs two of one actor, or a broken document", () => {
    const names = new Set(told().map(({ name }) => name));
    const own = catalogue.filter(({ source }) => source === "replica").map(({ name }) => name);
    expect(own.filter((name) => !names.has(name))).toEqual([
      "trellis_forks_total",
      "trellis_document_updates_refused_total",
    ]);
  });

  test("count what changed, by kind, once a batch", () => {
    const { telemetry } = shops.host;
    const changes = (collection: string, kind: string): number =>
      telemetry.sum("trellis_changes_total", { collection, kind });
    // Three batches, and the two at the end.
    expect(changes("likes", "increment")).toBe(5);
    expect(changes("tags", "add")).toBe(2);
    expect(changes("tags", "remove")).toBe(1);
    expect(changes("profile", "set")).toBe(1);
    const batches = (slots: string): number => telemetry.sum("trellis_batches_total", { slots });
    expect(batches("1")).toBeGreaterThanOrEqual(6);
    expect(batches("10")).toBeGreaterThanOrEqual(1);
    expect(batches("more")).toBe(0);
    expect(telemetry.sum("trellis_keys", { collection: "likes" })).toBe(3);
    expect(telemetry.sum("trellis_collection_bytes", { collection: "likes" })).toBeGreaterThan(100);
  });

  test("count rights as they were spent, and who waited for them", () => {
    const sum = (name: string): number =>
      shops.all.reduce((all, { telemetry }) => all + telemetry.sum(name), 0);
    expect(shops.sold).toBe(units);
    expect(sum("trellis_rights_spent_total")).toBe(units);
    expect(sum("trellis_rights_created_total")).toBe(units);
    expect(sum("trellis_rights_held")).toBe(0);
    expect(sum("trellis_rights_waits_total")).toBeGreaterThanOrEqual(3);
    expect(sum("trellis_rights_refusals_total")).toBe(3);
    expect(shops.host.telemetry.sum("trellis_rights_repetitions_total")).toBe(1);
  });

  test("count repetitions, claims, timeouts and losers where they happened", () => {
    const { host, guest } = shops;
    const collection = "accounts";
    expect(host.telemetry.sum("trellis_fenced_repetitions_total", { collection })).toBe(2);
    expect(host.telemetry.sum("trellis_fenced_sections_total")).toBe(1);
    expect(guest.telemetry.sum("trellis_claims_lost_total")).toBe(1);
    expect(guest.telemetry.sum("trellis_lock_timeouts_total")).toBe(1);
    expect(guest.telemetry.sum("trellis_causal_wait_timeouts_total")).toBe(1);
    expect(guest.telemetry.sum("trellis_storage_write_failures_total")).toBe(1);
    const losers = { collection: "profile" };
    expect(host.telemetry.sum("trellis_lww_losers_total", losers)).toBeGreaterThanOrEqual(1);
  });

  test("count frames at both ends alike, and go on when the link is over", async () => {
    const [host, late] = [shops.host.telemetry, shops.late.telemetry];
    await until("what is sent is taken in", withinMs, () => {
      const sent = host.sum("trellis_peer_sent_frames_total", { peer: "late" });
      return sent > 0 && sent === late.sum("trellis_peer_received_frames_total", { peer: "host" });
    });
    // It was removed, and is not there any more.
    expect(host.sum("trellis_peer_connected", { peer: "guest" })).toBe(0);
    expect(host.sum("trellis_peer_received_bytes_total", { peer: "guest" })).toBeGreaterThan(0);
    expect(host.sum("trellis_links_ended_total", { code: "leaving" })).toBe(1);
  });

  test("say how far clocks are apart", () => {
    const { telemetry } = shops.late;
    const offsetMs = telemetry.sum("trellis_peer_clock_offset_ms", { peer: "host" });
    expect(Math.abs(offsetMs)).toBeLessThan(5_000);
  });

  test("are read no more once they are closed", async () => {
    expect(shops.late.telemetry.readers).toBe(1);
    await shops.late.shop.close();
    expect(shops.late.telemetry.readers).toBe(0);
  });
});

test("a fork is counted", async () => {
  const twin = () => {
    let isFirst = true;
    const randomBytes = (count: number): Uint8Array => {
      if (!isFirst || count !== actorBytes) return systemEnvironment.randomBytes(count);
      isFirst = false;
      return new Uint8Array(count).fill(7);
    };
    return { ...systemEnvironment, randomBytes };
  };
  const telemetry = new Recording();
  const schema = { likes: counter() };
  await using one = await openReplica({
    ...{ schema, listen: { port: 0 }, telemetry, environment: twin() },
  });
  await using two = await openReplica({
    ...{ schema, peers: [`ws://127.0.0.1:${one.address?.port ?? 0}`], telemetry },
    environment: twin(),
  });
  for (const { collections } of [one, two]) collections.likes.increment("post");
  await until("somebody forks", withinMs, () => telemetry.sum("trellis_forks_total") > 0);
  expect(telemetry.sum("trellis_links_ended_total", { code: "clone" })).toBeGreaterThan(0);
});
