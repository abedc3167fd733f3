/** What backups are taken of in tests. */
import * as fc from "fast-check";
import { exportReplica, type Exported } from "../../src/cli/export.ts";
import { type Imported, type ImportCommandOptions, importExport } from "../../src/cli/import.ts";
import {
  boundedCounter,
  counter,
  fencedRegister,
  flag,
  lwwMap,
  lwwRegister,
  mvRegister,
  openReplica,
  orMap,
  orSet,
  type Replica,
  uniqueClaims,
} from "../../src/index.ts";

/** Collections whose operations never wait. */
export const free = {
  likes: counter(),
  tags: orSet<string | number | boolean | null>(),
  profile: lwwRegister(),
  draft: mvRegister(),
  prefs: lwwMap(),
  live: flag(),
  cart: orMap({
    qty: lwwRegister(),
    notes: orSet(),
    alternatives: mvRegister(),
    options: lwwMap(),
    gift: flag(),
  }),
};
/** All there are. */
export const schema = {
  ...free,
  stock: boundedCounter({ min: -5, max: 1_000, initial: 3 }),
  coupon: fencedRegister(),
  username: uniqueClaims(),
};
/** A replica of them. */
export type Shop = Replica<typeof free>;

/** Something in three collections. */
export const fillPlainly: Write = ({ collections: { likes, tags, profile } }) => {
  likes.increment("a", 7);
  tags.add("a", "x");
  profile.set("a", { b: 1 });
};

/** Exports to a file. */
export const exported = (from: string, out: string): Promise<Exported> =>
  exportReplica(from, { out, timeout: 20 });
/** Imports a file. */
export const imported = (
  file: string,
  to: string | undefined,
  options: Partial<ImportCommandOptions> = {},
): Promise<Imported> => importExport(file, to, { timeout: 20, ...options });
/** Where it listens. */
export const urlOf = ({ address }: Pick<Shop, "address">): string =>
  `ws://127.0.0.1:${address?.port ?? 0}`;

/** What applications see of what never waits, read through the public collections. */
export function contentOf({ collections }: Pick<Shop, "collections">): unknown {
  const { likes, tags, profile, draft, prefs, live, cart } = collections;
  const sorted = (items: readonly unknown[]): string[] =>
    items.map((item) => JSON.stringify(item)).sort();
  return {
    likes: likes.keys().map((key) => [key, likes.value(key)]),
    tags: tags.keys().map((key) => [key, sorted(tags.values(key))]),
    profile: profile.keys().map((key) => [key, profile.get(key)]),
    draft: draft.keys().map((key) => [key, draft.get(key)]),
    prefs: prefs.keys().map((key) => [key, sorted(prefs.entries(key))]),
    live: live.keys(),
    cart: cart
      .keys()
      .map((key) => [
        key,
        sorted(
          cart
            .entries(key)
            .map(([entry, fields]) => [
              entry,
              { ...fields, notes: sorted(fields.notes), options: sorted(fields.options) },
            ]),
        ),
      ]),
  };
}

// What is written at random.

const name = fc.constantFrom("", "a", "__proto__", "é", "\u{1F600}", 'k\n"\\', "constructor");
const json = fc
  .jsonValue({ maxDepth: 3 })
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown);
const element = fc.oneof(
  name,
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
);

/** One write. */
export type Write = (shop: Shop) => void;
/** Any of them. */
export const write: fc.Arbitrary<Write> = fc.oneof(
  fc.tuple(name, fc.integer({ min: -9, max: 9 })).map(
    ([key, by]): Write =>
      ({ collections: { likes } }) =>
        by < 0 ? likes.decrement(key, -by) : likes.increment(key, by + 1),
  ),
  fc.tuple(name, element, fc.boolean()).map(
    ([key, value, isAdded]): Write =>
      ({ collections: { tags } }) =>
        isAdded ? tags.add(key, value) : tags.remove(key, value),
  ),
  fc.tuple(name, json).map(
    ([key, value]): Write =>
      ({ collections }) =>
        collections.profile.set(key, value),
  ),
  fc.tuple(name, json).map(
    ([key, value]): Write =>
      ({ collections }) =>
        collections.draft.set(key, value),
  ),
  fc.tuple(name, name, json).map(
    ([key, field, value]): Write =>
      ({ collections }) =>
        collections.prefs.set(key, field, value),
  ),
  name.map(
    (key): Write =>
      ({ collections }) =>
        collections.live.enable(key),
  ),
  name.map(
    (key): Write =>
      ({ collections }) =>
        collections.live.disable(key),
  ),
  fc
    .tuple(name, name, name, json)
    .map(([key, entry, text, value]): Write => ({ collections: { cart } }) => {
      const { qty, notes, alternatives, options, gift } = cart.entry(key, entry);
      if (text === "a") qty.set(value);
      else if (text === "é") alternatives.set(value);
      else if (text === "") gift.enable();
      else if (text === "__proto__") options.set(text, value);
      else notes.add(text);
    }),
  fc.tuple(name, name).map(
    ([key, entry]): Write =>
      ({ collections }) =>
        collections.cart.delete(key, entry),
  ),
);

/** Two replicas that wrote without each other, then joined: what one of them stored. */
export async function stored(
  path: string,
  one: readonly Write[],
  other: readonly Write[],
): Promise<unknown> {
  await using here = await openReplica({ schema: free, storage: path, listen: { port: 0 } });
  await using there = await openReplica({ schema: free, name: "there" });
  for (const step of one) step(here);
  for (const step of other) step(there);
  there.addPeer(urlOf(here));
  await here.waitFor(there.version());
  return contentOf(here);
}

/** What a directory shows. */
export async function reopened(path: string): Promise<unknown> {
  await using shop = await openReplica({ schema: free, storage: path });
  return contentOf(shop);
}
