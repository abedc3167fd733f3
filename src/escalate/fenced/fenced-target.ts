/** One fenced value: where its guard is, and where its copy. What a handle stands for. */
import { checkKey } from "../../store/values.ts";
import type { EscalatedCall } from "../escalated-calls.ts";
import type { Copies } from "./copies.ts";

/** A collection of fenced values, as all that works on them sees it. */
export interface FencedCollection {
  readonly name: string;
  /** Of the names of its guards. */
  readonly prefix: string;
  readonly copies: Copies;
  /** How long keys are remembered, in ms. */
  readonly idempotencyWindowMs: number;
}

/** One value of a collection. `V` is what its handle says that it holds. */
export class FencedTarget<V = unknown> {
  /** Never set; carries the value type. */
  declare readonly value?: V;
  readonly collection: FencedCollection;
  readonly key: string;
  /** The name of its guard. */
  readonly resource: string;

  /** @throws InvalidValueError for what is no key. */
  constructor(collection: FencedCollection, key: string) {
    this.collection = collection;
    this.key = checkKey(key);
    this.resource = collection.prefix + key;
  }

  /** For messages: `accounts "a"`. */
  get what(): string {
    return `${this.collection.name} ${JSON.stringify(this.key)}`;
  }
}

/** Whatever stands for one fenced value in a section. */
export interface FencedHandle<V = unknown> {
  readonly target: FencedTarget<V>;
}

/** An escalated call on one value. */
export const callOf = (operation: string, target: FencedTarget): EscalatedCall => {
  const { collection, key, resource } = target;
  return { operation, route: "fenced", collection: collection.name, key, resource };
};
