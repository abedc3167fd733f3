/** What must hold once everything is mended and nobody writes any more. */
import type { ActorId } from "../../src/crdt/dot.ts";
import type { Keyspace } from "../../src/store/keyspace.ts";
import { dump } from "../store/dump.ts";
import { checkClocks } from "./clocks.ts";
import { vectorText } from "./history.ts";
import type { Life } from "./life.ts";
import { checkPrompt } from "./prompt.ts";
import type { Scenario } from "./scenario.ts";

/**
 * How long links may take to settle, of which some nobody needs, in ms: until a silent one is noticed,
 * a handshake has failed, and the dialer has waited its longest.
 */
const settleMs = 75_000;
const quietMs = 60_000;
/** Rests between that, in ms: what a timer of minutes, or of an hour, does must be seen. */
const restMs = 120_000;
const longRestMs = 3_900_000;
/** Messages of one end of a link in a time: pings and pongs, at the shortest heartbeat. */
const beatsMax = (forMs: number): number => 2 * (forMs / 4_000 + 1);
/** Bytes of a ping or a pong with its number. */
const beatBytesMax = 12;
/** Touches that a log may keep though they count no more. */
const staleMax = 1_100;

/** Everything, in order. */
export async function checkRest(scenario: Scenario): Promise<void> {
  const { random } = scenario.world;
  await scenario.advance(settleMs);
  checkAlike(scenario);
  await checkQuiet(scenario, quietMs);
  const isLong = random.chance(0.05);
  if (isLong) scenario.sightings.saw("long rests");
  await scenario.advance(isLong ? longRestMs : restMs);
  await checkQuiet(scenario, quietMs);
  await checkForgotten(scenario);
  await checkPrompt(scenario);
  if (random.chance(0.3)) await checkClocks(scenario);
  if (random.chance(0.3)) await checkNames(scenario);
  await checkForgotten(scenario);
  checkAlike(scenario);
  await checkClosed(scenario);
}

/** All hold and show the same, all of it what the history says. */
function checkAlike(scenario: Scenario): void {
  const { running, plan } = scenario;
  if (running.length !== plan.hosts.length) throw new Error("assertion: all run at rest");
  let first: { readonly name: string; readonly text: string } | undefined;
  for (const life of running) {
    const { name, vector } = life;
    const text = JSON.stringify([scenario.check(life), endingsOf(life)]);
    first ??= { name, text };
    if (text !== first.text) {
      const texts = `${first.name} holds ${first.text}\n  ${name} holds ${text}`;
      throw new Error(`${texts}\n  at ${vectorText(vector)}`);
    }
    scenario.mirrors.check(life);
    checkLevel(life);
    checkStored(life);
    if (life.heldStamps > 0 && life.warnings === 0) {
      throw new Error(`${name} holds ${life.heldStamps} stamps, and has warned nobody`);
    }
  }
}

/** What is known of the ends of those who wrote. */
const endingsOf = ({ keyspace, vector }: Life): string[] =>
  [...vector.keys()]
    .map((actor) => `${actor} ${JSON.stringify(keyspace.endings.of(actor as ActorId))}`)
    .toSorted();

/** Nothing is on its way, or half received. */
function checkLevel({ name, replica }: Life): void {
  for (const peer of replica.status().peers) {
    const { state, lagBatches, lagMs, stagedBytes } = peer;
    if (lagBatches + lagMs + stagedBytes === 0 || state === "waiting") continue;
    const lag = `${lagBatches} batches, ${lagMs} ms, ${stagedBytes} bytes staged`;
    throw new Error(`${name}: ${peer.name} (${state}) lags at rest: ${lag}`);
  }
}

/** All is on the disk, whatever was wrong with it before. */
function checkStored({ name, replica }: Life): void {
  const { pending = 0, failure } = replica.status().storage;
  if (pending === 0 && failure === undefined) return;
  throw new Error(`${name} has not written ${pending} nodes at rest: ${failure}`);
}

/** What all replicas must agree on, as text. */
const contentOf = ({ keyspace }: Life): string => JSON.stringify(dump(keyspace));

/** Heartbeats and nothing else. */
async function checkQuiet(scenario: Scenario, forMs: number): Promise<void> {
  const { network, running } = scenario;
  const before = { messages: network.messages, bytes: network.bytes, frames: framesOf(running) };
  const links = linksOf(running);
  await scenario.advance(forMs);
  if (framesOf(running) !== before.frames) {
    throw new Error(`frames at rest: ${before.frames}, then ${framesOf(running)}`);
  }
  const messages = network.messages - before.messages;
  const bytes = network.bytes - before.bytes;
  const pairs = new Set(
    scenario.plan.hosts.flatMap(({ name, dials }) =>
      dials.map((peer) => [name, peer].toSorted().join()),
    ),
  ).size;
  if (links !== 2 * pairs) throw new Error(`${links / 2} links at rest between ${pairs} pairs`);
  if (messages > links * beatsMax(forMs) || bytes > messages * beatBytesMax) {
    throw new Error(`${messages} messages, ${bytes} bytes at rest on ${links / 2} links`);
  }
}

const framesOf = (running: readonly Life[]): string =>
  running
    .map(({ name, replica }) => {
      const { peers } = replica.status();
      return `${name} ${peers.reduce((sum, { framesOut }) => sum + framesOut, 0)}`;
    })
    .join(", ");

const linksOf = (running: readonly Life[]): number =>
  running.reduce((links, { replica }) => {
    const { peers } = replica.status();
    return (
      links +
      new Set(peers.filter(({ state }) => state === "streaming").map(({ actor }) => actor)).size
    );
  }, 0);

/** Nothing is kept for anybody: no removal, and no actor that never wrote. */
async function checkForgotten(scenario: Scenario): Promise<void> {
  const { plan, running, history } = scenario;
  await scenario.advance(2 * (plan.peerSilentMsMax + 2_000));
  for (const life of running) {
    const { name, replica, keyspace, vector } = life;
    const { removalsKept } = replica.status();
    if (removalsKept > 0) throw new Error(`${name} keeps ${removalsKept} removals at rest`);
    for (const actor of [...vector.keys(), ...heardOf(keyspace)]) {
      if (history.hasWritten(actor) || actor === keyspace.actor) continue;
      throw new Error(`${name} keeps ${actor}, which never wrote`);
    }
    checkLogs(life);
    const live = Object.values(dump(keyspace).slots).reduce((sum, cells) => sum + cells.length, 0);
    if (keyspace.cells.count === live) continue;
    throw new Error(`${name} has ${keyspace.cells.count} cells at rest, ${live} of them live`);
  }
}

const heardOf = ({ actors }: Keyspace): string[] =>
  Array.from({ length: actors.count }, (_, actor) => actors.name(actor));

/** The log of an actor is about as long as it has cells. */
function checkLogs({ name, keyspace }: Life): void {
  const { actors, cells } = keyspace;
  for (let actor = 0; actor < actors.count; actor++) {
    const { count, alive } = cells.log(actor);
    if (count <= 2 * alive + staleMax) continue;
    throw new Error(
      `${name} logs ${count} touches of ${actors.name(actor)}, ${alive} of them alive`,
    );
  }
}

/** Once no link refers to them, names that nothing hangs on are gone as well. */
async function checkNames(scenario: Scenario): Promise<void> {
  const { network, plan, running } = scenario;
  const before = running.map(contentOf);
  scenario.say("all links are cut");
  for (const one of plan.hosts) for (const { name } of plan.hosts) network.cut(one.name, name);
  await scenario.advance(2 * (plan.peerSilentMsMax + 2_000));
  for (const { name, keyspace } of running) {
    const { nodes } = keyspace;
    let empty = 0;
    for (let node = 0; node < nodes.limit; node++) {
      if (nodes.isUsed(node) && nodes.isEmpty(node)) empty++;
    }
    if (empty > 0) throw new Error(`${name} keeps ${empty} names of nothing, of ${nodes.count}`);
  }
  network.heal();
  await scenario.advance(settleMs);
  const after = running.map(contentOf);
  running.forEach(({ name }, i) => {
    if (before[i] !== after[i]) throw new Error(`${name} holds something else after a cut`);
  });
}

/** A cluster that has closed leaves no timer, no connection and no message behind. */
async function checkClosed(scenario: Scenario): Promise<void> {
  const { running, network, world } = scenario;
  scenario.say("all close");
  let open = running.length;
  scenario.isEnding = true;
  for (const life of running) {
    life.state = "closing";
    life.replica.close().then(() => open--, scenario.fail);
  }
  await scenario.advance(5_000, () => open === 0);
  if (open > 0) throw new Error(`${open} replicas do not close`);
  await scenario.advance(60_000);
  // Of a machine that vanished while it dialed nobody ever hears.
  if (network.connections > scenario.vanished) {
    throw new Error(`${network.connections} connections outlive all`);
  }
  const { messages } = network;
  const ended = world.run({ turnsMax: 1_000 });
  if (ended !== "idle") throw new Error("timers outlive all replicas");
  if (network.messages !== messages) throw new Error("messages outlive all replicas");
}
