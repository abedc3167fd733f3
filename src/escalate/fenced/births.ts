/**
 * Which store holds the guards? The one that was met first, for ever: one of another birth was wiped and
 * began anew, or somebody gave another address, and nothing that it says is worth anything, until an operator
 * adopts it. Who adopts leaves a note in the new store, naming the births that it replaces, so that one
 * decision is enough for all replicas.
 */
import type { Environment } from "../../environment.ts";
import { ConflictError, StoreRolledBackError } from "../../errors.ts";
import type { LockBackend, ReadOptions } from "../locks.ts";

/** Where a replica keeps which store it knows: with the rest of what it must not forget. */
export interface BirthMemory {
  /** The birth of the store that was met first, or adopted last. */
  birthSeen(): string | undefined;
  /** Keeps it for good. */
  rememberBirth(birth: string): void;
}

/** Remembers for as long as the process lives. */
export const birthsOfThisProcess = (): BirthMemory => {
  let seen: string | undefined;
  return {
    birthSeen: () => seen,
    rememberBirth: (birth) => {
      seen = birth;
    },
  };
};

/** The guard with the births that this store replaces, as lines. */
const noteResource = "fenced/replaces";
/** An adoption that was overtaken so often gives up. */
const triesMax = 10;
/** Births that a note names. */
const birthsMax = 1_000;

/** The store of one replica's guards. */
export class Births {
  readonly #memory: BirthMemory;
  readonly #environment: Environment;
  #met: string | undefined;

  constructor(memory: BirthMemory, environment: Environment) {
    this.#memory = memory;
    this.#environment = environment;
  }

  /** Whether the store was asked who it is. From then on its client holds it to that. */
  get isMet(): boolean {
    return this.#met !== undefined;
  }

  /**
   * The birth of the store.
   * @throws StoreRolledBackError it is another one than the one that is known; LockUnavailableError
   */
  async check(backend: LockBackend, options: ReadOptions = {}): Promise<string> {
    const birth = await backend.birth(options);
    const seen = this.#memory.birthSeen();
    if (seen === undefined) this.#memory.rememberBirth(birth);
    else if (seen !== birth) await this.#follow(backend, { seen, birth }, options);
    this.#met = birth;
    return birth;
  }

  /** Takes this store for the right one; returns whether it was another. */
  async adopt(backend: LockBackend): Promise<boolean> {
    const birth = await backend.birth();
    const seen = this.#memory.birthSeen();
    if (seen !== undefined && seen !== birth) await this.#note(backend, seen);
    this.#memory.rememberBirth(birth);
    this.#met = birth;
    return seen !== undefined && seen !== birth;
  }

  /** Another store is the right one if it says that it replaces the one that is known. */
  async #follow(
    backend: LockBackend,
    { seen, birth }: { readonly seen: string; readonly birth: string },
    options: ReadOptions,
  ): Promise<void> {
    const note = await backend.read(noteResource, options);
    if (!linesOf(note?.value).includes(seen)) {
      throw new StoreRolledBackError(
        `the store of ${backend.name} was born as ${birth}; the one that is known here was born as ` +
          `${seen}: it was wiped or replaced. Nothing was changed. An operator who knows that it is ` +
          "the right store may adopt it",
      );
    }
    this.#memory.rememberBirth(birth);
  }

  async #note(backend: LockBackend, seen: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      const note = await backend.read(noteResource);
      const lines = linesOf(note?.value);
      if (lines.includes(seen)) return;
      const value = new TextEncoder().encode([...lines, seen].slice(-birthsMax).join("\n"));
      const id = Buffer.from(this.#environment.randomBytes(12)).toString("hex");
      try {
        await backend.compareAndSet(noteResource, note?.version, value, id);
        return;
      } catch (error) {
        if (!(error instanceof ConflictError) || tries === triesMax) throw error;
      }
    }
  }
}

const linesOf = (value: Uint8Array | undefined): string[] =>
  value === undefined ? [] : new TextDecoder().decode(value).split("\n");
