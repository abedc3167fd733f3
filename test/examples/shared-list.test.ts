/** examples/shared-list as it is run: its command, and its page in two real browsers on two peers, one of which is killed. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { assertBuilt } from "../cli/command.ts";
import { freePorts, Peers, Program, seenMs } from "./shared-list/programs.ts";
import { Seat } from "./shared-list/seat.ts";

const executablePath = "/usr/bin/chromium";
const isSkipped =
  !existsSync(executablePath) && process.env["CI"] !== "true" && !process.env["TRELLIS_CI"];

const folder = mkdtempSync(join(tmpdir(), "trellis-example-"));

beforeAll(assertBuilt);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("npm run example:shared-list", () => {
  test("prints where both peers are, restarts one that was killed, and leaves nothing behind", async () => {
    const ports = await freePorts(2);
    const TMPDIR = mkdtempSync(join(folder, "tmp-"));
    const run = new Program("run.mjs", ["--ports", ports.join(",")], { TMPDIR });
    try {
      await run.says(/side by side/u);
      for (const port of ports) {
        const page = await fetch(`http://127.0.0.1:${port}/`);
        expect(page.status).toBe(200);
        expect(page.headers.get("content-security-policy")).not.toContain("unsafe");
        expect(await page.text()).toContain("Shared list");
        expect((await fetch(`http://127.0.0.1:${port}/package.json`)).status).toBe(404);
      }
      const [line] = await run.says(/^peer-2 .*process/u);
      process.kill(Number(/process (\d+)/u.exec(line ?? "")?.[1]), "SIGKILL");
      await run.says(/^peer-2 ended \(SIGKILL\)/u);
      await run.says(/^peer-2 .*process/u, 2);
    } finally {
      expect(await run.end("SIGINT")).toBe(0);
    }
    const started = (await run.says(/process \d+/u)).map((line) => /process (\d+)/u.exec(line));
    expect(started).toHaveLength(3);
    for (const pid of started) expect(() => process.kill(Number(pid?.[1]), 0)).toThrow("ESRCH");
    expect(readdirSync(TMPDIR)).toEqual([]);
  }, 60_000);
});

describe.skipIf(isSkipped)("the page of the shared list", { timeout: 60_000 }, () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  });
  afterAll(async () => {
    await browser.close();
  });

  /** Somebody at each of the peers. */
  const seats = async ({ urls }: Peers): Promise<readonly [Seat, Seat]> =>
    await Promise.all([Seat.take(browser, urls[0]), Seat.take(browser, urls[1])]);

  test("is the same at both peers, whoever adds, ticks, writes, moves and deletes", async () => {
    await using peers = await Peers.start(folder);
    const [one, two] = await seats(peers);
    await one.add("Beans");
    await one.add("Seeds");
    await two.shows("Beans", "Seeds");
    await two.row("Beans", ".tick").click();
    await two.add("Twine");
    await one.shows("[Beans]", "Seeds", "Twine");
    await one.row("Twine", ".up").click();
    await two.shows("[Beans]", "Twine", "Seeds");
    await two.row("Twine", ".text").focus();
    await two.page.keyboard.press("Alt+ArrowUp");
    await one.shows("Twine", "[Beans]", "Seeds");
    expect(await two.page.evaluate("document.activeElement.value")).toBe("Twine");
    await one.row("Beans", ".remove").click();
    await two.shows("Twine", "Seeds");
    await one.row("Seeds", ".text").focus();
    await one.page.keyboard.press("Home");
    await two.row("Seeds", ".text").focus();
    await two.page.keyboard.press("End");
    await Promise.all([
      one.page.keyboard.type("Many ", { delay: 10 }),
      two.page.keyboard.type(" of peas", { delay: 10 }),
    ]);
    for (const seat of [one, two]) await seat.shows("Twine", "Many Seeds of peas");
    expect([...one.complaints, ...two.complaints]).toEqual([]);
  });

  test("shows who is here and where, and nobody who has gone", async () => {
    await using peers = await Peers.start(folder);
    const [one, two] = await seats(peers);
    await one.page.locator("#name").fill("Ada");
    await two.page.locator("#name").fill("Grace");
    await one.says("#people", /^Ada \(you\)Grace$/u);
    await two.says("#people", /^Grace \(you\)Ada$/u);
    await one.add("Beans");
    await two.shows("Beans");
    await one.row("Beans", ".text").focus();
    await two.says("#items .editor", /^Ada$/u);
    await one.page.locator("#name").focus();
    await two.says("#items .editor", /^$/u);
    await one.page.close();
    await two.says("#people", /^Grace \(you\)$/u);
    expect([...one.complaints, ...two.complaints]).toEqual([]);
  });

  test("adds up likes, and sells five mugs to whoever asks, and no more", async () => {
    await using peers = await Peers.start(folder);
    const [one, two] = await seats(peers);
    const like = async ({ page }: Seat, times: number): Promise<void> => {
      for (let i = 0; i < times; i++) await page.locator("#like").click();
    };
    await Promise.all([like(one, 3), like(two, 4)]);
    for (const seat of [one, two]) await seat.says("#likes", /^7$/u);
    for (const seat of [one, two]) await seat.says("#stock", /^5$/u);
    const [first, second] = await Promise.all([one.buyAll(), two.buyAll()]);
    expect(first + second).toBe(5);
    for (const seat of [one, two]) await seat.says("#stock", /^0$/u);
    // Twelve at once for five of another thing.
    const rush = `Promise.all(Array.from({ length: 6 }, async () => (
      await fetch("/v1/collections/stock/rush/decrement", { method: "POST" })).status))`;
    const answers = await Promise.all([one, two].map(({ page }) => page.evaluate<number[]>(rush)));
    const sold = answers.flat().filter((status) => status === 200);
    expect([sold.length, new Set(answers.flat())]).toEqual([5, new Set([200, 409])]);
    // The one who is too late is told by 409, which the console has as well.
    const others = [...one.complaints, ...two.complaints].filter((text) => !text.includes("409"));
    expect(others).toEqual([]);
  });

  test("goes on while its peer is killed, and is the same everywhere once it is back", async () => {
    await using peers = await Peers.start(folder);
    const [one, two] = await seats(peers);
    await one.add("Beans");
    await one.add("Seeds");
    await two.shows("Beans", "Seeds");
    await one.page.locator("#like").click();
    await two.says("#likes", /^1$/u);
    expect([...one.complaints, ...two.complaints]).toEqual([]);

    await peers.kill(1);
    await two.says("#connection", /^Offline: changes are kept and sent later$/u);
    await two.row("Beans", ".tick").click();
    await two.add("Written offline");
    await two.row("Seeds", ".text").focus();
    await two.page.keyboard.press("End");
    await two.page.keyboard.type(", twelve bags");
    await two.page.locator("#like").click();
    await two.page.locator("#like").click();
    await two.says("#likes", /^3$/u);
    await two.says("#likes-unsent", /Kept/u);
    await two.page.locator("#buy").click();
    await two.says("#bought", /^Asking until it is known…$/u);
    await one.row("Seeds", ".text").focus();
    await one.page.keyboard.press("Home");
    await one.page.keyboard.type("Good ");
    await one.add("Meanwhile");
    await one.shows("Beans", "Good Seeds", "Meanwhile");
    await peers.start(1);

    await two.says("#connection", /^Connected$/u);
    const inOrder = (items: readonly string[]): readonly string[] => items.toSorted();
    const expected = ["Good Seeds, twelve bags", "Meanwhile", "Written offline", "[Beans]"];
    await expect
      .poll(async () => inOrder(await one.items()), { timeout: seenMs })
      .toEqual(expected);
    await two.shows(...(await one.items()));
    await two.says("#likes-unsent", /^$/u);
    for (const seat of [one, two]) await seat.says("#likes", /^3$/u);
    await two.says("#bought", /^Bought. You have 1.$/u);
    for (const seat of [one, two]) await seat.says("#stock", /^4$/u);
    // And it hears again of what changes.
    await one.page.locator("#like").click();
    await two.says("#likes", /^4$/u);
    expect(one.complaints).toEqual([]);
    // It was not to be reached, did not serve yet, or took no writes until it had heard what it missed.
    const isOfThat = /net::ERR_|status of (?:426|503)|EventSource's response/u;
    const others = two.complaints.filter((text) => !isOfThat.test(text));
    expect(others).toEqual([]);
  }, 90_000);

  test("takes text for text, and is held to its policy", async () => {
    await using peers = await Peers.start(folder);
    const [one, two] = await seats(peers);
    const evil = `"><img src=x onerror=alert(1)><script>alert(2)</script>`;
    await one.add(evil);
    await one.page.locator("#name").fill("<img src=x>");
    await two.shows(evil);
    await two.says("#people", /<img src=x>$/u);
    expect(await two.page.locator("img").count()).toBe(0);
    expect([...one.complaints, ...two.complaints]).toEqual([]);
    const ran = await two.page.evaluate(`(async () => {
      const script = document.createElement("script");
      try { script.textContent = "window.ran = true"; document.body.append(script); } catch {}
      await fetch("http://127.0.0.1:9/").catch(() => undefined);
      return window.ran === true;
    })()`);
    expect(ran).toBe(false);
    expect(two.complaints.join("\n")).toMatch(/connect-src 'self'/u);
  });

  test.each([
    { width: 320, colorScheme: "dark" },
    { width: 1280, colorScheme: "light" },
  ] as const)("fits $width pixels, and is walked through by keys", async (screen) => {
    await using peers = await Peers.start(folder);
    const { width, colorScheme } = screen;
    const options = { viewport: { width, height: 800 }, colorScheme };
    const seat = await Seat.take(browser, peers.urls[0], options);
    await seat.add("A long one, ".repeat(20));
    await seat.page.locator("#name").fill("W".repeat(32));
    const isTooWide = "document.documentElement.scrollWidth > window.innerWidth";
    expect(await seat.page.evaluate(isTooWide)).toBe(false);
    const nameless = await seat.page.evaluate(`[...document.querySelectorAll("input, button, a")]
      .filter((each) => !each.ariaLabel && !each.labels?.length && !each.textContent.trim()).length`);
    expect(nameless).toBe(0);
    await seat.page.locator("#new-text").focus();
    const walked: unknown[] = [];
    for (let i = 0; i < 8; i++) {
      await seat.page.keyboard.press("Tab");
      walked.push(
        await seat.page.evaluate(`(() => {
          const at = document.activeElement;
          return getComputedStyle(at).outlineStyle === "none" ? "unseen" : at.id || at.className || at.textContent;
        })()`),
      );
    }
    const row = ["tick", "text", "up", "down", "remove"];
    expect(walked).toEqual(["Add", ...row, "like", "buy"]);
    expect(seat.complaints).toEqual([]);
  });
});
