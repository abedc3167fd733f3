/**
 * Writes the golden files of the version in package.json: `npm run golden`. Files of a version that
 * exists already are what it said when it was released, so they are replaced only if it is named:
 * `npm run golden -- --overwrite 0.1.0`.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { formatGolden } from "./file.ts";
import { presentGoldens } from "./goldens.ts";

const { values } = parseArgs({ options: { overwrite: { type: "string" } } });
// npm runs scripts in the root of the package.
const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
const folder = join("test/golden", version);

/** Why nothing may be written. */
function refusal(): string | undefined {
  if (values.overwrite !== undefined && values.overwrite !== version) {
    return `this is ${version}: the files of ${values.overwrite} can only be written by its own code`;
  }
  if (values.overwrite === undefined && existsSync(folder)) {
    return (
      `${folder} exists. If ${version} is not released yet, say -- --overwrite ${version}; ` +
      "if it is, its bytes must stay readable: raise the version"
    );
  }
  return undefined;
}

const refused = refusal();
if (refused === undefined) {
  const goldens = await presentGoldens();
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const golden of goldens) writeFileSync(join(folder, golden.name), formatGolden(golden));
  process.stdout.write(`${goldens.length} files in ${folder}\n`);
} else {
  process.stderr.write(`${refused}\n`);
  process.exitCode = 1;
}
