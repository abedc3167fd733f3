/** Whom a replica knows, and how far each of them is: what it tells to who asks why a value is as it is. */
import type { ActorId } from "../crdt/dot.ts";
import type { VersionVector } from "../crdt/version-vector.ts";
import type { Keyspace } from "../store/keyspace.ts";
import type { Members } from "./members.ts";
import type { PeerMemory } from "./peer-memory.ts";
import { addressBytesMax } from "./provenance-codec.ts";
import { type SeenActor, type SeenBy, toldMembersMax } from "./question.ts";

/** What they are known from. */
export interface AcquaintancesOptions {
  readonly keyspace: Keyspace;
  readonly members: Members;
  readonly memory: PeerMemory;
}

/** Those of one replica. */
export class Acquaintances {
  readonly #options: AcquaintancesOptions;

  constructor(options: AcquaintancesOptions) {
    this.#options = options;
  }

  /** What is known of the actors, here and by others. O(members x actors). */
  of(names: ReadonlySet<ActorId>): {
    readonly actors: readonly SeenActor[];
    readonly members: readonly SeenBy[];
  } {
    const { actors, held, endings } = this.#options.keyspace;
    const known = [...names].map((actor) => ({ actor, number: actors.find(actor) }));
    return {
      actors: known.map(({ actor, number }) => ({
        actor,
        held: number === undefined ? 0 : held.at(number),
        ending: endings.of(actor),
      })),
      members: this.#members((vector) =>
        known.map(({ number }) => (number === undefined ? 0 : vector.at(number))),
      ),
    };
  }

  #members(seen: (vector: VersionVector) => number[]): SeenBy[] {
    const { members, memory } = this.#options;
    const linked = members.views([]).flatMap((view): SeenBy[] => {
      const { name = "", url, actor, acknowledged, lastSeenMs = 0 } = view;
      if (acknowledged === undefined) return [];
      const address = fitting(url ?? actor ?? "");
      return [
        {
          ...{ name, address, actor, acknowledged: seen(acknowledged) },
          lastSeenMs: Math.max(0, Math.round(lastSeenMs)),
        },
      ];
    });
    const away = memory.known().map(({ name, lastSeenMs, acknowledged }): SeenBy => ({
      ...{ name: "", address: fitting(name), actor: undefined, lastSeenMs },
      acknowledged: seen(acknowledged),
    }));
    const latest = away.toSorted((one, other) => other.lastSeenMs - one.lastSeenMs);
    return [...linked, ...latest].slice(0, toldMembersMax);
  }
}

/** An address is ASCII, but for what somebody wrote by hand. */
const fitting = (address: string): string =>
  Buffer.byteLength(address) <= addressBytesMax ? address : "";
