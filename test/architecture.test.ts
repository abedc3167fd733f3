/**
 * The rules of the house that a linter cannot hold, or not whole: which folder imports what, where
 * the ambient world may be touched, and that the lists kept by hand agree with each other.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import * as errors from "../src/errors.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** Every file below `folder`, as paths from the root with forward slashes. */
const filesBelow = (folder: string): string[] =>
  existsSync(join(root, folder))
    ? readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"))
        .filter((path) => !path.includes("node_modules/"))
    : [];

/** What is left of a source when its comments are blanked, and the text of its strings if so asked. */
const strip = (source: string, strings: boolean): string =>
  source.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/gu, (token) => {
    if (token.startsWith("/")) return " ";
    if (!strings) return token;
    return [...token.matchAll(/\$\{([^}]*)\}/gu)].map(([, code]) => code).join(" ; ");
  });

const importsOf = (source: string): string[] =>
  [
    ...strip(source, false).matchAll(
      /\b(?:import|export)\b[^;"()]*?\bfrom\s*"([^"]+)"|\bimport\s*\(?\s*"([^"]+)"/gu,
    ),
  ].map((match) => match[1] ?? match[2] ?? "");

/** A relative import as the path it means, another one as it stands. */
const resolveImport = (file: string, specifier: string): string =>
  specifier.startsWith(".") ? posix.join(posix.dirname(file), specifier) : specifier;

interface Rule {
  /** The first rule that matches a file is its rule. */
  readonly files: RegExp;
  /** Paths from the root, `node:` modules and packages that these files may import. */
  readonly may: RegExp;
}

const ports = "src/(?:errors|environment|telemetry|trace-context)\\.ts";

/** The lock adapters `names`, each a file and a folder of its parts, share their parts and their clients. */
function lockFamily(names: string, clients: string): Rule {
  const family = `src/escalate/locks/(?:${names})(?:\\.ts|/.+)`;
  return {
    files: new RegExp(`^${family}$`, "u"),
    may: new RegExp(
      `^(?:${ports}|src/escalate/locks\\.ts|src/escalate/fence/.+|${family}|${clients}|node:.+)$`,
      "u",
    ),
  };
}

/** What shows figures sees their port, the catalogue and its one library. */
const telemetryAdapter = (name: string, library: string): Rule => ({
  files: new RegExp(`^src/telemetry/${name}\\.ts$`, "u"),
  may: new RegExp(
    `^(?:src/telemetry\\.ts|src/telemetry/(?:catalogue|figures|metric|series)\\.ts|${library})$`,
    "u",
  ),
});

/** What speaks to the clients of one library. */
const documentProtocol = (name: string, libraries: string): Rule => ({
  files: new RegExp(`^src/documents/${name}/`, "u"),
  may: new RegExp(
    `^(?:${ports}|src/access\\.ts|src/crdt/.+|src/store/(?!storage/).+|src/bridge/${name}.+|` +
      `src/documents/(?:[^/]+|${name}/.+)|${libraries})$`,
    "u",
  ),
});

const rules: readonly Rule[] = [
  { files: /^src\/(?:errors|telemetry|trace-context)\.ts$/u, may: /^(?!)/u },
  { files: /^src\/environment\.ts$/u, may: /^node:crypto$/u },
  { files: /^src\/cli\//u, may: /^/u },
  telemetryAdapter("prometheus", "prom-client"),
  telemetryAdapter("opentelemetry", "@opentelemetry/api"),
  // What they share: the catalogue, and what is kept of figures.
  {
    files: /^src\/telemetry\/(?!opentelemetry-tracer)/u,
    may: /^src\/(?:telemetry\.ts|telemetry\/.+)$/u,
  },
  { files: /^src\/crdt\//u, may: /^src\/crdt\//u },
  // A bridge sees the port to documents, and its one library.
  { files: /^src\/bridge\/yjs[^/]*\.ts$/u, may: /^(?:src\/crdt\/.+|src\/bridge\/yjs.+|yjs)$/u },
  {
    files: /^src\/bridge\/automerge[^/]*\.ts$/u,
    may: /^(?:src\/crdt\/.+|src\/bridge\/automerge.+|@automerge\/automerge|node:zlib)$/u,
  },
  documentProtocol("yjs", "yjs"),
  documentProtocol("automerge", "@automerge/automerge|node:crypto"),
  // What all clients of documents have in common.
  {
    files: /^src\/documents\//u,
    may: new RegExp(
      `^(?:${ports}|src/(?:access|door)\\.ts|src/crdt/.+|src/store/(?!storage/).+|src/documents/[^/]+|ws|node:.+)$`,
      "u",
    ),
  },
  // An adapter sees its port, the ambient ports, files of its own family, and its one library.
  {
    files: /^src\/sync\/transport\/websocket[^/]*\.ts$/u,
    may: new RegExp(
      `^(?:${ports}|src/(?:access|door)\\.ts|src/door/.+|src/sync/transport\\.ts|src/sync/transport/websocket[^/]*\\.ts|ws|node:.+)$`,
      "u",
    ),
  },
  {
    files: /^src\/sync\/transport\//u,
    may: new RegExp(`^(?:${ports}|src/(?:access|door)\\.ts|src/sync/transport\\.ts|node:.+)$`, "u"),
  },
  {
    files: /^src\/access\/(?:jwt|json-web-keys)\.ts$/u,
    may: new RegExp(`^(?:${ports}|src/(?:access|door)\\.ts|src/access/.+|jose|node:.+)$`, "u"),
  },
  {
    files: /^src\/access\//u,
    may: new RegExp(`^(?:${ports}|src/(?:access|door)\\.ts|src/access/.+|node:.+)$`, "u"),
  },
  {
    files: /^src\/door\//u,
    may: new RegExp(`^(?:${ports}|src/(?:access|door)\\.ts|src/door/.+|node:.+)$`, "u"),
  },
  {
    files: /^src\/store\/storage\/level[^/]*\.ts$/u,
    may: new RegExp(
      `^(?:${ports}|src/store/storage\\.ts|src/store/storage/level[^/]*\\.ts|classic-level|node:.+)$`,
      "u",
    ),
  },
  {
    files: /^src\/store\/storage\//u,
    may: new RegExp(`^(?:${ports}|src/store/storage\\.ts|node:.+)$`, "u"),
  },
  {
    files: /^src\/telemetry\/opentelemetry-tracer\.ts$/u,
    may: new RegExp(`^(?:${ports}|@opentelemetry/api)$`, "u"),
  },
  lockFamily("redis|redlock", "ioredis"),
  lockFamily("postgres|mysql|sql", "pg|mysql2/promise"),
  lockFamily("etcd", "undici"),
  lockFamily("zookeeper", "node-zookeeper-client"),
  {
    files: /^src\/escalate\/locks\/embedded\.ts$/u,
    may: new RegExp(
      `^(?:${ports}|src/escalate/locks\\.ts|src/escalate/(?:embedded|fence)/.+|node:.+)$`,
      "u",
    ),
  },
  {
    files: /^src\/escalate\/locks\//u,
    may: new RegExp(`^(?:${ports}|src/escalate/locks\\.ts|src/escalate/fence/.+|node:.+)$`, "u"),
  },
  {
    files: /^src\/store\/compare\/key-digest\.ts$/u,
    may: new RegExp(`^(?:${ports}|src/crdt/.+|src/store/(?!storage/).+|node:crypto)$`, "u"),
  },
  {
    files: /^src\/store\//u,
    may: new RegExp(`^(?:${ports}|src/crdt/.+|src/store/(?!storage/).+)$`, "u"),
  },
  {
    files: /^src\/sync\/digest\.ts$/u,
    may: new RegExp(`^(?:${ports}|src/crdt/.+|src/sync/(?!transport/).+|node:crypto)$`, "u"),
  },
  {
    files: /^src\/sync\//u,
    may: new RegExp(
      `^(?:${ports}|src/door\\.ts|src/crdt/.+|src/store/(?!storage/).+|src/sync/(?!transport/).+)$`,
      "u",
    ),
  },
  // Following asynchronous calls is Node's to do; there is nothing ambient in it.
  {
    files: /^src\/escalate\/held-locks\.ts$/u,
    may: new RegExp(`^(?:${ports}|src/escalate/(?!locks/).+|node:async_hooks)$`, "u"),
  },
  {
    files: /^src\/escalate\/witness\//u,
    may: new RegExp(`^(?:${ports}|src/escalate/witness\\.ts|node:.+)$`, "u"),
  },
  {
    files: /^src\/escalate\/escrow\/key-hash\.ts$/u,
    may: /^node:crypto$/u,
  },
  {
    files: /^src\/escalate\//u,
    may: new RegExp(
      `^(?:${ports}|src/crdt/.+|src/store/(?!storage/).+|src/escalate/(?!locks/).+)$`,
      "u",
    ),
  },
  { files: /^src\/page\//u, may: /^(?:src\/page\/.+|node:.+)$/u },
  // What runs in a browser gets nothing but what it is given.
  {
    files: /^src\/dashboard\/browser\//u,
    may: /^src\/(?:page\/browser|insight\/snapshot|dashboard\/browser\/[^/]+)\.ts$/u,
  },
  {
    files: /^src\/dashboard\//u,
    may: /^(?:src\/(?:page|dashboard)\/.+|node:.+)$/u,
  },
  { files: /^src\/insight\//u, may: /^src\/(?!cli\/|dashboard\/|page\/).+$/u },
  // HTTP stands on top of a replica, and nothing but commands on top of it.
  { files: /^src\/http\.ts$/u, may: /^src\/http\/.+$/u },
  {
    files: /^src\/http\//u,
    may: new RegExp(
      `^(?:${ports}|src/(?:access|any-collection|door|last-stop|replica-logger|replica-status|versions)\\.ts|` +
        "src/crdt/.+|src/dashboard/page\\.ts|src/insight/.+|src/store/(?!storage/).+|src/escalate/(?!locks/).+|src/http/.+|node:.+)$",
      "u",
    ),
  },
  // What composes the parts: the files of the top level. Packages stay behind the adapters.
  { files: /^src\/[^/]+\.ts$/u, may: /^(?:src\/(?!cli\/|http\/|http\.ts).+|node:.+)$/u },
];

const sources = filesBelow("src").filter((path) => path.endsWith(".ts"));

describe("imports", () => {
  test.each(sources)("%s imports only what its folder may", (file) => {
    const rule = rules.find(({ files }) => files.test(file));
    const refused = importsOf(read(file))
      .map((specifier) => resolveImport(file, specifier))
      .filter((target) => rule?.may.test(target) !== true);
    expect(rule, `no rule covers ${file}`).toBeDefined();
    expect(refused).toEqual([]);
  });

  test("the reader of imports finds each form and no comment", () => {
    const source = `import a from "x";\nimport type {\n  B,\n} from "./b.ts";\nimport "./c.ts";
export * from "../d.ts"; // import e from "e";\nconst f = await import("f"); const from = "g";`;
    expect(importsOf(source)).toEqual(["x", "./b.ts", "./c.ts", "../d.ts", "f"]);
  });
});

/** Clocks, timers and randomness that do not come from the `Environment`. */
const ambient =
  /\bDate\b|\bperformance\b|\bset(?:Timeout|Interval|Immediate)\b|\bprocess\b|\bMath\.random\b|\bAbortSignal\.timeout\b|\bcrypto\.|(?<!\.)\b(?:randomUUID|randomBytes|randomInt|randomFill\w*|getRandomValues)\b\s*[(,}]/gu;

/** An adapter folder is `x/` beside its port `x.ts`. */
const isAdapter = (path: string): boolean => {
  const folder = posix.dirname(path);
  // The face of an engine, which stands beside its parts as a port does beside its adapters.
  if (folder === "src/escalate/escrow") return false;
  return folder !== "src" && existsSync(join(root, `${folder}.ts`));
};

describe("the ambient world", () => {
  const pure = sources.filter(
    (path) =>
      path !== "src/environment.ts" &&
      !path.startsWith("src/cli/") &&
      // A browser has no environment.
      !path.startsWith("src/dashboard/browser/") &&
      !isAdapter(path),
  );
  test.each(pure)("%s takes clocks, timers and randomness from the environment", (file) => {
    expect(strip(read(file), true).match(ambient) ?? []).toEqual([]);
  });

  test.each(pure.filter((path) => path.startsWith("src/crdt/")))("%s never waits", (file) => {
    expect(strip(read(file), true).match(/\b(?:async|await|Promise)\b/gu) ?? []).toEqual([]);
  });
});

test("the reader of ambient names sees code, also inside templates, and no text", () => {
  const source = 'const a = `one process of ${Date.now()} at ws://x`; // Date\nconst b = "Date";';
  expect(strip(source, true).match(ambient)).toEqual(["Date"]);
});

describe("the shape of the tree", () => {
  test("no file of code is longer than 450 lines", () => {
    const long = ["src", "test", "benchmarks", "scripts"]
      .flatMap(filesBelow)
      .filter((path) => /\.(?:ts|mts|js|mjs)$/u.test(path))
      .map((path) => ({ path, lines: read(path).split("\n").length - 1 }))
      .filter(({ lines }) => lines > 450);
    expect(long).toEqual([]);
  });

  test("no folder is named after nothing", () => {
    const vague = /(?:^|\/)(?:utils?|helpers?|common|types|shared|misc)\//u;
    expect([...sources, ...filesBelow("benchmarks")].filter((path) => vague.test(path))).toEqual(
      [],
    );
  });
});

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

describe("lists kept by hand", () => {
  const manifest = JSON.parse(read("package.json")) as Manifest;
  const codes = Object.entries(errors)
    .filter(([name]) => name !== "TrellisError")
    .map(
      ([, Class]) =>
        new (Class as new (message: string, fields: object) => errors.TrellisError)("", {}).code,
    );

  test("docs/errors.md has one section for every code, and none for anything else", () => {
    const sections = [...read("docs/errors.md").matchAll(/^### (\S+)$/gmu)].map(([, code]) =>
      String(code),
    );
    expect(sections.toSorted()).toEqual(codes.toSorted());
  });

  test("docs/dependencies.md gives a reason for every dependency", () => {
    const page = read("docs/dependencies.md");
    const names = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(names.filter((name) => !page.includes(`\n- \`${name}\`: `))).toEqual([]);
  });

  test("every entry of the exports map and every command has its source", () => {
    const built = [
      ...Object.values(manifest.exports).map((entry) =>
        typeof entry === "string" ? entry : entry.default,
      ),
      ...Object.values(manifest.bin),
    ].filter((path) => path.includes("dist/"));
    const sourceOf = (path: string): string =>
      path.replace(/^(?:\.\/)?dist\//u, "src/").replace(/\.js$/u, ".ts");
    expect(built.map(sourceOf).filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});
