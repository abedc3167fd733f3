/**
 * A machine whose clock goes wrong beyond the bound, and is mended. While its links stand they go on,
 * and its stamps are held; once they are broken nobody takes it back, it says so, and goes on alone;
 * when its clock is right all are alike again.
 */
import { typeCases } from "../crdt/type-cases.ts";
import type { Life } from "./life.ts";
import type { Scenario } from "./scenario.ts";

/** The longest wait of a dialer, and a handshake, in ms. */
const redialMsMax = 35_000;
/** Writes that are made on either side. */
const writes = 3;

/** Everything, in order. */
export async function checkClocks(scenario: Scenario): Promise<void> {
  const { running, plan, world, network } = scenario;
  const wrong = world.random.pick(running);
  const { environment } = wrong;
  const rightMs = environment.skewMs;
  const isAhead = world.random.chance(0.7);
  const offMs = (2 + world.random.next() * 3) * plan.clockAheadMsMax;
  scenario.say(`the clock of ${wrong.name} goes ${isAhead ? "ahead" : "back"} by ${offMs} ms`);
  environment.skewMs = rightMs + (isAhead ? offMs : -offMs);
  writeEverywhere(scenario, wrong);
  await scenario.advance(200);
  await scenario.converge();
  for (const life of running) scenario.read(life);

  for (const { name } of plan.hosts) network.cut(wrong.host.name, name);
  await scenario.advance(10);
  network.heal();
  await scenario.advance(redialMsMax);
  checkRefused(wrong, running);
  writeEverywhere(scenario, wrong);
  await scenario.advance(200);
  for (const life of running) scenario.read(life);

  scenario.say(`the clock of ${wrong.name} is right again`);
  environment.skewMs = rightMs;
  await scenario.advance(redialMsMax);
  await scenario.converge();
  for (const life of running) {
    scenario.read(life);
    for (const { name, state, refused } of life.replica.status().peers) {
      if (state === "refused") throw new Error(`${life.name} refuses ${name}: ${refused}`);
    }
  }
  if (world.random.chance(0.3)) await overtake(scenario, offMs);
}

/** Time passes until no stamp is ahead: what was held counts as any other. */
async function overtake(scenario: Scenario, offMs: number): Promise<void> {
  await scenario.advance(Math.min(offMs, 240_000) + 1_000);
  for (const life of scenario.running) scenario.read(life);
}

function writeEverywhere(scenario: Scenario, wrong: Life): void {
  const { random } = scenario.world;
  for (let i = 0; i < writes; i++) {
    scenario.write(wrong, stamped);
    scenario.write(random.pick(scenario.running), stamped);
  }
}

/** Types whose meaning depends on stamps. */
const stamped = typeCases.filter(({ collection }) =>
  ["registers", "multis", "maps"].includes(collection),
);

/** Who has the wrong clock is linked to nobody, and both ends say why. */
function checkRefused(wrong: Life, running: readonly Life[]): void {
  for (const life of running) {
    const { peers } = life.replica.status();
    for (const { name, actor, url, state, refused } of peers) {
      if (life !== wrong && actor !== wrong.replica.status().actor) continue;
      if (state === "refused" && refused?.includes("clock") === true) continue;
      throw new Error(
        `${wrong.name} has a wrong clock, but ${life.name} sees ${name ?? url} ${state}: ${refused}`,
      );
    }
    if (life === wrong && peers.length === 0) throw new Error(`${life.name} sees no refusal`);
  }
}
