/** What two ends of a link tell each other of actors that ended. */
import type { ActorId } from "../crdt/dot.ts";
import { endingCode } from "../crdt/ending.ts";
import type { Environment } from "../environment.ts";
import type { Endings } from "../store/endings.ts";
import type { Keyspace } from "../store/keyspace.ts";
import type { Entry } from "./digest.ts";
import { type Ended, entriesPerMessageMax } from "./message.ts";

/** What the peer says of actors; it knows nothing of the one that we are. */
export function learn(keyspace: Keyspace, said: Ended["endings"]): void {
  for (const [actor, ending] of said) {
    if (actor !== keyspace.actor) keyspace.endings.learn(actor, ending);
  }
}

/** The facts in the entries of a vector. */
export const endingsIn = (entries: readonly Entry[]): Ended["endings"] =>
  entries.flatMap(({ actor, ending }) => (ending ? [[actor, ending] as const] : []));

/** What a peer was not told by the entries of our vector. O(entries). */
export function untold(endings: Endings, told: readonly Entry[]): Ended[] {
  const codes = new Map(told.map(({ actor, ending }) => [actor, endingCode(ending)]));
  const rest = [...endings.entries()].filter(
    ([actor, ending]) => codes.get(actor) !== endingCode(ending),
  );
  return inMessages(rest);
}

/** Actors that ended, of whom peers are told at the end of the turn. */
export class Obituaries {
  readonly #endings: Endings;
  readonly #environment: Environment;
  readonly #tell: (messages: readonly Ended[]) => void;
  readonly #actors = new Set<ActorId>();

  constructor(
    endings: Endings,
    environment: Environment,
    tell: (messages: readonly Ended[]) => void,
  ) {
    this.#endings = endings;
    this.#environment = environment;
    this.#tell = tell;
  }

  /** One more has. */
  add(actor: ActorId): void {
    if (this.#actors.size === 0) this.#environment.defer(() => this.send());
    this.#actors.add(actor);
  }

  /** Tells of those that were not told of yet. */
  send(): void {
    if (this.#actors.size === 0) return;
    const known = [...this.#actors].flatMap((actor) => {
      const ending = this.#endings.of(actor);
      return ending ? [[actor, ending] as const] : [];
    });
    this.#actors.clear();
    this.#tell(inMessages(known));
  }
}

function inMessages(endings: Ended["endings"]): Ended[] {
  const messages: Ended[] = [];
  for (let at = 0; at < endings.length; at += entriesPerMessageMax) {
    messages.push({ kind: "ended", endings: endings.slice(at, at + entriesPerMessageMax) });
  }
  return messages;
}
