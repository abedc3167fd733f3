/** The page of a run, in a real browser: it draws, it fits, it asks nobody for anything, and it believes no string. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type * as built from "../../src/cli/bench/report/page.ts";
import type { Results } from "../../src/cli/bench/results.ts";
import { sample } from "./results-sample.ts";

const executablePath = "/usr/bin/chromium";
const isSkipped =
  !existsSync(executablePath) && process.env["CI"] !== "true" && !process.env["TRELLIS_CI"];

// The page's script is read from what is built.
const path = new URL("../../dist/cli/bench/report/page.js", import.meta.url);
const { reportPage } = existsSync(path)
  ? ((await import(path.href)) as typeof built)
  : { reportPage: (): never => expect.fail("dist/ is missing: run npm test, or npm run build") };

const widths = [1280, 390] as const;

let browser: Browser;
let folder: string;

/** What came of a page besides what it shows. */
interface Opened {
  readonly page: Page;
  readonly url: string;
  /** Messages on the console, errors, dialogs. */
  readonly complaints: string[];
  readonly requests: string[];
}

async function open(results: Results, width = 1280): Promise<Opened> {
  const file = join(folder, "report.html");
  writeFileSync(file, reportPage(results));
  const page = await browser.newPage({ viewport: { width, height: 900 } });
  const opened: Opened = { page, url: pathToFileURL(file).href, complaints: [], requests: [] };
  page.on("console", (message) => opened.complaints.push(message.text()));
  page.on("pageerror", (error) => opened.complaints.push(error.message));
  page.on("dialog", (dialog) => {
    opened.complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => opened.requests.push(request.url()));
  await page.goto(opened.url);
  return opened;
}

/** How many canvases are shown, and which of them have nothing on them. */
const canvases = async (page: Page): Promise<{ seen: number; blank: string[] }> =>
  await page.evaluate(`(() => {
    const seen = [...document.querySelectorAll("canvas")].filter((each) => each.offsetParent);
    const isBlank = (canvas) =>
      canvas.width === 0 || !canvas.getContext("2d")
        .getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte !== 0);
    return { seen: seen.length, blank: seen.filter(isBlank).map((each) => each.ariaLabel) };
  })()`);

/** True where the page can be scrolled sideways. */
const isTooWide = async (page: Page): Promise<boolean> =>
  await page.evaluate("document.documentElement.scrollWidth > window.innerWidth");

/** The titles of the charts that a section shows. */
const titles = async (page: Page, section: string): Promise<string[]> =>
  await page.locator(`${section} figure:visible h3`).allInnerTexts();

describe.skipIf(isSkipped)("the report", () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "trellis-report-"));
    browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  });

  afterAll(async () => {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(widths)("draws every chart and fits a screen of %i pixels", async (width) => {
    const { page, url, complaints, requests } = await open(sample, width);
    const { seen, blank } = await canvases(page);
    expect(seen).toBeGreaterThan(10);
    expect(blank).toEqual([]);
    expect(await isTooWide(page)).toBe(false);
    expect(complaints).toEqual([]);
    expect(requests).toEqual([url]);
    await page.close();
  });

  test.each(widths)("fits %i pixels with everything unfolded, in every panel", async (width) => {
    const { page } = await open(sample, width);
    await page.evaluate(
      "for (const each of document.querySelectorAll('details')) each.open = true",
    );
    await page.evaluate(
      "for (const each of document.querySelectorAll('.panel')) each.hidden = false",
    );
    expect(await isTooWide(page)).toBe(false);
    await page.close();
  });

  test("names every strategy, what broke, what is missing and what is apart", async () => {
    const { page } = await open(sample);
    const text = String(await page.evaluate("document.body.textContent"));
    for (const { name, skipped = "" } of sample.strategies) {
      expect(text).toContain(name);
      expect(text).toContain(skipped);
    }
    expect(text).toContain("strawman-pn-counter 1,234 times (1,234 oversold)");
    expect(text).toContain("Deadlock found when trying to get lock");
    expect(text).toContain("Redis did not come back within 10 s");
    expect(text).toContain("Of 214 ratios to redis-lua, 213 came out");
    expect(text).toContain("npx trellis bench --profile full --seed 1");
    await page.close();
  });

  test("shows another workload when the arrow keys choose it", async () => {
    const { page, complaints } = await open(sample);
    expect((await titles(page, "#cost"))[0]).toBe("Operations a second: stock");
    await page.locator("#cost input:checked").focus();
    await page.keyboard.press("ArrowRight");
    expect((await titles(page, "#cost"))[0]).toBe("Operations a second: likes");
    expect((await canvases(page)).blank).toEqual([]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test("shows another measure of what was varied when it is clicked", async () => {
    const { page } = await open(sample);
    expect(await titles(page, "#sweeps")).toContain("Callers: likes, operations/s");
    await page.locator("#sweeps").getByRole("radio", { name: "p99 latency" }).click();
    expect(await titles(page, "#sweeps")).toContain("Callers: likes, p99 latency");
    expect((await canvases(page)).blank).toEqual([]);
    await page.close();
  });

  test("draws again in other colours when the scheme changes", async () => {
    const { page, complaints } = await open(sample);
    const picture = async (): Promise<string> =>
      String(await page.evaluate("document.querySelector('canvas').toDataURL()"));
    const light = await picture();
    await page.emulateMedia({ colorScheme: "dark" });
    await expect.poll(picture).not.toBe(light);
    expect((await canvases(page)).blank).toEqual([]);
    expect(complaints).toEqual([]);
    await page.close();
  });

  test("has a table and a name for every chart, and boxes that keys can scroll", async () => {
    const { page } = await open(sample);
    const charts = await page.locator("figure").count();
    expect(await page.locator("figure canvas[role=img][aria-label]").count()).toBe(charts);
    expect(await page.locator("figure:has(details table)").count()).toBe(charts);
    expect(await page.locator(".scroll:not([tabindex='0'])").count()).toBe(0);
    await page.close();
  });

  test("gives back the results that it was made from", async () => {
    const { page } = await open(sample);
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
    expect(download.suggestedFilename()).toBe("results.json");
    const saved: unknown = JSON.parse(readFileSync(await download.path(), "utf8"));
    expect(saved).toEqual(JSON.parse(JSON.stringify(sample)));
    await page.close();
  });

  test("runs nothing that hides in a string", async () => {
    const { page, complaints, requests } = await open(hostile());
    expect(complaints).toEqual([]);
    expect(requests).toHaveLength(1);
    expect((await canvases(page)).blank).toEqual([]);
    expect(await page.locator("img, b b, script").count()).toBe(
      (await page.locator("figure").count()) + 3,
    );
    await page.close();
  });

  test("says why a section is missing", async () => {
    const { agreement: _, ...rest } = sample;
    const cells = sample.cells.filter(
      ({ zipf, callers, nodes, roundTripMs, isDurable }) =>
        JSON.stringify({ zipf, callers, nodes, roundTripMs, isDurable }) ===
        JSON.stringify(sample.base),
    );
    const quick: Results = { ...rest, profile: "quick", cells, faults: [], scaling: [] };
    const { page, complaints } = await open(quick, 390);
    const text = String(await page.evaluate("document.body.innerText"));
    expect(text).toContain("Faults are not part of the quick profile.");
    expect(text).toContain("Questions of scale are not part of the quick profile.");
    expect(text).toContain("were not varied: they are not part of the quick profile.");
    expect(text).toContain("There was no earlier run of this profile");
    expect(complaints).toEqual([]);
    await page.close();
  });
});

/** The sample with an attack in every string that may come from elsewhere. */
function hostile(): Results {
  const evil = `"'</script><script>alert(1)</script><img src=x onerror=alert(2)><!--<b><b>`;
  const named = (name: string): string => (name === "redis-lua" ? `redis-lua${evil}` : name);
  return {
    ...sample,
    profile: evil,
    trellis: evil,
    yardstick: named("redis-lua"),
    machine: { ...sample.machine, cpu: evil, disk: evil, versions: { [evil]: evil } },
    servers: { [evil]: evil },
    strategies: sample.strategies.map((each) => ({
      ...each,
      name: named(each.name),
      title: evil,
      ...(each.skipped === undefined ? {} : { skipped: evil }),
    })),
    cells: sample.cells.map((cell) =>
      cell.error === undefined
        ? { ...cell, strategy: named(cell.strategy) }
        : { ...cell, strategy: named(cell.strategy), error: evil },
    ),
    faults: sample.faults.map((each) => ({
      ...{ ...each, strategy: named(each.strategy) },
      ...(each.error === undefined ? {} : { error: evil }),
    })),
    scaling: sample.scaling.map((each) => ({
      ...each,
      name: `${each.name}${evil}`,
      strategy: `${each.strategy}${evil}`,
      method: evil,
    })),
  };
}
