/** Is the master of the simulation what a real Redis is? The same random steps on both, and all that is in them. */
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type RedlockScriptName,
  redlockScripts,
} from "../../src/escalate/locks/redlock/scripts.ts";
import { Random } from "../simulation/virtual-environment.ts";
import { startRedis } from "../servers/redis.ts";
import type { Server } from "../servers/server.ts";
import { isServiceSkipped } from "../servers/service.ts";
import { latin, RedisTwin, type Reply } from "./simulation/redis-twin.ts";
import { runTwin } from "./simulation/redlock-twin.ts";

const names = ["a", "b"] as const;
const nonces = ["n1", "n2", "n3"] as const;
const channel = "turns";
const startUs = 1_700_000_000_000_000;

type Step = readonly [RedlockScriptName, readonly string[], readonly (string | Uint8Array)[]];

const guardOf = (name: string): string => `guard:${name}`;
const linedOf = (name: string): readonly string[] => [
  ...["birth", guardOf(name), `line:${name}`, `waiters:${name}`, "token"],
];

/** Most steps follow on what was answered before, so that some do something. */
class Steps {
  readonly #random: Random;
  readonly #numbers: string[] = ["1"];
  #last = { name: "a", nonce: "n1", token: "1" };
  #birth = "b";

  constructor(random: Random) {
    this.#random = random;
  }

  saw([name, [, guard = ""], [, nonce = "", , token = ""]]: Step, reply: Reply): void {
    const resource = guard.slice("guard:".length);
    if (Array.isArray(reply) && String(reply[0]) === "locked") {
      this.#numbers.push(String(reply[1]));
      this.#last = { name: resource, nonce: String(nonce), token: this.#last.token };
    } else if (name === "promise" && reply === 1) {
      this.#last = { name: resource, nonce: String(nonce), token: String(token) };
    } else if (name === "settle") this.#birth = String(reply);
  }

  next(): Step {
    const random = this.#random;
    const follows = random.chance(0.7);
    const name = follows ? this.#last.name : random.pick(names);
    const nonce = follows ? this.#last.nonce : random.pick(nonces);
    const birth = random.chance(0.97) ? this.#birth : "another";
    const number = follows ? (this.#numbers.at(-1) ?? "") : random.pick(this.#numbers);
    const times = [`${random.below(4) * 40_000}`, `${random.below(6) * 40_000}`];
    const waitUs = `${random.below(3) * 255_500}`;
    const handUs = `${random.below(3) * 20_000}`;
    const attempt = `t${random.below(3)}`;
    const kind = random.pick(["lease", "brief"]);
    const token = follows ? this.#last.token : `${BigInt(number) + BigInt(random.below(3))}`;
    const next = `${BigInt(number) + BigInt(random.below(3))}`;
    const part = (by = nonce): (string | Uint8Array)[] => [
      ...[by, token, random.pick(["", "0", "1", "2"]), random.bytes(random.below(5))],
    ];
    const isEmpty = random.pick(["0", "1"]);
    const helps = random.pick(["0", "1"]);
    const lined = linedOf(name);
    const lock = (who: string, where: string): Step => [
      ...(["lock", lined] as const),
      [birth, who, attempt, kind, ...times, waitUs, handUs, where],
    ];
    const guards = ["birth", ...names.map(guardOf)];
    return random.pick<Step>([
      lock(nonce, channel),
      lock(random.pick(nonces), channel),
      lock(random.pick(nonces), "nobody"),
      ["promise", lined, [birth, nonce, number, next, ...times, isEmpty]],
      ["promise", lined, [birth, nonce, number, next, ...times, isEmpty]],
      ["accept", ["birth", guardOf(name)], [birth, helps, ...part()]],
      ["accept", guards, [birth, helps, ...part(), ...part(random.pick(nonces))]],
      ["read", lined, [birth]],
      ["renew", lined, [birth, nonce, token, ...times.slice(0, 1)]],
      ["cancel", lined, [birth, nonce, random.pick(["", "", attempt, "handed"])]],
      ["seed", ["birth"], ["c"]],
      ["settle", ["birth"], [random.pick(["a", "b", "c"]), random.pick(["b", "c"])]],
      ["birth", ["birth"], []],
    ]);
  }
}

describe.skipIf(isServiceSkipped("redis"))("a master of the simulation", () => {
  let server: Server;
  let redis: Redis;
  let ear: Redis;
  const heard: string[] = [];

  beforeAll(async () => {
    server = await startRedis();
    redis = new Redis(server.url);
    ear = new Redis(server.url);
    ear.on("messageBuffer", (_channel: Buffer, word: Buffer) => heard.push(latin(word)));
    await ear.subscribe(channel);
  });
  afterAll(async () => {
    redis.disconnect();
    ear.disconnect();
    await server.stop();
  });

  /** On the real one, with the clock that is handed in. */
  const real = async ([name, keys, args]: Step, nowUs: number): Promise<unknown> => {
    const clock = "local clock = { ARGV[#ARGV - 1], ARGV[#ARGV] }";
    const source = redlockScripts[name].source.replace("local clock = redis.call('TIME')", clock);
    const time = [`${Math.floor(nowUs / 1e6)}`, `${nowUs % 1e6}`];
    const sent = [...args, ...time].map((argument) => Buffer.from(argument as Uint8Array));
    return await redis.callBuffer("EVAL", [source, keys.length, ...keys, ...sent]);
  };

  /** All that is in the real one, but for when it ends. */
  const contents = async (): Promise<unknown> => {
    const [strings, hashes, lines]: Record<string, unknown>[] = [{}, {}, {}];
    for (const key of await redis.keys("*")) {
      const kind = await redis.type(key);
      if (kind === "string") Object.assign(strings ?? {}, { [key]: await redis.get(key) });
      else if (kind === "hash") {
        const fields = await redis.hgetallBuffer(key);
        const text = Object.entries(fields).map(([field, value]) => [field, latin(value)] as const);
        const hash: Record<string, string> = Object.fromEntries(text);
        Object.assign(hashes ?? {}, { [key]: hash });
      } else {
        const flat = await redis.zrange(key, "0", "-1", "WITHSCORES");
        const scores = flat.flatMap((member, i) =>
          i % 2 === 0 ? [[member, Number(flat[i + 1])] as const] : [],
        );
        const line: Record<string, number> = Object.fromEntries(scores);
        Object.assign(lines ?? {}, { [key]: line });
      }
    }
    return { strings, hashes, lines };
  };

  test("does what a Redis does, whatever it is asked", async () => {
    const kinds = new Set<string>();
    for (let seed = 1; seed <= 8; seed++) {
      await redis.flushall();
      heard.length = 0;
      const random = new Random(seed);
      const steps = new Steps(random);
      let nowUs = startUs;
      // Keys of a real one end by a real clock, long after the test.
      const twin = new RedisTwin(() => startUs / 1_000);
      const told: string[] = [];
      const publish = (to: string, word: Uint8Array): number => {
        if (to !== channel) return 0;
        told.push(latin(word));
        return 1;
      };
      for (let i = 0; i < 400; i++) {
        nowUs += random.below(12_000);
        const step: Step = i === 0 ? ["seed", ["birth"], ["b"]] : steps.next();
        const at = nowUs;
        const expected = await real(step, at);
        const reply = runTwin({ redis: twin, nowUs: () => at, publish }, ...step);
        const where = `step ${i}: ${String(step)}`;
        expect(reply, `seed ${seed}, ${where}`).toEqual(expected);
        steps.saw(step, reply);
        kinds.add(`${step[0]} ${Array.isArray(reply) ? String(reply[0]) : String(reply)}`);
        const { expiries, ...image } = twin.image();
        expect(image, `seed ${seed}, ${where}`).toEqual(await contents());
        for (const key of names.map(guardOf)) {
          expect((await redis.pttl(key)) > 0, `${key} ends, ${where}`).toBe(key in expiries);
        }
      }
      await redis.publish(channel, "the end");
      await expect.poll(() => heard.at(-1)).toBe("the end");
      expect(told).toEqual(heard.slice(0, -1));
      if (told.length > 0) kinds.add("told");
    }
    const needed = [
      ...["lock locked", "lock held", "lock reborn", "promise 0", "promise 1", "cancel 0"],
      ...["cancel 1", "accept accepted", "accept refused", "renew 0", "renew 1", "read state"],
      ...["told", "accept reborn", "read reborn"],
    ];
    expect(needed.filter((kind) => !kinds.has(kind))).toEqual([]);
  }, 60_000);
});
