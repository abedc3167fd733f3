/** What a replica does by itself as time passes: keys that expire, and hits that are over. */
import type { VersionVector } from "../crdt/version-vector.ts";
import { Expiry } from "./expiry/expiry.ts";
import { Lives } from "./expiry/lives.ts";
import { Stability } from "./expiry/stability.ts";
import type { Keyspace } from "./keyspace.ts";
import { RateSweep } from "./rates/rate-sweep.ts";
import { TouchedSlots } from "./touched-slots.ts";

/** The upkeep of one keyspace. Nothing happens before `start`. */
export class Upkeep {
  readonly lives: Lives;
  readonly sweep: RateSweep;
  readonly #keyspace: Keyspace;
  readonly #expiry: Expiry;
  /** Our actors, this one and those that we were. */
  readonly #ours = new Set<number>();

  /** `peers`: what each peer has for certain, of those that are connected and those seen lately. */
  constructor(keyspace: Keyspace, peers: () => readonly VersionVector[] = () => []) {
    const touched = new TouchedSlots(keyspace);
    const isOurs = (actor: number): boolean => actor === keyspace.me || this.#ours.has(actor);
    this.#keyspace = keyspace;
    this.lives = new Lives(keyspace, touched);
    const stability = new Stability(keyspace.held, peers);
    this.#expiry = new Expiry({ keyspace, lives: this.lives, stability, isOurs });
    this.sweep = new RateSweep({ keyspace, touched, isOurs });
    let last: number | undefined;
    keyspace.listeners.add({
      flushed: () => {
        if (keyspace.me === last) return;
        last = keyspace.me;
        this.#ours.add(last);
      },
      joined: () => undefined,
    });
  }

  /** Nodes that are looked at some time. */
  get size(): number {
    return this.#expiry.size + this.sweep.size;
  }

  /** Begins. `former` is the actor that wrote the store before us. */
  start(former: number | undefined): void {
    if (former !== undefined) this.#ours.add(former);
    this.#expiry.start();
    this.sweep.start();
  }

  stop(): void {
    this.#expiry.stop();
    this.sweep.stop();
  }

  /** Keys that show, by collection. */
  keys(): Record<string, number> {
    const { roots } = this.#keyspace.nodes;
    return Object.fromEntries(
      roots.map((root) => [root.name, root.live - this.lives.hidden(root)]),
    );
  }
}
