/**
 * How fast is a cluster at rest? A write goes on at once wherever it arrives, so a replica that is so
 * many links away has it after so many delays: no heartbeat, acknowledgement or timer is waited for.
 */
import { noFaults } from "../../src/sync/transport/memory.ts";
import type { Life } from "./life.ts";
import type { Scenario } from "./scenario.ts";

/** From one end of a link to the other, in ms. */
const delayMs = 40;
/** A write may take so much longer than that on each link: less than a way back. */
const slack = 1.25;
/** Writes that come so fast one after the other wait for each other, for a little. */
const slackOfMany = 1.7;
const many = 12;
/** Two writes of a disk, as slow as they are here, and two waits before them. */
const diskMs = 2 * (50 + 40) + 20;

/** Writes at rest, and looks when they are where. */
export async function checkPrompt(scenario: Scenario): Promise<void> {
  const { network, running, world } = scenario;
  const writers = running.filter(({ collections }) => collections !== undefined);
  network.faults = { ...noFaults, delayMsMin: delayMs, delayMsMax: delayMs };
  // What is on its way on a faster network arrives.
  await scenario.advance(1_000);
  scenario.say("one writes at rest");
  await write(scenario, world.random.pick(writers), { writes: 1, slack });
  await scenario.advance(1_000);
  scenario.say("one writes fast at rest");
  await write(scenario, world.random.pick(writers), { writes: many, slack: slackOfMany });
  await scenario.advance(1_000);
  network.faults = noFaults;
  // Every link has long brought us to what its peer held.
  for (const { replica } of running) replica.synced({ timeoutMs: 0 }).catch(scenario.fail);
}

async function write(
  scenario: Scenario,
  writer: Life,
  how: { readonly writes: number; readonly slack: number },
): Promise<void> {
  const { fail, world } = scenario;
  const distances = distancesFrom(writer, scenario.running);
  for (let i = 1; i < how.writes; i++) {
    scenario.write(writer);
    await scenario.advance(0.1);
  }
  scenario.write(writer);
  const token = writer.replica.version();
  const sinceMs = world.nowMs;
  const perLinkMs = delayMs * how.slack;
  const hasDisks = scenario.running.some(({ host }) => host.isDurable);
  const timeoutMs = perLinkMs + delayMs + (hasDisks ? diskMs : 0);
  writer.replica.acknowledged(token, { by: "all", timeoutMs }).catch(fail);
  for (const [life, distance] of distances) {
    // A session that follows the writer must not wait longer either.
    life.replica.waitFor(token, { timeoutMs: distance * perLinkMs || 0 }).catch(fail);
  }
  const farthest = Math.max(...distances.values());
  if (farthest > 1) scenario.sightings.saw("slow hops");
  const { vector } = writer;
  for (let links = 1; links <= farthest; links++) {
    await scenario.advance(sinceMs + links * perLinkMs - world.nowMs);
    for (const [life, distance] of distances) {
      if (distance > links) continue;
      const has = life.vector.get(writer.keyspace.actor) ?? 0;
      if (has >= (vector.get(writer.keyspace.actor) ?? 0)) continue;
      const tookMs = Math.round(world.nowMs - sinceMs);
      throw new Error(
        `${life.name} has not heard of ${writer.name}'s write in ${tookMs} ms, ${distance} links ` +
          `of ${delayMs} ms away`,
      );
    }
  }
}

/** How many links lie between. */
function distancesFrom(writer: Life, running: readonly Life[]): Map<Life, number> {
  const byActor = new Map(running.map((life) => [life.replica.status().actor, life]));
  const distances = new Map([[writer, 0]]);
  for (const [life, distance] of distances) {
    for (const { actor, state } of life.replica.status().peers) {
      const peer = actor === undefined ? undefined : byActor.get(actor);
      if (state !== "streaming" || peer === undefined || distances.has(peer)) continue;
      distances.set(peer, distance + 1);
    }
  }
  if (distances.size < running.length) throw new Error("assertion: all are linked at rest");
  return distances;
}
