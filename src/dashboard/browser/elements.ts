/** Elements of the page. Texts become text nodes: nothing that a name says is ever read as HTML. */
import type { Page, PageElement } from "../../page/browser.ts";

declare const document: Page;

type Child = PageElement | string;

/** An element with attributes and children. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string>> = {},
  ...children: readonly Child[]
): PageElement {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/** The same in SVG. */
export function drawing(
  name: string,
  attributes: Readonly<Record<string, string | number>> = {},
  ...children: readonly Child[]
): PageElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) {
    made.setAttribute(attribute, String(value));
  }
  made.append(...children);
  return made;
}

/** What the page has under that id. */
export function part(id: string): PageElement {
  const found = document.querySelector(`#${id}`);
  if (found === null) throw new Error(`the page has no ${id}`);
  return found;
}

/** Sets a text if it is another one: what does not change can stay selected, and is not read out again. */
export function say(target: PageElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** A cell of a table. */
export type Cell =
  | string
  | { readonly text: string; readonly tone: "good" | "warn" | "bad" | "muted" };

const marks = { good: "● ", warn: "▲ ", bad: "■ ", muted: "" } as const;

/** Makes the rows of a table what they should be, and touches only cells that changed. */
export function fill(table: PageElement, rows: readonly (readonly Cell[])[], none: string): void {
  const body = table.querySelector("tbody");
  if (body === null) throw new Error("a table has no body");
  const columns = [...table.querySelectorAll("thead th")];
  const shown = rows.length === 0 ? [[none]] : rows;
  const lines = [...body.querySelectorAll("tr")];
  if (lines.length !== shown.length || body.dataset["none"] !== String(rows.length === 0)) {
    body.setAttribute("data-none", String(rows.length === 0));
    body.replaceChildren(
      ...shown.map((row) =>
        element("tr", {}, ...row.map((_, at) => cellElement(at, columns, rows.length === 0))),
      ),
    );
  }
  for (const [at, line] of [...body.querySelectorAll("tr")].entries()) {
    for (const [column, target] of [...line.querySelectorAll("th, td")].entries()) {
      put(target, shown[at]?.[column] ?? "");
    }
  }
}

function cellElement(at: number, columns: readonly PageElement[], isNone: boolean): PageElement {
  if (isNone) return element("td", { colspan: String(columns.length), class: "none" });
  const isText = columns[at]?.getAttribute("class")?.includes("text") === true;
  const kind = isText ? { class: "text" } : undefined;
  return at === 0 ? element("th", { scope: "row", class: "text" }) : element("td", kind);
}

function put(target: PageElement, cell: Cell): void {
  const { text, tone } = typeof cell === "string" ? { text: cell, tone: "" as const } : cell;
  say(target, tone === "" ? text : marks[tone] + text);
  if ((target.getAttribute("data-tone") ?? "") !== tone) target.setAttribute("data-tone", tone);
}
