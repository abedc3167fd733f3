/** Several masters that are asked at once, and how long to wait for the slow ones among them. */
import type { Environment, Timer } from "../../../environment.ts";
import { LockUnavailableError } from "../../../errors.ts";
import type { RedisKeys } from "../redis/keys.ts";
import { RedisReply } from "../redis/reply.ts";
import { RedisSettingsError } from "../redis/settings.ts";
import { RedlockLine } from "./line.ts";
import type { RedlockScriptName } from "./scripts.ts";

/** What scripts are given beside keys. */
export type Arguments = readonly (string | Uint8Array)[];

/** Hears what a master publishes to this client. */
export interface Listener {
  hear(word: Uint8Array): void;
  /** What it published meanwhile is lost. */
  deaf(): void;
}

/** One of them: it runs a script as one step, and tells a client something now and then. */
export interface Master {
  /** @throws LockUnavailableError if it surely did not run; any other error if it may have. */
  run(name: RedlockScriptName, keys: readonly string[], args: Arguments): Promise<unknown>;
  /** Before anything else. */
  listen(listener: Listener): void;
  /** It can be heard: to be awaited before anyone is put into line. @throws LockUnavailableError */
  ready(): Promise<void>;
  close(): Promise<void>;
}

/** What one master answered, or why it did not. */
export type Vote<T> =
  | { readonly kind: "vote"; readonly vote: T }
  | { readonly kind: "none"; readonly error: unknown };

/** Who is asked. */
interface Whom {
  /** All unless given. */
  readonly only?: readonly number[] | undefined;
  /** Waits for all of them, not for enough. */
  readonly isPatient?: boolean | undefined;
}

/** How to ask. */
export interface Asking<T> extends Whom {
  readonly read: (reply: unknown) => T;
}

/** When enough have answered, the others get as long again as that took, and this, in ms. */
const graceMs = 10;

/** All masters of one store. */
export class RedlockMasters {
  readonly keys: RedisKeys;
  readonly count: number;
  /** How many are a majority. */
  readonly majority: number;
  /** Of this client, at all of them. */
  readonly line: RedlockLine;
  readonly #masters: readonly Master[];
  readonly #environment: Environment;

  constructor(masters: readonly Master[], keys: RedisKeys, environment: Environment) {
    this.#masters = masters;
    this.keys = keys;
    this.#environment = environment;
    this.count = masters.length;
    this.majority = Math.floor(masters.length / 2) + 1;
    this.line = new RedlockLine(this.count, this.majority, environment);
    for (const [i, master] of masters.entries()) {
      master.listen({ hear: (word) => this.line.hear(i, word), deaf: () => this.line.deaf() });
    }
  }

  /** Runs a script on all, or on those of `only`. In the order of the masters. */
  ask<T>(
    name: RedlockScriptName,
    keys: readonly string[],
    args: Arguments | ((master: number) => Arguments),
    { read, only, isPatient }: Asking<T>,
  ): Promise<readonly Vote<T>[]> {
    const ask = async (master: Master, i: number): Promise<T> =>
      read(await master.run(name, keys, typeof args === "function" ? args(i) : args));
    return this.#gather(ask, { only, isPatient });
  }

  /** Word of a turn can come from a majority, or has failed to. */
  async ready(nonce: string): Promise<void> {
    this.line.stand(nonce);
    await this.#gather((master) => master.ready());
  }

  /** Asks one after the other, the first alone first. @throws what the asking does. */
  async inOrder<T>(
    name: RedlockScriptName,
    keys: readonly string[],
    argsOf: (replies: readonly T[]) => readonly string[],
    read: (reply: unknown) => T,
  ): Promise<readonly T[]> {
    const replies: T[] = [];
    for (const master of this.#masters) {
      replies.push(read(await master.run(name, keys, argsOf(replies))));
    }
    return replies;
  }

  async close(): Promise<void> {
    await Promise.all(this.#masters.map((master) => master.close()));
  }

  /** @throws what the one that matters most has to say: a bad setting, that nothing was sent, that an answer is missing. */
  fail(votes: readonly Vote<unknown>[]): never {
    const errors = votes.flatMap((vote) => (vote.kind === "none" ? [vote.error] : []));
    const settings = errors.find((error) => error instanceof RedisSettingsError);
    if (settings) throw settings;
    const isUnsent = errors.every((error) => error instanceof LockUnavailableError);
    const why = `only ${votes.length - errors.length} of ${this.count} masters answered`;
    const cause = errors[0];
    if (isUnsent && errors.length === votes.length) throw new LockUnavailableError(why, { cause });
    throw new Error(why, { cause });
  }

  #gather<T>(
    ask: (master: Master, i: number) => Promise<T>,
    { only = this.#masters.map((_master, i) => i), isPatient = false }: Whom = {},
  ): Promise<readonly Vote<T>[]> {
    const startedMs = this.#environment.monotonic();
    const votes = this.#masters.map((): Vote<T> => ({ kind: "none", error: "not asked in time" }));
    return new Promise((resolve) => {
      let [settled, answered] = [0, 0];
      let grace: Timer | undefined;
      const end = (): void => {
        grace?.cancel();
        resolve([...votes]);
      };
      const note = (i: number, vote: Vote<T>): void => {
        votes[i] = vote;
        settled++;
        if (vote.kind === "vote") answered++;
        if (settled === only.length) end();
        else if (answered >= this.majority && !grace && !isPatient) {
          const tookMs = this.#environment.monotonic() - startedMs;
          grace = this.#environment.schedule(tookMs + graceMs, end);
        }
      };
      for (const i of only) {
        const master = this.#masters[i];
        if (!master) continue;
        ask(master, i).then(
          (vote) => note(i, { kind: "vote", vote }),
          (error: unknown) => note(i, { kind: "none", error }),
        );
      }
      if (only.length === 0) end();
    });
  }
}

/** The text of a reply that is no list. */
export const textIn = (reply: unknown): string | undefined =>
  reply === null ? undefined : new RedisReply([reply]).text();

/** The votes themselves. */
export const cast = <T>(votes: readonly Vote<T>[]): readonly T[] =>
  votes.flatMap((vote) => (vote.kind === "vote" ? [vote.vote] : []));
