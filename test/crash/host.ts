/**
 * One machine of a crash run: its disk, the process on it, what was promised there, and what the disk
 * may hold.
 */
import type { StorageBackend, StorageEngine } from "../../src/store/storage.ts";
import type { StorageOptions } from "../../src/replica-options.ts";
import type { Keyspace } from "../../src/store/keyspace.ts";
import { covers, type Vector, vectorText } from "../simulation/history.ts";
import type { Life } from "../simulation/life.ts";
import type { HostPlan } from "../simulation/plan.ts";
import type { VirtualEnvironment } from "../simulation/virtual-environment.ts";
import type { LogDisk } from "../storage/log-disk.ts";
import { dump } from "../store/dump.ts";

/** Changes how a store is used: for canaries. */
export type Tamper = (engine: StorageEngine) => StorageEngine;

/** What a machine has, drawn before the run. */
export interface HostOptions {
  readonly plan: HostPlan;
  readonly disk: LogDisk | undefined;
  readonly tamper: Tamper | undefined;
}

/** A machine, over all of its processes. */
export class Host {
  readonly options: HostOptions;
  /** The process that runs; absent while it opens or closes, and when there is none. */
  life: Life | undefined;
  /** What the process has that runs or closes. */
  keyspace: Keyspace | undefined;
  environment: VirtualEnvironment | undefined;
  lives = 0;
  hasCrashed = false;
  /** It crashes, and refuses nothing. */
  readonly wasTroubled = false;
  /** When to start it again, in ms; absent while it runs. */
  startMs: number | undefined = 0;
  /** What it had as each batch was handed over. */
  readonly #states = new Map<number, string>();
  /** What it was told that its disk has. */
  readonly #promised: Vector[] = [];

  constructor(options: HostOptions) {
    this.options = options;
  }

  get name(): string {
    return this.options.plan.name;
  }

  /** What `openReplica` takes as storage: a directory's options, and the engine in its place. */
  backend(environment: VirtualEnvironment): StorageBackend & StorageOptions {
    const { disk, plan, tamper } = this.options;
    if (disk === undefined) throw new Error("assertion: there is a disk");
    const backend = disk.backend(environment, (batch) => {
      if (this.keyspace) this.#states.set(batch, stateOf(this.keyspace));
    });
    return {
      directory: "disk",
      fsync: plan.fsync,
      intervalMs: 15,
      open: async (options) => {
        const engine = await backend.open(options);
        return tamper ? tamper(engine) : engine;
      },
    };
  }

  /** The disk has this, the replica says. */
  promised(vector: Vector): void {
    this.#promised.push(vector);
  }

  /** What was found is what there was at one moment, and nothing that was promised is missing. */
  checkFound(life: Life): void {
    const { disk } = this.options;
    if (disk === undefined) return;
    const found = stateOf(life.keyspace);
    const state = disk.written === 0 ? emptyState : this.#states.get(disk.written);
    if (found !== state) {
      const at = differsAt(found, state ?? "");
      const texts = `${excerpt(found, at)} is there, batch ${disk.written} had ${excerpt(state, at)}`;
      throw new Error(`${life.name} found what never was: ${texts}`);
    }
    for (const vector of this.#promised) {
      if (covers(life.vector, vector)) continue;
      const texts = `${vectorText(vector)} was durable, ${vectorText(life.vector)} is there`;
      throw new Error(`${life.name} lost what it had promised: ${texts}`);
    }
  }
}

/** All that a disk is to keep: cells, removals, vector, floor. */
export function stateOf(keyspace: Keyspace): string {
  const { actors, retention } = keyspace;
  const floor = [...retention.floor.entries()]
    .map(([actor, sequence]) => `${actors.name(actor)}:${sequence}`)
    .toSorted();
  return JSON.stringify({ ...dump(keyspace, "all"), floor });
}

const emptyState = JSON.stringify({ slots: {}, held: {}, floor: [] });

function differsAt(left: string, right: string): number {
  let at = 0;
  while (at < left.length && left[at] === right[at]) at++;
  return at;
}

const excerpt = (text: string | undefined, at: number): string =>
  text === undefined ? "nothing" : `…${text.slice(Math.max(0, at - 90), at + 90)}…`;
