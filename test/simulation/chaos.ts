/** What goes wrong: the network, the machines, their clocks. Processes that end are in `scenario.ts`. */
import { type MemoryNetwork, noFaults } from "../../src/sync/transport/memory.ts";
import type { Life } from "./life.ts";
import { drawFaults, type Plan } from "./plan.ts";
import type { Random, VirtualEnvironment, World } from "./virtual-environment.ts";

/** Faults of one run. */
export class Chaos {
  readonly #random: Random;
  readonly #plan: Plan;
  readonly #network: MemoryNetwork;
  readonly #environment: VirtualEnvironment;
  #interruptions: number;

  constructor(random: Random, plan: Plan, network: MemoryNetwork, world: World) {
    this.#environment = world.environment();
    this.#interruptions = plan.interruptions;
    this.#random = random;
    this.#plan = plan;
    this.#network = network;
  }

  /** A link breaks, in one of the ways in which links do. */
  breakLink(): string {
    const random = this.#random;
    const hosts = this.#plan.hosts.map(({ name }) => name);
    const network = this.#network;
    const one = random.pick(hosts);
    const other = random.pick(hosts.filter((name) => name !== one));
    switch (random.below(4)) {
      case 0:
      case 1:
        network.cut(one, other);
        return `${one} and ${other} are cut off from each other`;
      case 2:
        network.silence(one, other);
        return `what ${one} sends to ${other} is lost`;
      default:
        network.silence(one, other);
        network.silence(other, one);
        return `the cable between ${one} and ${other} is pulled`;
    }
  }

  /** A series begins to come in: now and then its link breaks before it ends, for a moment. */
  interrupt(one: string, other: string, log: (line: string) => void): void {
    if (this.#interruptions === 0 || !this.#random.chance(0.5)) return;
    this.#interruptions--;
    const breaks = (): void => {
      log(`${one} and ${other} lose each other amid a series; all links are mended`);
      this.#network.cut(one, other);
      this.#network.heal();
    };
    // After one frame, or some.
    if (this.#random.chance(0.7)) this.#environment.defer(breaks);
    else this.#environment.schedule(this.#random.below(20), breaks);
  }

  /** From now on nothing goes wrong any more. */
  end(): void {
    this.#interruptions = 0;
    this.#environment.stop();
  }

  /** The network as a whole gets better or worse. */
  changeWeather(): string {
    this.#network.faults = this.#random.chance(0.35) ? noFaults : drawFaults(this.#random);
    return `the network is ${JSON.stringify(this.#network.faults)}`;
  }

  /** One host reads nothing, or again. */
  stall(host: string): string {
    if (this.#random.chance(0.5)) {
      this.#network.stall(host);
      return `${host} reads nothing`;
    }
    this.#network.resume(host);
    return `${host} reads again`;
  }

  /** A process stands still, or goes on. */
  pause(life: Life): string {
    if (life.state === "paused") {
      life.state = "running";
      life.environment.resume();
      return `${life.name} goes on`;
    }
    life.state = "paused";
    life.pauses++;
    life.environment.pause();
    return `${life.name} stands still`;
  }

  /** A clock steps: a little, or beyond what peers accept. */
  stepClock(life: Life): string {
    life.environment.skewMs = this.drawSkewMs(this.#random.chance(0.4) ? 3 : 0.5);
    return `the clock of ${life.name} is off by ${Math.round(life.environment.skewMs)} ms`;
  }

  /** In units of the bound: two clocks within half a bound of the truth accept each other. */
  drawSkewMs(bounds: number): number {
    return (this.#random.next() * 2 - 1) * this.#plan.clockAheadMsMax * bounds * 0.95;
  }
}
