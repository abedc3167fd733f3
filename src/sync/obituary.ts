/** What two ends of a link tell each other of actors that ended. */
import type { ActorId } from "../crdt/dot.ts";
import { endingCode } from "../crdt/ending.ts";
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

/** What is known of `actors`. */
export const obituaries = (endings: Endings, actors: Iterable<ActorId>): Ended[] =>
  inMessages(
    [...actors].flatMap((actor) => {
      const ending = endings.of(actor);
      return ending ? [[actor, ending] as const] : [];
    }),
  );

function inMessages(endings: Ended["endings"]): Ended[] {
  const messages: Ended[] = [];
  for (let at = 0; at < endings.length; at += entriesPerMessageMax) {
    messages.push({ kind: "ended", endings: endings.slice(at, at + entriesPerMessageMax) });
  }
  return messages;
}
