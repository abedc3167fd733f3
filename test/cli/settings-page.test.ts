import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { settingsTables } from "../../src/cli/peer/show.ts";

const page = fileURLToPath(new URL("../../docs/settings.md", import.meta.url));
const between = /<!-- settings -->\n([\s\S]*)<!-- \/settings -->/u;

/** Whatever the formatter makes of the widths of columns. */
const plain = (text: string): string =>
  text.replaceAll(/ +/gu, " ").replaceAll(/-{3,}/gu, "---").trim();

test("docs/settings.md has the table of the settings as it is", () => {
  const tables = settingsTables();
  if (process.env.UPDATE_DOCS === "1") {
    const written = readFileSync(page, "utf8").replace(
      between,
      () => `<!-- settings -->\n\n${tables}\n<!-- /settings -->`,
    );
    writeFileSync(page, written);
  }
  const found = between.exec(readFileSync(page, "utf8"))?.[1] ?? "";
  expect(plain(found)).toBe(plain(tables));
});
