/** What all links of one keyspace share: buffers, the last body, series to be resumed. */
import type { VersionVector } from "../crdt/version-vector.ts";
import { defaultFrameLimits, type FrameLimits } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import { type Body, FrameWriter } from "./frame-writer.ts";
import { Selection, select } from "./interval.ts";
import { Join } from "./join.ts";
import type { Keyspace } from "./keyspace.ts";
import { Series } from "./series.ts";

/** Series that can be resumed after their link broke. */
const suspendedMax = 16;

/** The body made last, and for whom: peers who are at `froms` of `actors`, and have the rest. */
interface SharedBody {
  readonly changes: number;
  readonly actors: readonly number[];
  readonly froms: readonly number[];
  readonly body: Body;
}

const same = (left: readonly number[], right: readonly number[]): boolean =>
  left.length === right.length && left.every((number, i) => number === right[i]);

/** The shared part of the links of one keyspace. */
export class Exchanges {
  readonly keyspace: Keyspace;
  readonly writer: FrameWriter;
  readonly reader: FrameReader;
  readonly join: Join;
  readonly selection: Selection = new Selection();
  readonly limits: FrameLimits;
  readonly #suspended = new Map<number, Series>();
  #series = 0;
  #body: SharedBody | undefined;

  constructor(keyspace: Keyspace, limits: FrameLimits = defaultFrameLimits) {
    this.keyspace = keyspace;
    this.limits = limits;
    this.writer = new FrameWriter(keyspace);
    this.reader = new FrameReader(keyspace);
    this.join = new Join(keyspace);
  }

  /** A new catch-up from a vector, or with the complete state. */
  startSeries(from: VersionVector | undefined): Series {
    return new Series(++this.#series, from, this);
  }

  /** Keeps a series whose link is gone, for a while. */
  suspend(series: Series): void {
    this.#suspended.set(series.number, series);
    for (const oldest of this.#suspended.keys()) {
      if (this.#suspended.size <= suspendedMax) break;
      this.#suspended.delete(oldest);
    }
  }

  /** The series that a peer has `frames` frames of, if it can go on there. */
  resume(number: number, frames: number): Series | undefined {
    const series = this.#suspended.get(number);
    this.#suspended.delete(number);
    return series?.resume(frames) === true ? series : undefined;
  }

  /** One encoding for all links whose peers are at the same point. */
  sharedBody(actors: readonly number[], from: VersionVector): Body | undefined {
    const { keyspace } = this;
    const { changes } = keyspace.actors;
    const froms = actors.map((actor) => from.at(actor));
    const shared = this.#body;
    if (shared?.changes === changes && same(shared.actors, actors) && same(shared.froms, froms)) {
      return shared.body;
    }
    const selected = select(keyspace, actors, from, this.limits.touches, this.selection);
    if (!selected.whole) return undefined;
    const body = this.writer.body(this.selection.nodes, from, this.limits.bytes);
    if (body.slots < this.selection.nodes.length) return undefined;
    this.#body = { changes, actors, froms, body };
    return body;
  }
}
