/**
 * What an expiring set must show, by what its writes had seen of each other. Nothing here knows cells, or
 * that what has expired is removed one day: who could tell whether it was has found a fault.
 */

/** Something that happened to a key, in a batch of its own. */
export interface Event {
  readonly kind: "add" | "remove" | "delete" | "extend" | "expire";
  readonly key: string;
  readonly element?: string;
  /** Of an add or an extension: until when the key lives; of an expiry: up to when it is over. */
  readonly atMs?: number;
  /** Of an add: the key had expired, and begins anew. */
  readonly isNew?: boolean;
  readonly actor: string;
  readonly sequence: number;
  /** What its replica held: up to which sequence of each actor. */
  readonly held: ReadonlyMap<string, number>;
}

/** Whether a replica with this vector has seen the event. */
export const sees = (held: ReadonlyMap<string, number>, event: Event): boolean =>
  (held.get(event.actor) ?? 0) >= event.sequence;

/** The elements that show, and the deadline that stands. */
export function specification(events: readonly Event[]): {
  readonly shown: readonly string[];
  readonly present: readonly string[];
  readonly untilMs: number;
  /** Who wrote that deadline. */
  readonly writers: readonly string[];
} {
  const saw = (later: Event, earlier: Event): boolean => sees(later.held, earlier);
  const users = events.filter(({ kind }) => kind !== "expire");
  const lives = users.filter(({ kind }) => kind !== "remove");
  const standing = lives.filter((life) => !lives.some((later) => saw(later, life)));
  const untilMs = Math.max(0, ...standing.map(({ atMs = 0 }) => atMs));
  const expiries = events.filter(
    (event) => event.kind === "expire" && !lives.some((life) => saw(life, event)),
  );
  const expiredMs = Math.max(0, ...expiries.map(({ atMs = 0 }) => atMs));
  const removes = (event: Event, add: Event): boolean =>
    saw(event, add) &&
    (event.kind === "delete" || event.isNew === true || event.element === add.element);
  const adds = users.filter((add) => add.kind === "add" && !users.some((one) => removes(one, add)));
  const present = [...new Set(adds.map(({ element = "" }) => element))].toSorted();
  const writers = standing.filter(({ atMs }) => atMs === untilMs).map(({ actor }) => actor);
  return { shown: untilMs > expiredMs ? present : [], present, untilMs, writers };
}
