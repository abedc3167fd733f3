/**
 * A process that holds one replica of a replay and does what the coordinator asks of it. It ends
 * when the coordinator lets go of it or is gone.
 */
import { setImmediate as endOfTurn, setTimeout as sleep } from "node:timers/promises";
import { destination, pino } from "pino";
import { openReplica, type Replica } from "../../index.ts";
import { serve, WorkerError } from "../worker-process.ts";
import { LinkFigures } from "./link-figures.ts";
import { isWeak, openLocks } from "./locks-choice.ts";
import type { Command, Entry, Figures, Reply, ShopFigures } from "./messages.ts";
import { claim, redeem, sell } from "./sale.ts";
import { shopKeys, type ShopSchema, shopSchema } from "./shop.ts";
import { record, type SiteCollection, type SiteSchema, siteSchema, type Visit } from "./site.ts";

type Site = Replica<SiteSchema>;
type Opening = Extract<Command, { readonly kind: "open" }>;

/** Visits that are written in one turn of the event loop, each as a transaction of its own. */
const visitsPerTurn = 8;
/** Visits after which a durable replica waits for its disk. */
const visitsPerWrite = 64;
/** Keys in one page. */
const pageKeysMax = 1_000;
/** How often links are looked at while waiting for them, in ms. */
const lookEveryMs = 5;
/** How long the replica may take to close once the coordinator is gone, in ms. */
const closeMs = 1_500;

let site: Site | undefined;
/** The same replica, if it is a shop. */
let shop: Replica<ShopSchema> | undefined;
/** The name under which a durable replica notes what it took; undefined in memory. */
let durableAs: string | undefined;
let operations = 0;
const links = new LinkFigures();
/** The keys of a collection at the time when its first page was read. */
const listed = new Map<SiteCollection, readonly string[]>();

serve<Command, Reply>({
  answer: perform,
  close: async () => await site?.close(),
  closeMs,
});

async function perform(command: Command, timeoutMs: number): Promise<Reply> {
  switch (command.kind) {
    case "open":
      return { kind: "opened", url: await openSite(command) };
    case "dial":
      opened().addPeer(command.url);
      return { kind: "done" };
    case "hang-up":
      opened().removePeer(command.url);
      return { kind: "done" };
    case "await-links":
      await awaitLinks(command.links, timeoutMs);
      return { kind: "done" };
    case "apply":
      await apply(command.visits, command.before, timeoutMs);
      return { kind: "done" };
    case "taken":
      return { kind: "taken", count: opened().collections.taken.get(durableAs ?? "") ?? 0 };
    case "version":
      return { kind: "version", version: opened().version() };
    case "await-versions":
      await Promise.all(command.versions.map((v) => opened().waitFor(v, { timeoutMs })));
      return { kind: "done" };
    case "figures":
      return { kind: "figures", figures: figures() };
    case "read":
      return readPage(command.collection, command.offset);
    case "await-locks":
      await awaitLocks(timeoutMs);
      return { kind: "done" };
    case "restock":
      openedShop().collections.stock.increment(shopKeys.sku, command.units);
      return { kind: "done" };
    case "await-stock":
      await awaitStock(command.units, timeoutMs);
      return { kind: "done" };
    case "sell": {
      const onSold = (sold: number): void => void process.send?.({ sold });
      return { kind: "sold", ...(await sell(openedShop(), { ...command, onSold })) };
    }
    case "contest":
      return { kind: "won", ...(await contest(command.customers)) };
    case "shop":
      return { kind: "shop", figures: shopFigures(openedShop()) };
    case "close":
      await opened().close();
      return { kind: "done" };
  }
}

function opened(): Site {
  if (site === undefined) throw new WorkerError("the replica is not open");
  return site;
}

function openedShop(): Replica<ShopSchema> {
  if (shop === undefined) throw new WorkerError("the replica is no shop");
  return shop;
}

async function openSite({ name, logLevel, directory, locks }: Opening): Promise<string> {
  const logger = pino({ name, level: logLevel }, destination({ dest: 2, sync: true }));
  const options = {
    name,
    listen: { port: 0 },
    logger,
    telemetry: links,
    ...(directory === undefined ? {} : { storage: directory }),
  };
  if (locks === undefined) site = await openReplica({ ...options, schema: siteSchema });
  else {
    const schema = shopSchema(isWeak(locks));
    site = shop = await openReplica({ ...options, schema, locks: await openLocks(locks) });
  }
  if (directory !== undefined) durableAs = name;
  if (site.address === undefined) throw new WorkerError("the replica is bound to no port");
  const url = `ws://${site.address.host}:${site.address.port}`;
  logger.info({ url }, "the replica is open");
  return url;
}

async function apply(visits: readonly Visit[], before: number, timeoutMs: number): Promise<void> {
  const { collections } = opened();
  let taken = before;
  for (let start = 0; start < visits.length; start += visitsPerTurn) {
    for (const visit of visits.slice(start, start + visitsPerTurn)) {
      taken++;
      operations += opened().transact(() => {
        if (durableAs !== undefined) collections.taken.set(durableAs, taken);
        return record(collections, visit);
      });
    }
    links.look(opened().status().peers);
    await endOfTurn();
    const isLast = start + visitsPerTurn >= visits.length;
    if (durableAs === undefined || (!isLast && (start + visitsPerTurn) % visitsPerWrite > 0))
      continue;
    await opened().acknowledged(opened().version(), { by: "durable", timeoutMs });
  }
}

async function awaitLinks(expected: number, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const { peers } = opened().status();
    links.look(peers);
    const carrying = links.carrying(peers);
    if (carrying === expected) return;
    if (performance.now() > deadline) {
      throw new WorkerError(`${carrying} links, not ${expected}, after ${timeoutMs} ms`);
    }
    await sleep(lookEveryMs);
  }
}

async function awaitLocks(timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const { locks } = openedShop().status();
    if (locks.kind === "backend" || (locks.kind === "embedded" && locks.isServing)) return;
    if (performance.now() > deadline) throw new WorkerError(`no locks after ${timeoutMs} ms`);
    await sleep(lookEveryMs);
  }
}

/** Resolves when the stock is seen here. What was added is told to others once it is on the disk. */
async function awaitStock(units: number, timeoutMs: number): Promise<void> {
  const { stock } = openedShop().collections;
  const deadline = performance.now() + timeoutMs;
  while (stock.value(shopKeys.sku) !== units) {
    if (performance.now() > deadline) throw new WorkerError(`no stock after ${timeoutMs} ms`);
    await sleep(lookEveryMs);
  }
}

async function contest(
  customers: readonly string[],
): Promise<{ readonly redeemed: readonly string[]; readonly claimed: readonly string[] }> {
  const winners = async (
    attempt: (shop: Replica<ShopSchema>, customer: string) => Promise<boolean>,
  ): Promise<string[]> => {
    const won = await Promise.all(customers.map((customer) => attempt(openedShop(), customer)));
    return customers.filter((_, index) => won[index]);
  };
  const [redeemed, claimed] = await Promise.all([winners(redeem), winners(claim)]);
  return { redeemed, claimed };
}

function shopFigures({ collections }: Replica<ShopSchema>): ShopFigures {
  const { stock, coupon, username } = collections;
  return {
    stock: stock.value(shopKeys.sku),
    redeemedBy: coupon.get(shopKeys.coupon)?.redeemedBy,
    owner: username.owner(shopKeys.username),
    stranded: 0,
  };
}

function figures(): Figures {
  const { hits } = opened().collections;
  const requestsKnown = hits.keys().reduce((sum, path) => sum + hits.value(path), 0);
  return { operations, requestsKnown, ...links.figures() };
}

function readPage(collection: SiteCollection, offset: number): Reply {
  if (offset === 0) listed.set(collection, opened().collections[collection].keys());
  const keys = listed.get(collection) ?? [];
  const next = offset + pageKeysMax;
  const entries = keys.slice(offset, next).map((key): Entry => [key, read(collection, key)]);
  return { kind: "page", entries, ...(next < keys.length ? { next } : {}) };
}

function read(collection: SiteCollection, key: string): Entry[1] {
  const { hits, visitors, referrers } = opened().collections;
  switch (collection) {
    case "hits":
      return hits.value(key);
    case "visitors":
      return visitors.values(key).sort();
    case "referrers":
      return referrers.get(key) ?? [];
  }
}
