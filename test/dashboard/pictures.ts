/**
 * Draws the pictures of docs/operations: a cluster at work, with one peer that stalls and one that is cut
 * off. Run by hand: `npm run pictures`, with the folder to write to and how many
 * seconds of work there are before that.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { Proxy } from "../../src/cli/servers/proxy.ts";
import { openPeer, Serving, urlOf } from "./serving.ts";

const folder = process.argv[2] ?? "docs/operations";
const seconds = Number(process.argv[3] ?? 75);
mkdirSync(folder, { recursive: true });

await using serving = await Serving.open("shop-1");
const { shop } = serving;
const url = urlOf(shop);
await using slow = await Proxy.start(url);
await using lost = await Proxy.start(url);
const names = ["shop-2", "shop-3", "warehouse-berlin", "till-7"] as const;
const urls = [url, slow.through(url), lost.through(url), url];
const peers = await Promise.all(names.map((name, at) => openPeer(name, urls[at] ?? url)));
for (const peer of peers) await peer.synced();

let turn = 0;
const work = setInterval(() => {
  turn++;
  const many = 20 + Math.round(15 * Math.sin(turn / 60));
  for (let i = 0; i < many; i++) {
    const rank = Math.floor(Math.exp(Math.random() * 5.5));
    for (const each of i % 3 === 0 ? peers : [shop]) {
      each.collections.likes.increment(`article:${rank}`, 1);
    }
  }
  shop.collections.carts.add(`cart:${turn % 400}`, `sku-${turn % 37}`);
  shop.collections.profile.set(`user:${turn % 90}`, { seen: turn });
}, 50);
const guarded = setInterval(() => {
  for (const each of [shop, ...peers.slice(0, 1), peers[3]]) {
    const ignore = (): void => undefined;
    each?.collections.coupon.update("SPRING", () => ({ turn }), { waitMs: 2_000 }).catch(ignore);
    each?.collections.stock.decrement("sku-1", 3).catch(ignore);
    each?.locks
      .withLock("nightly-report", () => new Promise((done) => setTimeout(done, 30)), {
        waitMs: 150,
      })
      .catch(ignore);
  }
}, 200);

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
const looks = [
  { name: "dashboard-desktop", width: 1280, colorScheme: "light" },
  { name: "dashboard-dark", width: 1280, colorScheme: "dark" },
  { name: "dashboard-phone", width: 390, colorScheme: "light" },
] as const;
const pages = await Promise.all(
  looks.map(async ({ width, colorScheme }) => {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    page.on("console", (message) => process.stderr.write(`${message.text()}\n`));
    await page.goto(urlOf(shop, "http"));
    return page;
  }),
);
const wait = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
await wait(seconds * 1_000);
await lost.close();
slow.requests.fate = "hold";
slow.replies.fate = "hold";
// Long enough to be called stalled, and not yet so long that the link is given up.
await wait(8_000);
for (const [at, page] of pages.entries()) {
  const { name = "" } = looks[at] ?? {};
  await page.screenshot({
    path: join(folder, `${name}.jpg`),
    type: "jpeg",
    quality: 55,
    fullPage: true,
  });
}
clearInterval(work);
clearInterval(guarded);
await browser.close();
await slow.close();
for (const peer of peers) await peer.close();
