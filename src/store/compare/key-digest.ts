/**
 * Do two replicas hold the same under a key, without sending it? A digest of all that is live there:
 * each name on the way to a slot, each live cell by its actor's name, sequence and content, in an order
 * that does not depend on how any of it came about. Bare cells are left out: when a removal is forgotten
 * is each replica's own matter.
 *
 * So replicas with the same version vector have the same digests, or something is wrong.
 *
 *   range   := (key content)*
 *   content := cell-count (actor sequence value?)*     a slot
 *            | (1 name content)* 0                     what has names below it
 */
import { createHash } from "node:crypto";
import { noCell } from "../../crdt/cells.ts";
import type { Name, Payload } from "../../crdt/data-type.ts";
import { type ActorId, actorIdToBytes } from "../../crdt/dot.ts";
import { ByteWriter } from "../bytes.ts";
import { inCanonicalOrder } from "./canonical-order.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Container, Root } from "../nodes.ts";
import type { Pace } from "./pace.ts";
import { type Json, writeValue } from "../values.ts";

/** Bytes of a digest of keys: SHA-256, cut, as for vectors. */
export const keyDigestBytes = 16;

/** Bytes that are gathered before they are hashed. */
const gatheredBytes = 8 * 1024;
/** Bytes that are encoded and hashed in one unit of a `Pace`. */
const bytesPerUnit = 256;

/** How many keys, and a digest of them. */
export interface RangeDigest {
  readonly keys: number;
  readonly digest: Uint8Array;
}

/** Digests keys of one keyspace. */
export class KeyDigester {
  readonly #keyspace: Keyspace;
  readonly #pace: Pace;
  readonly #out = new ByteWriter();
  /** By the numbers of actors. */
  readonly #actors: { readonly name: ActorId; readonly bytes: Uint8Array }[] = [];
  #hash = createHash("sha256");

  constructor(keyspace: Keyspace, pace: Pace) {
    this.#keyspace = keyspace;
    this.#pace = pace;
  }

  /**
   * The digest of those of `keys` from `start` on to before `end` under which anything is live now. One
   * at a time. O(what is under them), in slices; a slot is one step.
   */
  async digest(
    root: Root | undefined,
    keys: readonly string[],
    start: number,
    end: number,
  ): Promise<RangeDigest> {
    const { nodes } = this.#keyspace;
    this.#hash = createHash("sha256");
    this.#out.reset();
    let live = 0;
    for (let at = start; at < end; at++) {
      const key = keys[at] as string;
      const node = root?.keys.get(key);
      if (node !== undefined && this.#keyspace.isLive(node)) {
        live++;
        this.#out.text(key);
        const container = nodes.container(node);
        if (container) await this.#children(container);
        else this.#slot(node);
      }
      if (this.#spend()) await this.#pace.rest();
    }
    this.#hash.update(this.#out.view());
    const digest = Uint8Array.from(this.#hash.digest().subarray(0, keyDigestBytes));
    return { keys: live, digest };
  }

  async #children(container: Container): Promise<void> {
    const { nodes } = this.#keyspace;
    for (const name of await this.#namesIn(container)) {
      // It may be gone since, and its number be another's.
      const node = container.children.get(name);
      if (node === undefined || !this.#keyspace.isLive(node)) continue;
      this.#out.byte(1);
      writeValue(name, this.#out);
      const inner = nodes.container(node);
      if (inner) await this.#children(inner);
      else this.#slot(node);
      if (this.#spend()) await this.#pace.rest();
    }
    this.#out.byte(0);
  }

  async #namesIn({ children }: Container): Promise<Name[]> {
    const names: Name[] = [];
    let left = children.size;
    for (const [name, node] of children) {
      if (left-- === 0) break;
      if (this.#keyspace.isLive(node)) names.push(name);
      if (this.#pace.spend(0.1)) await this.#pace.rest();
    }
    return await inCanonicalOrder(names, this.#pace);
  }

  #slot(node: number): void {
    const { cells, nodes, actors } = this.#keyspace;
    const payload = nodes.payload(node);
    const head = cells.head(node);
    if (cells.next(head) === noCell) {
      this.#out.varint(1);
      return this.#cell(head, payload);
    }
    const live = cells
      .cellsOf(node)
      .filter((cell) => cells.isLive(cell))
      .map((cell) => ({ cell, actor: actors.name(cells.actor(cell)) }))
      .sort((one, other) => (one.actor < other.actor ? -1 : 1));
    this.#out.varint(live.length);
    for (const { cell } of live) this.#cell(cell, payload);
    this.#pace.spend(live.length);
  }

  #cell(cell: number, payload: Payload): void {
    const { cells } = this.#keyspace;
    const out = this.#out;
    out.raw(this.#actor(cells.actor(cell)));
    out.varint(cells.sequence(cell));
    if (payload === "sum") writeValue(cells.value(cell), out);
    else if (payload === "stamped") {
      out.varint(cells.value(cell));
      // What was restored or joined, or checked when it was written.
      writeValue((cells.payload(cell) ?? null) as Json, out);
    }
  }

  #actor(actor: number): Uint8Array {
    const name = this.#keyspace.actors.name(actor);
    const known = this.#actors[actor];
    // We may have taken another name.
    if (known?.name === name) return known.bytes;
    const bytes = actorIdToBytes(name);
    this.#actors[actor] = { name, bytes };
    return bytes;
  }

  /** Hashes what was gathered when it is enough; returns whether it is time to rest. */
  #spend(): boolean {
    const bytes = this.#out.length;
    if (bytes < gatheredBytes) return this.#pace.spend(1);
    this.#hash.update(this.#out.view());
    this.#out.reset();
    return this.#pace.spend(1 + bytes / bytesPerUnit);
  }
}
