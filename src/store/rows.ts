/** What a frame's body says, in columns. */
import type { Json } from "./values.ts";

/** The rows of a frame's body: a cell each, those of one slot together. */
export class Rows {
  count = 0;
  nodes: Int32Array = new Int32Array(0);
  actors: Int32Array = new Int32Array(0);
  sequences: Int32Array = new Int32Array(0);
  states: Uint8Array = new Uint8Array(0);
  values: Float64Array = new Float64Array(0);
  payloads: Json[] = [];
  /** Whether each actor's sequences only rise: then they can go to the logs as they come. */
  ordered = true;

  clear(): void {
    this.count = 0;
    this.ordered = true;
  }

  /** A copy that takes no more room than it needs. */
  copy(): Rows {
    const { count } = this;
    const copy = new Rows();
    copy.count = count;
    copy.ordered = this.ordered;
    copy.nodes = this.nodes.slice(0, count);
    copy.actors = this.actors.slice(0, count);
    copy.sequences = this.sequences.slice(0, count);
    copy.states = this.states.slice(0, count);
    copy.values = this.values.slice(0, count);
    copy.payloads = this.payloads.slice(0, count);
    return copy;
  }

  grow(): void {
    const size = Math.max(256, this.nodes.length * 2);
    const int = (from: Int32Array): Int32Array => {
      const grown = new Int32Array(size);
      grown.set(from);
      return grown;
    };
    this.nodes = int(this.nodes);
    this.actors = int(this.actors);
    this.sequences = int(this.sequences);
    const states = new Uint8Array(size);
    states.set(this.states);
    this.states = states;
    const values = new Float64Array(size);
    values.set(this.values);
    this.values = values;
  }
}
