/** The settings in words: for `--help`, for `--print-config`, and for docs/settings.md. */
import { Option } from "commander";
import { collectionTypes } from "./collections.ts";
import type { Kind } from "./kinds.ts";
import { type Resolved, variableOf } from "./resolve.ts";
import type { Setting } from "./setting.ts";
import { type PeerSettings, settingPaths, settings } from "./settings.ts";

const settingAt = (path: keyof PeerSettings): Setting<unknown> => settings[path];

const headings: Readonly<Record<string, string>> = {
  name: "This peer",
  listen: "Listening",
  join: "Joining",
  dial: "Joining",
  token: "Who may come in",
  tokenFile: "Who may come in",
  tokens: "Who may come in",
  certificates: "Who may come in",
  jwt: "Who may come in",
  storage: "Storage",
  retention: "Storage",
  clockAheadMsMax: "This peer",
  locks: "Locks and collections",
  collections: "Locks and collections",
  documents: "Documents",
  http: "HTTP",
  metrics: "HTTP",
  log: "Running",
  drainMs: "Running",
};

const headingOf = (path: string): string => headings[path.split(".", 1)[0] ?? ""] ?? "This peer";

/** The flags for commander, each with what was given to it as text. */
export function peerFlags(): readonly { readonly path: string; readonly option: Option }[] {
  return settingPaths.flatMap((path) => {
    const { flag, reason } = settingAt(path);
    if (flag === false) return [];
    const isSwitch = !flag.includes("<");
    const standard = defaultOf(path);
    const said = standard === "" || isSwitch ? "" : ` (default: ${standard})`;
    const option = new Option(/[<[]/u.test(flag) ? flag : `${flag} [boolean]`, `${reason}${said}`);
    option.helpGroup(`${headingOf(path)}:`);
    if (isSwitch) option.preset("true");
    if (path === "join") {
      option.argParser((url: string, before?: readonly string[]) => [...(before ?? []), url]);
    }
    return [{ path, option }];
  });
}

function defaultOf(path: keyof PeerSettings): string {
  const { default: standard } = settingAt(path);
  const isPlain = ["number", "string", "boolean"].includes(typeof standard);
  return isPlain ? JSON.stringify(standard).replaceAll('"', "") : "";
}

/** One line a setting: path, value, and where that comes from. Secrets are not in it. */
export function printed({ settings: resolved, origins }: Resolved): string {
  const rows = settingPaths.map((path) => {
    const kind: Kind<unknown> = settings[path].kind;
    const value: unknown = resolved[path];
    const shown = value === undefined ? "-" : JSON.stringify(kind.show(value));
    return [path, shown, origins.get(path) ?? "default"] as const;
  });
  const width = Math.max(...rows.map(([path]) => path.length));
  const lines = rows.map(([path, value, origin]) => `${path.padEnd(width)}  ${value}  # ${origin}`);
  return `${lines.join("\n")}\n`;
}

/** The tables of docs/settings.md, in Markdown. */
export function settingsTables(): string {
  const order = [...new Set(settingPaths.map((path) => headingOf(path)))];
  const sections = order.map((heading) => {
    const rows = settingPaths.filter((path) => headingOf(path) === heading).map(rowOf);
    const head = ["setting", "flag", "variable", "value", "default", "what for"];
    return `## ${heading}\n\n${markdownTable([head, ...rows])}`;
  });
  const types = collectionTypes.map(([name, options]) => [
    ...[`\`${name}\``, options.map((option) => `\`${option}\``).join(", ")],
  ]);
  const declared = markdownTable([["type", "options"], ...types]);
  return `${sections.join("\n")}\n## Types of \`collections\`\n\n${declared}`;
}

function rowOf(path: keyof PeerSettings): readonly string[] {
  const { flag, unit, kind, reason } = settingAt(path);
  const variable = variableOf(path);
  const standard = defaultOf(path);
  return [
    `\`${path}\``,
    flag === false ? "" : `\`${flag}\``,
    variable === undefined ? "" : `\`${variable}\``,
    `${kind.expects}${unit === "ms" || unit === "bytes" ? `, in ${unit}` : ""}${kind.isSecret ? "; secret" : ""}`,
    standard === "" ? "" : `\`${standard}\``,
    reason,
  ];
}

/** As the formatter of the project has it: columns are padded to their widest cell. */
function markdownTable(rows: readonly (readonly string[])[]): string {
  const escaped = rows.map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = (escaped[0] ?? []).map((_, column) =>
    Math.max(3, ...escaped.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |\n`;
  const padded = escaped.map((row) =>
    line(row.map((cell, column) => cell.padEnd(widths[column] ?? 0))),
  );
  const [head = "", ...body] = padded;
  return [head, line(widths.map((width) => "-".repeat(width))), ...body].join("");
}
