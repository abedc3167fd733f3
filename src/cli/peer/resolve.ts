/** Settings from all sources: a flag goes before a variable, that before the config file, that before the default. */
import { basename } from "node:path";
import { checkTogether } from "./check-together.ts";
import { type Given, type GivenMap, parseConfig, readConfigFile } from "./config-file.ts";
import type { At, Kind } from "./kinds.ts";
import { nearest, Problems } from "./problems.ts";
import { isPath, type PeerSettings, settingPaths, settings } from "./settings.ts";

/** Where settings come from. */
export interface Sources {
  /** What was given to flags, by the path of the setting; those that may be repeated have several. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly variables: Readonly<Record<string, string | undefined>>;
  /** The config file, if there is one. */
  readonly config: string | undefined;
}

/** What came of them. */
export interface Resolved {
  readonly settings: PeerSettings;
  /** A flag, a variable, a line of the file, or `default`; by path. */
  readonly origins: ReadonlyMap<string, string>;
  /** What is allowed and not wise. */
  readonly warnings: readonly string[];
}

/** What everybody on the machine may read. */
export const othersRead = 0o004;

/** @throws UsageError with everything that is wrong, in all sources */
export async function resolve({ flags, variables, config }: Sources): Promise<Resolved> {
  const problems = new Problems();
  const found = new Found(problems);
  const warnings: string[] = [];
  if (config !== undefined) {
    const { text, mode } = await readConfigFile(config);
    const tree = parseConfig(text, basename(config), problems);
    if (tree) found.inFile(tree);
    if ((mode & othersRead) !== 0 && found.hasSecret) {
      warnings.push(`${config} has secrets in it and everybody on this machine may read it`);
    }
  }
  warnings.push(...found.inVariables(variables));
  found.inFlags(flags);
  const resolved = found.whole();
  checkTogether(resolved, found.origins, problems);
  problems.assertNone();
  return { settings: resolved, origins: found.origins, warnings };
}

/** The name of a setting's variable; undefined if it has none. */
export function variableOf(path: keyof PeerSettings): string | undefined {
  const { variable } = settings[path];
  return variable === false ? undefined : `TRELLIS_${variable}`;
}

/** Names the config file, as `--config` does. */
export const configVariable = "TRELLIS_CONFIG";
/** What Kubernetes puts into the environment for a service that is called trellis. */
const isServiceLink = (name: string, value = ""): boolean =>
  /_SERVICE_(?:HOST|PORT)|_PORT_\d+_(?:TCP|UDP)/u.test(name) || /^(?:tcp|udp):\/\//u.test(value);

/** What was read so far; a later source replaces an earlier one. */
class Found {
  readonly origins = new Map<string, string>();
  /** Whether the file has a secret in it, not only the name of a file that has. */
  hasSecret = false;
  readonly #problems: Problems;
  readonly #values = new Map<string, unknown>();

  constructor(problems: Problems) {
    this.#problems = problems;
  }

  inFile(tree: GivenMap, prefix = ""): void {
    const children = childrenOf(prefix);
    for (const [key, { where, given }] of tree.entries) {
      const path = `${prefix}${key}`;
      if (isPath(path)) {
        this.#read(path, given);
        this.hasSecret ||= isSecretIn(path, given);
      } else if (!children.includes(key)) this.#unknown(prefix, key, where);
      else if (given.kind === "map") this.inFile(given, `${path}.`);
      // Everything below it may be commented out.
      else if (given.kind !== "scalar" || given.value !== null) {
        const below = childrenOf(`${path}.`).join(", ");
        this.#problems.add(given.where, `${path} is not a map of ${below}`);
      }
    }
  }

  /** Returns warnings of names that look like ours and are not. */
  inVariables(variables: Sources["variables"]): string[] {
    const names = new Set([configVariable]);
    for (const path of settingPaths) {
      const name = variableOf(path);
      if (name === undefined) continue;
      names.add(name);
      const value = variables[name];
      if (value !== undefined) {
        this.#read(path, { kind: "scalar", where: name, value, isText: true });
      }
    }
    return Object.keys(variables)
      .filter((name) => name.startsWith("TRELLIS_") && !names.has(name))
      .filter((name) => !isServiceLink(name, variables[name]))
      .map((name) => {
        const near = nearest(name, [...names]);
        return `no setting has the variable ${name}${near === undefined ? "" : `: is it ${near}?`}`;
      });
  }

  inFlags(flags: Sources["flags"]): void {
    for (const [path, values] of flags) {
      if (!isPath(path)) throw new Error(`assertion: a flag for ${path}`);
      const where = settings[path].flag === false ? path : flagName(settings[path].flag);
      const items = values.map((value): Given => ({ kind: "scalar", where, value, isText: true }));
      const [first] = items;
      // Only lists of more than text are given one by one.
      if (path === "join") this.#read(path, { kind: "list", where, items });
      else if (first) this.#read(path, first);
    }
  }

  whole(): PeerSettings {
    const all = settingPaths.map((path) => {
      if (!this.origins.has(path)) this.origins.set(path, "default");
      const value: unknown = this.#values.get(path) ?? settings[path].default;
      return [path, value] as const;
    });
    // Each was read by the kind of its setting, or is its default.
    return Object.fromEntries(all) as unknown as PeerSettings;
  }

  #read(path: keyof PeerSettings, given: Given): void {
    const kind: Kind<unknown> = settings[path].kind;
    const at: At = { path, problems: this.#problems };
    const value = kind.read(given, at);
    this.origins.set(path, given.where);
    if (value !== undefined) this.#values.set(path, value);
  }

  #unknown(prefix: string, key: string, where: string): void {
    const children = childrenOf(prefix);
    const near = nearest(key, children);
    const elsewhere = settingPaths.find((path) => path.endsWith(`.${key}`));
    const meant = near === undefined ? elsewhere : `${prefix}${near}`;
    const hint =
      meant === undefined ? `there are ${children.join(", ")}` : `did you mean ${meant}?`;
    this.#problems.add(where, `there is no ${prefix}${key}: ${hint}`);
  }
}

/** `--listen` of `--listen <port>`. */
export const flagName = (flag: string): string => flag.split(" ", 1)[0] ?? flag;

/** The names right below a prefix. */
function childrenOf(prefix: string): string[] {
  const below = settingPaths.filter((path) => path.startsWith(prefix));
  return [...new Set(below.map((path) => path.slice(prefix.length).split(".", 1)[0] ?? ""))];
}

function isSecretIn(path: keyof PeerSettings, given: Given): boolean {
  if (settings[path].kind.isSecret === true) return true;
  return hasToken(given);
}

function hasToken(given: Given): boolean {
  switch (given.kind) {
    case "scalar":
      return false;
    case "list":
      return given.items.some(hasToken);
    case "map":
      return [...given.entries].some(
        ([key, { given: inner }]) => key === "token" || hasToken(inner),
      );
  }
}
