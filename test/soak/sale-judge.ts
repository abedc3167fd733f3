/**
 * What books must say, whatever replicas say of each other: nothing is sold that is not there, at no moment;
 * a coupon has one winner, a name one owner at a time, a key one effect; what sections read adds up.
 */
import { type Booking, type Books, type Deed, isOpen } from "./sale-books.ts";

/** What one replica shows at rest. */
export interface Shown {
  readonly stock: Readonly<Record<string, number>>;
  readonly coupons: Readonly<Record<string, string>>;
  readonly owners: Readonly<Record<string, string>>;
  readonly balances: Readonly<Record<string, number>>;
}

/** What there is of one thing on sale. */
export interface StockFigures {
  /** Surely on sale, and perhaps. */
  stocked: number;
  perhapsStocked: number;
  sold: number;
  /** Of them, what may be listed as stranded as well. */
  soldAtOnce: number;
  /** Perhaps. */
  unknown: number;
}

/** What the books say in all. */
export interface Judgement {
  readonly faults: readonly string[];
  readonly stock: ReadonlyMap<string, StockFigures>;
  /** By what was tried, then how it ended. */
  readonly counts: ReadonlyMap<Deed["kind"], ReadonlyMap<string, number>>;
  /** Keys that were tried more than once. */
  readonly keysRepeated: number;
  /** Deeds with a key of which nobody knows yet whether they were done. */
  readonly undecided: readonly (Sale | Transfer)[];
  /** Names that were claimed, or perhaps, and not let go since. */
  readonly lingering: readonly Claim[];
  readonly coupons: ReadonlyMap<string, Winner>;
  readonly owners: ReadonlyMap<string, Winner>;
  /** What each account must have. */
  readonly balances: ReadonlyMap<string, number>;
}

/** Who surely has it, or may have. */
export interface Winner {
  readonly surely: string | undefined;
  readonly perhaps: ReadonlySet<string>;
}

/** What is sold. */
export type Sale = Extract<Deed, { readonly kind: "sale" }>;
/** What is moved. */
export type Transfer = Extract<Deed, { readonly kind: "transfer" }>;
/** A claim of a name. */
export type Claim = Extract<Deed, { readonly kind: "claim" }>;

/** Accounts are in groups, within which money moves: the sum of one does not. */
export interface Accounts {
  readonly groups: readonly (readonly string[])[];
  /** What each had at first. */
  readonly opening: number;
}

type Of<K extends Deed["kind"]> = Booking & {
  readonly deed: Extract<Deed, { readonly kind: K }>;
};

/** Judges all the books together. */
export function judge(books: readonly Books[], accounts: Accounts): Judgement {
  const bookings = books.flatMap((each) => each.bookings);
  const of = <K extends Deed["kind"]>(kind: K): Of<K>[] =>
    bookings.filter((booking): booking is Of<K> => booking.deed.kind === kind);
  const faults = books.flatMap((each) => each.faults);
  const sales = onceByKey(of("sale"), faults);
  const transfers = onceByKey(of("transfer"), faults);
  const coupons = couponsOf(of("coupon"), faults);
  const claims = claimsOf(of("claim"), of("release"), faults);
  for (const { deed, end } of of("sum")) {
    const expected = (accounts.groups[deed.group]?.length ?? 0) * accounts.opening;
    if (end?.outcome !== "done" || end.result === expected) continue;
    faults.push(`a section read ${String(end.result)} in group ${deed.group}, not ${expected}`);
  }
  return {
    ...{ faults, stock: stockOf(of("restock"), sales, faults), counts: countsOf(bookings) },
    keysRepeated: repeatedOf([...of("sale"), ...of("transfer")]),
    undecided: [...sales, ...transfers].filter(isOpenWithKey).map(({ deed }) => deed),
    lingering: claims.filter(({ isLeft }) => !isLeft).map(({ claim }) => claim),
    ...{ coupons, owners: ownersOf(claims), balances: balancesOf(transfers, accounts) },
  };
}

/** What replicas show, and pools list as stranded, against what the books say. All is at rest. */
export function compare(
  judgement: Judgement,
  shown: ReadonlyMap<string, Shown>,
  stranded: ReadonlyMap<string, number>,
): string[] {
  const faults: string[] = [];
  const expect = (isSo: boolean, what: string): void => void (isSo || faults.push(what));
  for (const [sku, { stocked, perhapsStocked, sold, soldAtOnce, unknown }] of judgement.stock) {
    const left = stranded.get(sku) ?? 0;
    const accounted = `${sold} sold, ${unknown} perhaps, ${left} stranded of ${stocked}`;
    expect(sold + unknown + left >= stocked, `${sku}: units are gone: ${accounted}`);
    expect(sold - soldAtOnce + left <= perhapsStocked, `${sku}: units from nowhere: ${accounted}`);
    for (const [replica, { stock }] of shown) {
      expect(stock[sku] === left, `${replica} shows ${stock[sku]} of ${sku}, ${left} are stranded`);
    }
  }
  for (const [replica, { coupons, owners, balances }] of shown) {
    expect(isAmong(judgement.coupons, coupons), `${replica}: coupons are not as the books say`);
    expect(isAmong(judgement.owners, owners), `${replica}: owners are not as the books say`);
    for (const [account, balance] of judgement.balances) {
      const has = balances[account];
      expect(has === balance, `${replica}: account ${account} has ${has}, not ${balance}`);
    }
  }
  const contents = new Set([...shown.values()].map((each) => JSON.stringify(sorted(each))));
  expect(contents.size === 1, "the replicas differ");
  return faults;
}

/** The attempts at one key as one deed, done if any of them was; those without a key as they are. */
function onceByKey<K extends "sale" | "transfer">(
  all: readonly Of<K>[],
  faults: string[],
): Of<K>[] {
  const byKey = new Map<string, Of<K>>();
  const without: Of<K>[] = [];
  for (const booking of all) {
    const { key } = booking.deed as { readonly key?: string };
    const before = key === undefined ? undefined : byKey.get(key);
    if (key === undefined) without.push(booking);
    else byKey.set(key, before ? together(before, booking, faults) : booking);
  }
  return [...without, ...byKey.values()];
}

/** The earliest that says most. */
function together<K extends Deed["kind"]>(left: Of<K>, right: Of<K>, faults: string[]): Of<K> {
  const begunAt = Math.min(left.begunAt, right.begunAt);
  const done = [left, right].filter(({ end }) => end?.outcome === "done");
  const results = new Set(done.map(({ end }) => JSON.stringify(end?.result)));
  if (results.size > 1) {
    faults.push(`one key gave ${[...results].join(" and ")}: ${JSON.stringify(left.deed)}`);
  }
  const [first = left, second = first] = done;
  if (done.length > 0) {
    return { ...((second.end?.at ?? 0) < (first.end?.at ?? 0) ? second : first), begunAt };
  }
  return { ...(isOpen(right) ? right : left), begunAt };
}

const isOpenWithKey = (booking: Booking): boolean => "key" in booking.deed && isOpen(booking);

/** What was sold up to each moment is no more than what was begun to be stocked before. */
function stockOf(
  restocks: readonly Of<"restock">[],
  sales: readonly Of<"sale">[],
  faults: string[],
): Map<string, StockFigures> {
  const stock = new Map<string, StockFigures>();
  const figures = (sku: string): StockFigures => {
    const known = stock.get(sku) ?? {
      stocked: 0,
      perhapsStocked: 0,
      sold: 0,
      soldAtOnce: 0,
      unknown: 0,
    };
    stock.set(sku, known);
    return known;
  };
  const steps: { readonly at: number; readonly sku: string; readonly units: number }[] = [];
  for (const { deed, begunAt, end } of restocks) {
    figures(deed.sku).perhapsStocked += deed.units;
    if (end?.outcome === "done") figures(deed.sku).stocked += deed.units;
    steps.push({ at: begunAt, sku: deed.sku, units: deed.units });
  }
  for (const booking of sales) {
    const { sku, units } = booking.deed;
    if (isOpen(booking)) figures(sku).unknown += units;
    else if (booking.end?.outcome === "done") {
      figures(sku).sold += units;
      if (booking.deed.isAtOnce) figures(sku).soldAtOnce += units;
      steps.push({ at: booking.end.at, sku, units: -units });
    }
  }
  const left = new Map<string, number>();
  for (const { at, sku, units } of steps.toSorted((a, b) => a.at - b.at)) {
    const now = (left.get(sku) ?? 0) + units;
    left.set(sku, Math.max(0, now));
    if (now < 0) faults.push(`${sku}: ${-now} units were oversold at ${at.toFixed(0)} ms`);
  }
  return stock;
}

function couponsOf(all: readonly Of<"coupon">[], faults: string[]): Map<string, Winner> {
  const winners = new Map<string, { surely: string | undefined; perhaps: Set<string> }>();
  for (const booking of all) {
    const { coupon, customer } = booking.deed;
    const winner = winners.get(coupon) ?? { surely: undefined, perhaps: new Set() };
    winners.set(coupon, winner);
    if (isOpen(booking)) winner.perhaps.add(customer);
    else if (booking.end?.outcome === "done") {
      if (winner.surely !== undefined) {
        faults.push(`coupon ${coupon} was redeemed by ${winner.surely} and ${customer}`);
      }
      winner.surely = customer;
    }
  }
  return winners;
}

interface Owning {
  readonly claim: Claim;
  /** When it was surely owned from; absent if it only may have been. */
  readonly from: number | undefined;
  /** When somebody first began to let it go; absent if nobody did. */
  readonly until: number | undefined;
  /** Whether somebody was told that it is let go. */
  readonly isLeft: boolean;
}

/** Each owner claims once. */
function claimsOf(
  claims: readonly Of<"claim">[],
  releases: readonly Of<"release">[],
  faults: string[],
): Owning[] {
  const begun = new Map<string, number>();
  const left = new Set<string>();
  for (const { deed, begunAt, end } of releases) {
    begun.set(deed.owner, Math.min(begun.get(deed.owner) ?? Infinity, begunAt));
    // Too late is: somebody else has it.
    if (end?.outcome === "done" || end?.outcome === "lost") left.add(deed.owner);
  }
  const ownings = claims
    .filter((booking) => isOpen(booking) || booking.end?.outcome === "done")
    .map((booking) => ({
      claim: booking.deed,
      from: booking.end?.outcome === "done" ? booking.end.at : undefined,
      until: begun.get(booking.deed.owner),
      isLeft: left.has(booking.deed.owner),
    }));
  const last = new Map<string, Owning>();
  for (const owning of ownings.toSorted((a, b) => (a.from ?? 0) - (b.from ?? 0))) {
    if (owning.from === undefined) continue;
    const { name, owner } = owning.claim;
    const before = last.get(name);
    last.set(name, owning);
    if (!before || (before.until ?? Infinity) <= owning.from) continue;
    faults.push(`${name} was given to ${owner} while ${before.claim.owner} had it`);
  }
  return ownings;
}

function ownersOf(ownings: readonly Owning[]): Map<string, Winner> {
  const owners = new Map<string, { surely: string | undefined; perhaps: Set<string> }>();
  for (const { claim, from, until, isLeft } of ownings) {
    const owner = owners.get(claim.name) ?? { surely: undefined, perhaps: new Set() };
    owners.set(claim.name, owner);
    if (from !== undefined && until === undefined) owner.surely = claim.owner;
    // A claim that nobody heard of may have come after it was let go.
    else if (from === undefined || !isLeft) owner.perhaps.add(claim.owner);
  }
  return owners;
}

function balancesOf(transfers: readonly Of<"transfer">[], accounts: Accounts): Map<string, number> {
  const balances = new Map(accounts.groups.flat().map((account) => [account, accounts.opening]));
  const pay = (account: string, amount: number): void =>
    void balances.set(account, (balances.get(account) ?? 0) + amount);
  for (const { deed, end } of transfers) {
    if (end?.outcome !== "done") continue;
    if (deed.from !== undefined) pay(deed.from, -deed.amount);
    pay(deed.to, deed.amount);
  }
  return balances;
}

/** Whoever is shown must be the one, or one of those who may be. */
function isAmong(
  winners: ReadonlyMap<string, Winner>,
  shown: Readonly<Record<string, string>>,
): boolean {
  for (const [name, { surely, perhaps }] of winners) {
    const has = shown[name];
    if (surely !== undefined && has !== surely) return false;
    if (surely === undefined && has !== undefined && !perhaps.has(has)) return false;
  }
  return Object.keys(shown).every((name) => winners.has(name));
}

function countsOf(bookings: readonly Booking[]): Map<Deed["kind"], Map<string, number>> {
  const counts = new Map<Deed["kind"], Map<string, number>>();
  for (const { deed, end } of bookings) {
    const ends = counts.get(deed.kind) ?? new Map<string, number>();
    counts.set(deed.kind, ends);
    const how = end ? (end.code ?? end.outcome) : "cut off by a kill";
    ends.set(how, (ends.get(how) ?? 0) + 1);
  }
  return counts;
}

function repeatedOf(all: readonly (Of<"sale"> | Of<"transfer">)[]): number {
  const attempts = new Map<string, number>();
  for (const { deed } of all) {
    if (deed.key !== undefined) attempts.set(deed.key, (attempts.get(deed.key) ?? 0) + 1);
  }
  return [...attempts.values()].filter((count) => count > 1).length;
}

const sorted = (shown: Shown): unknown =>
  Object.entries(shown).map(([what, entries]) => [
    what,
    Object.entries(entries as Readonly<Record<string, unknown>>).toSorted(([a], [b]) =>
      a < b ? -1 : 1,
    ),
  ]);
