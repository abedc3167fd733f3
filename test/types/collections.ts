/**
 * What must compile, and what must not. `npm run check` compiles this file; nothing runs it. A line
 * after `@ts-expect-error` that compiles is an error.
 */
import type { Name } from "../../src/crdt/data-type.ts";
import {
  counter,
  fencedRegister,
  flag,
  lwwMap,
  lwwRegister,
  mvRegister,
  orMap,
  orSet,
  rateWindow,
  uniqueClaims,
} from "../../src/crdt/index.ts";
import type { Replica } from "../../src/replica.ts";
import type { Collections } from "../../src/collections.ts";

interface Profile {
  readonly name: string;
}

const schema = {
  likes: counter(),
  tags: orSet(),
  scores: orSet<number>(),
  mixed: orSet<Name>(),
  profile: lwwRegister<Profile>(),
  draft: mvRegister<string>(),
  prefs: lwwMap<boolean>(),
  live: flag(),
  coupon: fencedRegister<Profile>(),
  balance: fencedRegister<number>(),
  username: uniqueClaims(),
  sessions: lwwMap<string>({ expireAfterMs: 1_000 }),
  seen: orSet<number>({ expireAfterMs: Number.POSITIVE_INFINITY }),
  carts: orMap({ quantity: lwwRegister<number>() }, { expireAfterMs: 1_000 }),
  logins: rateWindow({ windowMs: 60_000 }),
  cart: orMap({
    quantity: lwwRegister<number>(),
    // oxlint-disable-next-line typescript/no-unnecessary-type-arguments -- the context would widen it
    notes: orSet<string>(),
    options: mvRegister<Profile>(),
    extras: lwwMap<number>(),
    gift: flag(),
  }),
};

// oxlint-disable typescript/no-unnecessary-type-parameters -- two types are compared as bounds of T
/** True only for the very same type. */
type Same<Left, Right> =
  (<T>() => T extends Left ? 1 : 2) extends <T>() => T extends Right ? 1 : 2 ? true : false;
const holds = <_T extends true>(): void => undefined;

export function mustCompile(collections: Collections<typeof schema>): void {
  const { likes, tags, scores, mixed, profile, draft, prefs, live, cart } = collections;
  const { sessions, seen, carts, logins } = collections;
  likes.increment("k");
  likes.decrement("k", 2);
  likes.at("k").increment();
  tags.add("k", "e");
  tags.at("k").remove("e");
  scores.add("k", 1);
  mixed.add("k", null);
  profile.set("k", { name: "Ada" });
  draft.set("k", "x");
  prefs.set("k", "dark", true);
  live.enable("k");
  cart.entry("k", "sku").quantity.set(2);
  cart.at("k").entry("sku").notes.add("n");
  cart.delete("k", "sku");
  cart.delete("k");
  tags.keys({ prefix: "a", limit: 1, after: "b" });

  sessions.set("k", "user", "u");
  sessions.at("k").set("user", "u");
  seen.add("k", 1);
  carts.at("k").entry("sku").quantity.set(1);
  logins.at("k").hit(2);
  holds<Same<ReturnType<typeof sessions.expireAt>, boolean>>();
  holds<Same<ReturnType<ReturnType<typeof carts.at>["expiresAt"]>, number | undefined>>();
  holds<Same<ReturnType<typeof seen.values>, number[]>>();
  holds<Same<ReturnType<typeof logins.tryHit>, boolean>>();

  holds<Same<ReturnType<typeof likes.value>, number>>();
  holds<Same<ReturnType<typeof tags.values>, string[]>>();
  holds<Same<ReturnType<typeof scores.values>, number[]>>();
  holds<Same<ReturnType<typeof profile.get>, Profile | undefined>>();
  holds<Same<ReturnType<typeof draft.get>, string[]>>();
  holds<Same<ReturnType<typeof prefs.get>, boolean | undefined>>();
  holds<Same<ReturnType<typeof prefs.entries>, [string, boolean][]>>();
  holds<Same<ReturnType<typeof live.isEnabled>, boolean>>();
  const [first] = cart.entries("k");
  if (first) {
    const [name, entry] = first;
    holds<Same<typeof name, string>>();
    holds<Same<typeof entry.quantity, number | undefined>>();
    holds<Same<typeof entry.notes, readonly string[]>>();
    holds<Same<typeof entry.options, readonly Profile[]>>();
    holds<Same<typeof entry.extras, readonly [string, number][]>>();
    holds<Same<typeof entry.gift, boolean>>();
  }
}

export function mustNotCompile(collections: Collections<typeof schema>): void {
  const { likes, tags, scores, profile, draft, prefs, live, cart } = collections;
  // @ts-expect-error a collection that is not in the schema
  void collections.absent;
  // @ts-expect-error collections are not replaced
  collections.likes = likes;
  // @ts-expect-error an amount is a number
  likes.increment("k", "1");
  // @ts-expect-error nor a bigint
  likes.increment("k", 1n);
  // @ts-expect-error a key is a string
  likes.value(1);
  // @ts-expect-error counters are not removed
  void likes.delete;
  // @ts-expect-error a set of strings has no numbers
  tags.add("k", 1);
  // @ts-expect-error a set of numbers has no strings
  scores.add("k", "1");
  // @ts-expect-error an element is no object
  orSet<{ id: number }>();
  // @ts-expect-error a profile has a name
  profile.set("k", {});
  // @ts-expect-error a draft is a string
  draft.set("k", 1);
  // @ts-expect-error `draft` gives all values
  const one: string | undefined = draft.get("k");
  void one;
  // @ts-expect-error a field has a value
  prefs.set("k", "dark");
  // @ts-expect-error a flag is enabled, not set
  void live.set;
  // @ts-expect-error an entry has the fields of the schema
  void cart.entry("k", "sku").price;
  // @ts-expect-error and their types
  cart.entry("k", "sku").quantity.set("2");
  // @ts-expect-error a snapshot is a copy to be read
  for (const [, entry] of cart.entries("k")) entry.quantity = 1;
  // @ts-expect-error a counter is no field of an entry
  orMap({ count: counter() });
  // @ts-expect-error nor is an orMap
  orMap({ inner: orMap({ x: flag() }) });
  // @ts-expect-error nor what expires by itself: an entry goes with its key
  orMap({ inner: flag({ expireAfterMs: 1_000 }) });
  // @ts-expect-error a counter does not expire
  counter({ expireAfterMs: 1_000 });
  // @ts-expect-error nor does what is guarded
  fencedRegister({ expireAfterMs: 1_000 });
  // @ts-expect-error a set whose keys do not expire has no deadlines
  void tags.expireAt;
  // @ts-expect-error nor have its handles
  void tags.at("k").expiresAt;
}

export async function guardedMustCompile(shop: Replica<typeof schema>): Promise<void> {
  const { coupon, balance, username } = shop.collections;
  const next = await coupon.update("k", (current) => current ?? { name: "Ada" });
  holds<Same<typeof next, Profile | undefined>>();
  holds<Same<ReturnType<typeof coupon.get>, Profile | undefined>>();
  await coupon.update("k", async (_, { operationId }) => ({ name: operationId }), { waitMs: 0 });
  await username.claim("ada", "u:7");
  holds<Same<ReturnType<typeof username.owner>, string | undefined>>();
  const handles = [coupon.at("k"), balance.at("a")] as const;
  const result = await shop.escalate(handles, (section) => {
    const [profile, amount] = section.values;
    holds<Same<typeof profile, Profile | undefined>>();
    holds<Same<typeof amount, number | undefined>>();
    section.set(handles[1], 5);
    section.set(handles[0], undefined);
    return "done";
  });
  holds<Same<typeof result, string>>();
}

export function guardedMustNotCompile(shop: Replica<typeof schema>): void {
  const { likes, coupon, balance, username } = shop.collections;
  // @ts-expect-error a fenced register has no write that passes no fence
  void coupon.set;
  // @ts-expect-error nor has its handle
  void coupon.at("k").set;
  // @ts-expect-error a name is claimed, not set
  void username.set;
  // @ts-expect-error the next value is a profile
  void coupon.update("k", () => 1);
  // @ts-expect-error a counter is no fenced value
  void shop.escalate([likes.at("k")], () => 1);
  // @ts-expect-error nor is a claim: that has steps of its own
  void shop.escalate([username.at("k")], () => 1);
  void shop.escalate([balance.at("a")], (section) => {
    // @ts-expect-error a balance is a number
    section.set(balance.at("a"), "1");
  });
}
