/** Tables on a terminal. */
import Table from "cli-table3";

const plain = { chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" } };

/** A table as text; numbers have their thousands apart. */
export function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const made = new Table({ head: [...head], style: { head: [], border: [] }, ...plain });
  made.push(...rows.map((row) => row.map((cell) => shown(cell))));
  return made.toString();
}

/** A value as people read it. */
export const shown = (value: unknown): string =>
  typeof value === "number" ? value.toLocaleString("en") : String(value);

/** Text of somebody else's, which may hold anything, in quotes and on one line. */
export function quoted(text: string, lengthMax: number): string {
  const short = text.length > lengthMax ? `${text.slice(0, lengthMax)}…` : text;
  return JSON.stringify(short).replaceAll(/\p{C}/gu, "\uFFFD");
}
