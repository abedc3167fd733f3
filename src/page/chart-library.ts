/** Chart.js, as a page has it: the text of one script that makes `Chart` a global. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** The minified library, read from the package. */
export function chartLibrary(): string {
  const library = dirname(createRequire(import.meta.url).resolve("chart.js"));
  return readFileSync(join(library, "chart.umd.min.js"), "utf8");
}
