/** Masters of the simulation, and the ways to them: what is sent may be lost, late, doubled and overtaken. */
import { LockUnavailableError } from "../../../src/errors.ts";
import type { Listener, Master } from "../../../src/escalate/locks/redlock/masters.ts";
import type { RedlockScriptName } from "../../../src/escalate/locks/redlock/scripts.ts";
import type { Random, VirtualEnvironment, World } from "../../simulation/virtual-environment.ts";
import { type Image, latin, RedisTwin, type Reply } from "./redis-twin.ts";
import { type MasterFlaw, runTwin } from "./redlock-twin.ts";
import type { Weather } from "./wire.ts";

type Call = readonly [RedlockScriptName, readonly string[], readonly (string | Uint8Array)[]];

/** One who is told of turns. */
interface Ear {
  readonly environment: VirtualEnvironment;
  readonly hear: (word: Uint8Array) => void;
  readonly deaf: () => void;
}

/** A Redis that keeps what it acknowledged, over crashes, unless it is told to forget. */
export class SimulatedMaster {
  readonly redis: RedisTwin;
  /** Of the process that runs now. */
  environment: VirtualEnvironment;
  readonly #world: World;
  readonly #flaw: MasterFlaw | undefined;
  readonly #skewMs: number;
  readonly #ears = new Map<string, Ear>();

  constructor(world: World, skewMs: number, flaw?: MasterFlaw) {
    this.#world = world;
    this.#flaw = flaw;
    this.#skewMs = skewMs;
    this.environment = world.environment({ skewMs });
    this.redis = new RedisTwin(() => this.environment.now());
  }

  get isUp(): boolean {
    return !this.environment.isStopped;
  }

  /** Its connections end, its state stays. */
  crash(): void {
    this.environment.stop();
    for (const ear of this.#ears.values()) ear.environment.schedule(1, ear.deaf);
    this.#ears.clear();
  }

  /** With another state, it has forgotten what came after. */
  restart(image?: Image): void {
    this.environment = this.#world.environment({ skewMs: this.#skewMs });
    if (image) this.redis.putBack(image);
  }

  run(...call: Call): Reply {
    const publish = (channel: string, word: Uint8Array): number => {
      const ear = this.#ears.get(channel);
      if (!ear || ear.environment.isStopped) return 0;
      ear.hear(word);
      return 1;
    };
    const nowUs = (): number => this.environment.now() * 1_000;
    return runTwin({ redis: this.redis, nowUs, publish, flaw: this.#flaw }, ...call);
  }

  subscribe(channel: string, ear: Ear): void {
    this.#ears.set(channel, ear);
  }
}

/** What a way is made of. */
export interface WayOptions {
  readonly master: SimulatedMaster;
  readonly client: VirtualEnvironment;
  readonly channel: string;
  readonly random: Random;
  readonly weather: Weather;
  /** As the connection: silence for so long ends what is owed, in ms. */
  readonly silentMs: number;
  /** A promise was made. */
  readonly promised: (call: Call) => void;
}

/** The way of one client to one master. */
export class WayToMaster implements Master {
  readonly #options: WayOptions;
  #listener: Listener | undefined;
  #isSubscribed = false;

  constructor(options: WayOptions) {
    this.#options = options;
  }

  run(...call: Call): Promise<Reply> {
    const { master, random, weather, promised } = this.#options;
    const copies = random.chance(weather.doubled) ? 2 : 1;
    return this.#ask(copies, () => {
      const reply = master.run(...call);
      if (call[0] === "promise" && reply === 1) promised(call);
      return reply;
    });
  }

  listen(listener: Listener): void {
    this.#listener = listener;
  }

  async ready(): Promise<void> {
    if (this.#isSubscribed) return;
    const { master, client, channel, random, weather } = this.#options;
    const ear: Ear = {
      environment: client,
      hear: (word) => {
        const copies = random.chance(weather.doubled) ? 2 : 1;
        for (let i = 0; i < copies; i++) this.#carry(client, () => this.#listener?.hear(word));
      },
      deaf: () => {
        this.#isSubscribed = false;
        this.#listener?.deaf();
      },
    };
    await this.#ask(1, () => master.subscribe(channel, ear));
    this.#isSubscribed = true;
  }

  async close(): Promise<void> {
    this.#isSubscribed = false;
  }

  #ask<T>(copies: number, run: () => T): Promise<T> {
    const { master, client, silentMs } = this.#options;
    return new Promise((resolve, reject) => {
      if (!master.isUp) {
        client.schedule(1, () => reject(new LockUnavailableError("nobody listens there")));
        return;
      }
      const silence = client.schedule(silentMs, () => reject(new Error("no answer")));
      for (let i = 0; i < copies; i++) {
        this.#carry(master.environment, () => {
          const answer = run();
          this.#carry(client, () => {
            silence.cancel();
            resolve(answer);
          });
        });
      }
    });
  }

  #carry(to: VirtualEnvironment, deliver: () => void): void {
    const { random, weather } = this.#options;
    if (random.chance(weather.lost)) return;
    const isLate = random.chance(weather.late);
    to.schedule(random.next() * (isLate ? 3_000 : 15), deliver);
  }
}

/** The resource and the token of a promise. */
export const promiseOf = ([, keys, args]: Call): {
  readonly guard: string;
  readonly token: bigint;
} => ({
  guard: keys[1] ?? "",
  token: BigInt(latin(args[3] ?? "0")),
});
