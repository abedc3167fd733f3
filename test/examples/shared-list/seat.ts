/** Somebody before the page of examples/shared-list. */
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { expect } from "vitest";
import { until } from "../../../src/cli/servers/until.ts";
import { seenMs } from "./programs.ts";

const matches = async (read: () => Promise<string>, what: RegExp): Promise<void> => {
  await expect.poll(read, { timeout: seenMs }).toMatch(what);
};
const equals = async (read: () => Promise<unknown>, what: unknown): Promise<void> => {
  await expect.poll(read, { timeout: seenMs }).toEqual(what);
};

/** The page, as somebody has it before them. */
export class Seat {
  readonly page: Page;
  /** What is on the console, and errors. */
  readonly complaints: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on("console", (message) => {
      this.complaints.push(`${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", (error) => this.complaints.push(`error: ${error.message}`));
    page.on("dialog", (dialog) => {
      this.complaints.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  }

  static async take(
    browser: Browser,
    url = "",
    options: BrowserContextOptions = {},
  ): Promise<Seat> {
    const seat = new Seat(await browser.newPage(options));
    await seat.page.goto(url);
    await seat.says("#connection", /^Connected$/u);
    return seat;
  }

  async text(selector: string): Promise<string> {
    return (await this.page.locator(selector).textContent()) ?? "";
  }

  async says(selector: string, what: RegExp): Promise<void> {
    await matches(() => this.text(selector), what);
  }

  async add(text: string): Promise<void> {
    await this.page.locator("#new-text").fill(text);
    await this.page.keyboard.press("Enter");
  }

  /** Part of the row of an item. */
  row(text: string, part: ".tick" | ".text" | ".up" | ".down" | ".remove"): Locator {
    return this.page.locator(`#items li:has([aria-label="Done: ${text}"]) ${part}`);
  }

  /** The list as it is shown: what is done in brackets. */
  async items(): Promise<readonly string[]> {
    return (await this.page.evaluate(`[...document.querySelectorAll("#items li")].map((row) => {
      const { value } = row.querySelector(".text");
      return row.querySelector(".tick").checked ? "[" + value + "]" : value;
    })`)) as readonly string[];
  }

  async shows(...items: readonly string[]): Promise<void> {
    await equals(() => this.items(), items);
  }

  /** Buys until there is nothing to buy; resolves with how many it got. */
  async buyAll(): Promise<number> {
    const buy = this.page.locator("#buy");
    await until("it is sold out", seenMs, async () => {
      const text = (await buy.textContent()) ?? "";
      // Not `click`, which waits for a button that was just now sold out.
      if (text === "Buy one") await buy.dispatchEvent("click");
      return text === "Sold out";
    });
    return Number(/You have (\d+)/u.exec(await this.text("#bought"))?.[1] ?? 0);
  }
}
