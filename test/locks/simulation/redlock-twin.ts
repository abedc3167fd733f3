/**
 * The scripts of a Redlock master once more, line by line, over a Redis in memory, so that thousands of
 * clusters can be run under seeds. `test/locks/redlock-twin.test.ts` holds both against each other.
 */
import { idleMs } from "../../../src/escalate/locks/redis/scripts.ts";
import type { Arguments } from "../../../src/escalate/locks/redlock/masters.ts";
import type { RedlockScriptName } from "../../../src/escalate/locks/redlock/scripts.ts";
import { bulk, latin, type RedisTwin, type Reply } from "./redis-twin.ts";

/** What a master may be wrong in. */
export type MasterFlaw =
  | "writes no token back"
  | "carries nothing on"
  | "proposes nothing anew"
  | "asks for no owner"
  | "lets a later token pass";

/** Where a script runs. */
export interface Ground {
  readonly redis: RedisTwin;
  readonly nowUs: () => number;
  /** How many heard it. */
  readonly publish: (channel: string, word: Uint8Array) => number;
  readonly flaw?: MasterFlaw | undefined;
}

/** Runs a script as one step. */
export function runTwin(
  ground: Ground,
  name: RedlockScriptName,
  keys: readonly string[],
  args: Arguments,
): Reply {
  return new Step(ground, keys, args.map(latin)).run(name);
}

interface Guard {
  readonly nonce: string | undefined;
  readonly attempt: string | undefined;
  readonly kind: string | undefined;
  readonly untilUs: number;
  readonly endUs: number;
  readonly isReleased: boolean;
  readonly token: string;
  readonly most: string;
  readonly lease: string;
  readonly at: string;
  readonly number: string;
  readonly by: string;
  readonly locked: string;
}

/** One resource of a proposal. */
interface Part {
  readonly key: string;
  readonly nonce: string;
  readonly token: string;
  readonly number: string;
  readonly state: string;
  readonly guard: Guard;
  readonly isThere: boolean;
}

const isLess = (a: string, b: string): boolean =>
  a.length === b.length ? a < b : a.length < b.length;
const larger = (a: string, b: string): string => (isLess(a, b) ? b : a);

/** As `%.0f` has it: halves to the even neighbour. */
function whole(number: number): string {
  const below = Math.floor(number);
  const isHalf = number - below === 0.5;
  return `${isHalf ? below + (Math.abs(below) % 2) : Math.round(number)}`;
}

class Step {
  readonly #ground: Ground;
  readonly #redis: RedisTwin;
  readonly #keys: readonly string[];
  readonly #args: readonly string[];
  readonly #nowUs: number;

  constructor(ground: Ground, keys: readonly string[], args: readonly string[]) {
    this.#ground = ground;
    this.#redis = ground.redis;
    this.#keys = keys;
    this.#args = args;
    this.#nowUs = ground.nowUs();
  }

  run(name: RedlockScriptName): Reply {
    return this[name]();
  }

  lock(): Reply {
    const [, nonce, attempt, kind, ttlUs, holdUs, waitUs, handUs, channel] = this.#args;
    const other = this.#reborn();
    if (other) return other;
    const guard = this.#guard;
    if (this.#isHeld(guard) && guard.nonce !== nonce) {
      if (Number(waitUs) > 0) this.#join(nonce ?? "", `${handUs} ${channel}`, Number(waitUs));
      const leftMs = whole((guard.untilUs - this.#nowUs) / 1_000);
      return ["held", guard.kind, guard.nonce, leftMs].map(bulk);
    }
    this.#leaveLine(nonce ?? "");
    const endUs = this.#nowUs + Number(holdUs);
    const untilUs = Math.min(this.#nowUs + Number(ttlUs), endUs);
    return [bulk("locked"), ...this.#own([nonce, attempt, kind], untilUs, endUs).map(bulk)];
  }

  promise(): Reply {
    const [, nonce, number, token = "", ttlUs, holdUs, isEmpty] = this.#args;
    if (this.#reborn()) return 0;
    const guard = this.#guard;
    const { flaw } = this.#ground;
    if (guard.nonce !== nonce || guard.locked !== number || guard.isReleased) return 0;
    if (!isLess(guard.most, token)) return 0;
    const endUs = this.#nowUs + Number(holdUs);
    const untilUs = Math.min(this.#nowUs + Number(ttlUs), endUs);
    this.#hset({ f: token, u: whole(untilUs), e: whole(endUs) });
    if (flaw !== "writes no token back") this.#hset({ m: token });
    if (isEmpty === "1") for (const field of ["at", "as", "an"]) this.#hdel(field);
    this.#keepUnwritten(untilUs);
    if (guard.kind === "lease") this.#hset({ l: token });
    if (isLess(this.#counter(), token) && flaw !== "writes no token back")
      this.#redis.set(this.#key(4), token);
    return 1;
  }

  accept(): Reply {
    const other = this.#reborn();
    if (other) return other;
    const { flaw } = this.#ground;
    const helps = this.#args[1] === "1";
    if (helps && flaw === "carries nothing on") return [bulk("accepted")];
    const parts = this.#keys.slice(1).map((key, i): Part => {
      const [nonce = "", token = "", number = "", state = ""] = this.#args.slice(2 + 4 * i);
      const guard = this.#load(key);
      const isThere = number !== "" && guard.at === token && guard.by === nonce;
      return {
        ...{ key, nonce, token, number, state, guard },
        isThere: isThere && !isLess(guard.number, number),
      };
    });
    const refused = parts.findIndex((part) => !part.isThere && !this.#mayWrite(part, helps));
    const at = parts[refused];
    if (at) return [bulk("refused"), refused, bulk(at.guard.token === "" ? "0" : at.guard.token)];
    for (const part of parts) if (part.number !== "" && !part.isThere) this.#write(part);
    return [bulk("accepted")];
  }

  #mayWrite({ guard, nonce, token }: Part, helps: boolean): boolean {
    const { flaw } = this.#ground;
    if (flaw === "asks for no owner") return !isLess(token, guard.at);
    if (flaw === "lets a later token pass" && helps) return true;
    const isLate = isLess(token, guard.at) && flaw !== "lets a later token pass";
    const isOwn = guard.nonce === nonce && guard.token === token && (helps || !guard.isReleased);
    return !isLate && (isOwn || (helps && guard.token !== "" && isLess(guard.most, token)));
  }

  #write({ key, nonce, token, number, state, guard }: Part): void {
    // A state that is proposed anew has no number yet.
    const isSame = number === "0" && state === (this.#redis.hget(key, "d") ?? "");
    if (isSame && this.#ground.flaw === "proposes nothing anew") return;
    const m = larger(guard.most, token);
    this.#redis.hset(key, { at: token, as: number, an: nonce, m });
    if (state === "") this.#redis.hdel(key, "d");
    else this.#redis.hset(key, { d: state });
    this.#redis.persist(key);
  }

  read(): Reply {
    const { lease, at, number, by } = this.#guard;
    const state = this.#redis.hget(this.#key(1), "d");
    return this.#reborn() ?? ["state", lease, at, number, by, state].map(bulk);
  }

  renew(): Reply {
    const [, nonce, token, ttlUs] = this.#args;
    const guard = this.#guard;
    const isMine = this.#isHeld(guard) && guard.nonce === nonce && guard.token === token;
    if (this.#reborn() || !isMine) return 0;
    const untilUs = Math.min(this.#nowUs + Number(ttlUs), guard.endUs);
    this.#hset({ u: whole(untilUs) });
    this.#keepUnwritten(untilUs);
    return 1;
  }

  cancel(): Reply {
    const [, nonce = "", attempt = ""] = this.#args;
    const guard = this.#guard;
    const isAttempt = attempt !== "";
    if (!isAttempt) this.#leaveLine(nonce);
    if (guard.nonce !== nonce || guard.isReleased) return 0;
    if (isAttempt && guard.attempt !== attempt) return 0;
    this.#hset({ r: "1" });
    if (!isAttempt && this.#handOver()) return 1;
    if (guard.at === "0") this.#redis.del(this.#key(1));
    return 1;
  }

  seed(): Reply {
    const found = this.#redis.get(this.#key(0));
    if (found === undefined) this.#redis.set(this.#key(0), this.#args[0] ?? "");
    return this.birth();
  }

  settle(): Reply {
    const [from, to = ""] = this.#args;
    if (this.#redis.get(this.#key(0)) === from) this.#redis.set(this.#key(0), to);
    return this.birth();
  }

  birth(): Reply {
    return bulk(this.#redis.get(this.#key(0)));
  }

  #key(i: number): string {
    return this.#keys[i] ?? "";
  }

  #reborn(): Reply | undefined {
    const found = this.#redis.get(this.#key(0)) ?? "nothing";
    return found === this.#args[0] ? undefined : [bulk("reborn"), bulk(found)];
  }

  get #guard(): Guard {
    return this.#load(this.#key(1));
  }

  #load(key: string): Guard {
    const hash = this.#redis.hgetall(key);
    const field = (name: string): string | undefined => hash?.get(name);
    return {
      ...{ nonce: field("n"), attempt: field("a"), kind: field("k") },
      ...{ untilUs: Number(field("u") ?? 0), endUs: Number(field("e") ?? 0) },
      ...{ isReleased: field("r") !== undefined, token: field("f") ?? "" },
      ...{ most: field("m") ?? "0", lease: field("l") ?? "0" },
      ...{ at: field("at") ?? "0", number: field("as") ?? "0", by: field("an") ?? "" },
      locked: field("c") ?? "",
    };
  }

  #isHeld({ nonce, isReleased, untilUs }: Guard): boolean {
    return nonce !== undefined && !isReleased && this.#nowUs < untilUs;
  }

  #hset(fields: Readonly<Record<string, string>>): void {
    this.#redis.hset(this.#key(1), fields);
  }

  #hdel(field: string): void {
    this.#redis.hdel(this.#key(1), field);
  }

  #counter(): string {
    return this.#redis.get(this.#key(4)) ?? "0";
  }

  #keepUnwritten(untilUs: number): void {
    if (this.#guard.at !== "0") return;
    this.#redis.pexpire(this.#key(1), Number(whole((untilUs - this.#nowUs) / 1_000 + idleMs)));
  }

  #join(nonce: string, rest: string, waitUs: number): void {
    const [line, waiters] = [this.#key(2), this.#key(3)];
    if (this.#redis.zscore(line, nonce) !== undefined) return;
    this.#redis.zadd(line, this.#redis.ends(line).lastScore + 1, nonce);
    this.#redis.hset(waiters, { [nonce]: `${whole(this.#nowUs + waitUs)} ${rest}` });
    const keepMs = waitUs / 1_000 + idleMs;
    if (this.#redis.pttl(line) >= keepMs) return;
    this.#redis.pexpire(line, Number(whole(keepMs)));
    this.#redis.pexpire(waiters, Number(whole(keepMs)));
  }

  #leaveLine(nonce: string): void {
    this.#redis.zrem(this.#key(2), nonce);
    this.#redis.hdel(this.#key(3), nonce);
  }

  #own(
    [nonce = "", attempt = "", kind = ""]: readonly (string | undefined)[],
    untilUs: number,
    endUs: number,
  ): (string | undefined)[] {
    const guard = this.#guard;
    if (isLess(this.#counter(), guard.most)) this.#redis.set(this.#key(4), guard.most);
    this.#redis.incr(this.#key(4));
    const c = this.#counter();
    const ends = { u: whole(untilUs), e: whole(endUs) };
    this.#hset({ n: nonce, a: attempt, c, k: kind, ...ends, f: "" });
    this.#redis.hdel(this.#key(1), "r");
    this.#keepUnwritten(untilUs);
    const state = this.#redis.hget(this.#key(1), "d");
    return [c, guard.lease, guard.at, guard.number, guard.by, state];
  }

  #handOver(): boolean {
    for (;;) {
      const { first } = this.#redis.ends(this.#key(2));
      if (first === undefined) return false;
      const waiter = this.#redis.hget(this.#key(3), first) ?? "";
      this.#leaveLine(first);
      const [, leaveUs, handUs, channel] = /^(\d+) (\d+) (.+)$/su.exec(waiter) ?? [];
      if (channel === undefined || Number(leaveUs) <= this.#nowUs) continue;
      const untilUs = this.#nowUs + Number(handUs);
      const fields = [first, ...this.#own([first, "handed", "lease"], untilUs, untilUs)];
      const word = fields.map((field) => (field === undefined ? "" : `${field.length}:${field}`));
      if (this.#ground.publish(channel, Buffer.from(word.join(""), "latin1")) > 0) return true;
      this.#hset({ r: "1" });
    }
  }
}
