/** Random writes: of every type, alone and in transactions, some of them undone. */
import type { Operation } from "../crdt/specifications.ts";
import { drawCase, type TypeCase, typeCases } from "../crdt/type-cases.ts";
import { type Life, type LifeCollections, pairKeys } from "./life.ts";
import type { Plan } from "./plan.ts";
import type { Random } from "./virtual-environment.ts";

interface Drawn {
  readonly of: TypeCase;
  readonly key: string;
  readonly operation: Operation;
}

/** A movement of one side of a pair, as a type case of its own. */
const side = (
  collection: string,
  perform: (collections: LifeCollections, key: string, operation: Operation) => void,
): TypeCase =>
  ({
    collection,
    perform,
    draw: () => ({ name: "delete" }),
    read: () => undefined,
    specification: () => undefined,
  }) as unknown as TypeCase;

const count = (name: "left" | "right"): TypeCase =>
  side(name, (collections, key, operation) => {
    if (operation.name === "increment") collections[name].increment(key, operation.by);
  });

const list = (name: "here" | "there"): TypeCase =>
  side(name, (collections, key, operation) => {
    if (operation.name === "add") collections[name].add(key, String(operation.element));
    else if (operation.name === "remove") collections[name].remove(key, String(operation.element));
    else collections[name].clear(key);
  });

const sides = {
  left: count("left"),
  right: count("right"),
  here: list("here"),
  there: list("there"),
} as const;

const counting = typeCases.filter(({ collection }) => collection === "counters");

/** Draws what is written in one run. */
export class Traffic {
  readonly #random: Random;
  readonly #plan: Plan;
  #values = 0;
  #bursts = 0;

  constructor(random: Random, plan: Plan) {
    this.#random = random;
    this.#plan = plan;
  }

  /** A few writes, which share a batch if nothing comes between. */
  write(life: Life): string {
    const writes = this.#several(this.#random.chance(0.05) ? 25 : 1 + this.#random.below(4));
    for (const { of, key, operation } of writes) life.write(of, key, operation);
    return `writes ${describe(writes)}`;
  }

  /** One write, of one of these types. */
  one(life: Life, cases: readonly TypeCase[] = counting): string {
    const random = this.#random;
    const of = random.pick(cases);
    const key = random.pick(this.#plan.keys);
    const operation = this.#own(of.draw(random));
    life.write(of, key, operation);
    return `writes ${describe([{ of, key, operation }])}`;
  }

  /** Some writes as one, or as none. */
  transact(life: Life, isUndone: boolean): string {
    const random = this.#random;
    const before = isUndone ? life.replica.version() : "";
    const writes = random.chance(0.6) ? this.#pair() : this.#several(2 + random.below(4));
    life.transact(writes, isUndone);
    if (isUndone && life.replica.version() !== before) {
      throw new Error(`${life.name}: an undone transaction moved the version`);
    }
    return `${isUndone ? "undoes" : "transacts"} ${describe(writes)}`;
  }

  /** One increment, from within a reader. */
  answer(life: Life): void {
    for (const of of counting) life.write(of, "answers", { name: "increment", by: 1 });
  }

  /** Many keys at once. */
  burst(life: Life): string {
    const first = this.#random.chance(0.5) ? 0 : this.#bursts * 500;
    this.#bursts++;
    life.burst(first, this.#plan.burstTouches);
    return `counts ${this.#plan.burstTouches} keys from ${first} on`;
  }

  #several(howMany: number): Drawn[] {
    const random = this.#random;
    return Array.from({ length: howMany }, () => {
      const of = drawCase(random);
      return { of, key: random.pick(this.#plan.keys), operation: this.#own(of.draw(random)) };
    });
  }

  /** The same on both sides, with something else between. */
  #pair(): Drawn[] {
    const random = this.#random;
    const key = random.pick(pairKeys);
    const by = 1 + random.below(50);
    const element = `t${random.below(6)}`;
    const name = random.chance(0.6) ? "add" : "remove";
    const listed: Operation = random.chance(0.1) ? { name: "delete" } : { name, element };
    const counted: Operation = { name: "increment", by };
    return [
      { of: sides.left, key, operation: counted },
      { of: sides.here, key, operation: listed },
      ...this.#several(random.below(3)),
      { of: sides.right, key, operation: counted },
      { of: sides.there, key, operation: listed },
    ];
  }

  /** Values of this run's own: a seed runs alone as it does among others. */
  #own(operation: Operation): Operation {
    if (operation.name === "in-entry") return { ...operation, inner: this.#own(operation.inner) };
    if (operation.name !== "set" && operation.name !== "set-field") return operation;
    const number = this.#values++;
    const text = `v${number}${this.#random.chance(0.05) ? "é".repeat(this.#random.below(400)) : ""}`;
    return { ...operation, value: typeof operation.value === "string" ? text : [text, null] };
  }
}

const describe = (writes: readonly Drawn[]): string =>
  writes
    .map(({ of, key, operation }) => {
      const text = JSON.stringify(operation);
      return `${of.collection}/${key} ${text.length > 90 ? `${text.slice(0, 90)}…` : text}`;
    })
    .join(", ");
