/**
 * Why does a key have the value that it has? Its value is what its cells say together, and each cell is the
 * latest write of one actor that still matters. This lists them, as plain data, for people.
 */
import { noCell } from "../crdt/cells.ts";
import type { Name } from "../crdt/data-type.ts";
import type { ActorId } from "../crdt/dot.ts";
import { contentName, lifeName } from "../crdt/expiring.ts";
import { inCanonicalOrder } from "./compare/canonical-order.ts";
import type { Pace } from "./compare/pace.ts";
import { lifeSlotOf } from "./expiry/life.ts";
import type { Keyspace } from "./keyspace.ts";

/** Cells that are told of one key. */
export const toldCellsMax = 256;
/** Names and values are shown to so many UTF-16 code units of their JSON. */
export const shownLengthMax = 120;
/** Names below a key: an entry, a field, a field's element, and what shapes of peers may have. */
export const pathLengthMax = 8;
/** Code units that all told cells take, about. */
const toldLengthMax = 48 * 1024;

/** One cell. */
export interface ToldCell {
  /** The names below the key, as JSON, cut where they are long. */
  readonly path: readonly string[];
  readonly actor: ActorId;
  /** Of the write: the actor's batch. */
  readonly sequence: number;
  /** A removal is kept as a cell that is not. */
  readonly isLive: boolean;
  /** Whether its stamp is too far ahead of our clock to count as late. */
  readonly isHeld: boolean;
  /** A counter's total of that actor; else the stamp, or 0 where there is none. */
  readonly number: number;
  /** What it holds, as JSON, cut where it is long; empty for what holds nothing. */
  readonly value: string;
}

/** What is there under a key, or under names below it. */
export interface Provenance {
  /** The type of the collection. */
  readonly tag: string;
  /** All cells, told or not. */
  readonly count: number;
  /**
   * Slot by slot in the canonical order; in a slot the one that wins first where that is so. Of a key that may
   * expire first those of its life, under that name, then those of what it holds, under the name of the content.
   */
  readonly cells: readonly ToldCell[];
}

/** What is asked about. */
export interface ProvenancePlace {
  readonly collection: string;
  readonly key: string;
  /** Below the key: an element, a field, an entry and its field. */
  readonly path: readonly Name[];
}

/** `undefined` if there is nothing, not even a removal. O(cells), in slices. @throws ClosedError */
export async function provenanceOf(
  keyspace: Keyspace,
  { collection, key, path }: ProvenancePlace,
  pace: Pace,
): Promise<Provenance | undefined> {
  const { nodes } = keyspace;
  const root = nodes.root(collection);
  const top = root?.keys.get(key);
  if (root === undefined || top === undefined) return undefined;
  const mayExpire = nodes.isEnvelope(top);
  const names = mayExpire ? [contentName, ...path] : path;
  let node: number | undefined = top;
  for (const name of names) {
    node = node === undefined ? undefined : nodes.container(node)?.children.get(name);
  }
  const life = mayExpire ? lifeSlotOf(keyspace, top) : undefined;
  if (node === undefined && (life === undefined || path.length > 0)) return undefined;
  const telling = new Telling(keyspace, pace);
  // First, so that it is told also of a key that holds much.
  if (life !== undefined) await telling.node(life, [shownJson(lifeName)]);
  if (node !== undefined) await telling.node(node, names.map(shownJson));
  return { tag: root.tag, count: telling.count, cells: telling.cells };
}

/** Text of whatever length, as JSON of a bounded one. */
export function shownJson(value: unknown): string {
  const text = JSON.stringify(value) ?? "";
  if (text.length <= shownLengthMax) return text;
  return `${text.slice(0, shownLengthMax).replace(/[\uD800-\uDBFF]$/u, "")}…`;
}

class Telling {
  readonly #keyspace: Keyspace;
  readonly #pace: Pace;
  readonly cells: ToldCell[] = [];
  count = 0;
  #length = 0;

  constructor(keyspace: Keyspace, pace: Pace) {
    this.#keyspace = keyspace;
    this.#pace = pace;
  }

  get #isFull(): boolean {
    return this.cells.length >= toldCellsMax || this.#length >= toldLengthMax;
  }

  async node(node: number, path: readonly string[]): Promise<void> {
    const container = this.#keyspace.nodes.container(node);
    if (container === undefined) return this.#slot(node, path);
    const names = await inCanonicalOrder([...container.children.keys()], this.#pace);
    for (const name of names) {
      // It may be gone since.
      const child = container.children.get(name);
      if (child === undefined) continue;
      await this.node(child, this.#isFull ? path : [...path, shownJson(name)]);
      if (this.#pace.spend(1)) await this.#pace.rest();
    }
  }

  #slot(node: number, path: readonly string[]): void {
    const { cells, nodes } = this.#keyspace;
    const payload = nodes.payload(node);
    const found: ToldCell[] = [];
    for (let cell = cells.head(node); cell !== noCell; cell = cells.next(cell)) {
      this.count++;
      if (this.#isFull) continue;
      found.push(this.#cell(cell, { path, isStamped: payload === "stamped" }));
    }
    // As `wins` has it: what is held last, then the latest.
    found.sort(
      (one, other) =>
        Number(other.isLive) - Number(one.isLive) ||
        Number(one.isHeld) - Number(other.isHeld) ||
        other.number - one.number ||
        (one.actor < other.actor ? 1 : -1),
    );
    this.cells.push(...found.slice(0, toldCellsMax - this.cells.length));
  }

  #cell(
    cell: number,
    { path, isStamped }: { readonly path: readonly string[]; readonly isStamped: boolean },
  ): ToldCell {
    const { actors, cells, clock } = this.#keyspace;
    const isLive = cells.isLive(cell);
    const value = isStamped && isLive ? shownJson(cells.payload(cell) ?? null) : "";
    this.#length += value.length + path.reduce((length, name) => length + name.length, 32);
    return {
      ...{ path, isLive, value },
      actor: actors.name(cells.actor(cell)),
      sequence: cells.sequence(cell),
      isHeld: isStamped && clock.isHeld(cells.value(cell)),
      number: cells.value(cell),
    };
  }
}
