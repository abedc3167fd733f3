/** The command `trellis explain`: what each operation of a schema needs, and why. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { UsageError } from "../errors.ts";
import { explain, type Explanation } from "../escalate/policy.ts";
import { checkSchema, type Schema } from "../store/schema.ts";
import { table } from "./table.ts";

/** Flags of `trellis explain`. */
export interface ExplainCommandOptions {
  readonly export: string;
  readonly json?: true;
}

/** Prints the table of a compiled module's schema. */
export async function explainCommand(file: string, options: ExplainCommandOptions): Promise<void> {
  const schema = await loadSchema(file, options.export);
  const rows = Object.entries(schema).flatMap(([name, type]) => explain(name, type));
  process.stdout.write(options.json ? `${JSON.stringify(rows, null, 2)}\n` : `${shown(rows)}\n`);
}

/** Runs the module, which is the user's own. @throws UsageError */
async function loadSchema(file: string, name: string): Promise<Schema> {
  const exports = await load(file);
  // A module of CommonJS has all its exports in its default one.
  const inner = exports["default"] as Readonly<Record<string, unknown>> | undefined;
  const schema = exports[name] ?? inner?.[name];
  if (schema === undefined) {
    const names = Object.keys(exports).join(", ") || "nothing";
    throw new UsageError(`${file} exports ${names}, but no ${name}: name it with --export`);
  }
  checkSchema(schema as Schema);
  return schema as Schema;
}

async function load(file: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(pathToFileURL(resolve(file)).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${file} cannot be loaded: ${why}`);
  }
}

const shown = (rows: readonly Explanation[]): string =>
  table(
    ["operation", "needs", "why"],
    rows.map(({ collection, operation, route, why }) => [`${collection}.${operation}`, route, why]),
  );
