/**
 * The README says what works: its examples are compiled as a user's would be, against the built
 * package, and run; its commands exist.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import { Doc } from "yjs";
import { counter, lwwRegister, openReplica, orSet } from "../../src/index.ts";
import { reservePort } from "../../src/cli/servers/port.ts";
import { assertBuilt, Run } from "../cli/command.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const readme = readFileSync(join(root, "README.md"), "utf8");

/** The code blocks of one language. */
const blocks = (language: string): string[] =>
  [...readme.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gmu)]
    .filter(([, of]) => of === language)
    .map(([, , code]) => code ?? "");

/** The one block that has all of `parts`. */
function blockWith(language: string, ...parts: readonly string[]): string {
  const found = blocks(language).filter((code) => parts.every((part) => code.includes(part)));
  const [block] = found;
  if (block === undefined || found.length > 1) {
    throw new Error(`${found.length} ${language} blocks of the README have ${parts.join(" and ")}`);
  }
  return block;
}

/** Replaces what a test cannot use as it is printed; it must be there. */
function adapted(code: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((text, [printed, used]) => {
    if (!text.includes(printed)) throw new Error(`the README says ${printed} no more`);
    return text.replace(printed, used);
  }, code);
}

let folder = "";

beforeAll(() => {
  assertBuilt();
  // A user's project, with the package installed.
  folder = mkdtempSync(join(tmpdir(), "trellis-readme-"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules", "trellis-state"), "dir");
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Compiles a program as a strict user would; resolves with the path of what came out. */
async function compiled(name: string, code: string, libraries = ""): Promise<string> {
  writeFileSync(join(folder, `${name}.ts`), code);
  const types = ["--types", "node", "--typeRoots", join(root, "node_modules/@types")];
  const options = ["--strict", "--module", "nodenext", "--target", "es2022", "--lib"];
  const tsc = join(root, "node_modules/.bin/tsc");
  const args = [
    ...options,
    `es2023,esnext.disposable${libraries}`,
    ...types,
    join(folder, `${name}.ts`),
  ];
  await promisify(execFile)(tsc, args, { cwd: folder }).catch((error: unknown) => {
    const { stdout = "" } = error as { stdout?: string };
    throw new Error(`the README's example does not compile: ${stdout}`, { cause: error });
  });
  return join(folder, `${name}.js`);
}

/** A program that runs, and the lines that it has printed. */
class Program implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<string>;
  #output = "";
  #errors = "";

  constructor(path: string) {
    this.#child = spawn(process.execPath, [path], {
      cwd: dirname(path),
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.#output += text));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#errors += text));
    this.#ended = new Promise((resolve) => {
      this.#child.once("close", (code, signal) => resolve(`${code ?? signal}: ${this.#errors}`));
    });
  }

  /** Resolves with the first whole line. */
  line(): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const [line, more] = this.#output.split("\n");
        if (more !== undefined) resolve(line ?? "");
      };
      look();
      this.#child.stdout?.on("data", look);
      void this.#ended.then((why) => reject(new Error(`the example ended with ${why}`)));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

test("the story of the README runs as printed, in 30 lines", async () => {
  const code = blockWith("ts", "boundedCounter");
  const lines = code.split("\n").filter((line) => line.trim() !== "");
  expect(lines.length).toBeLessThanOrEqual(30);
  const path = await compiled("story", adapted(code, { "port: 7001": "port: 0" }));
  await using story = new Program(path);
  expect(await story.line()).toBe("sold out: 0 left, coupon used by ada");
}, 30_000);

test("the service of the README runs as printed, and tells what another replica changes", async () => {
  const code = blockWith("ts", "openReplica", "orSet");
  await using other = await openReplica({
    schema: { likes: counter(), tags: orSet(), profile: lwwRegister<{ name: string }>() },
    listen: { port: 0 },
  });
  const { likes, tags, profile } = other.collections;
  const path = await compiled(
    "service",
    adapted(code, {
      "port: 7001": "port: 0",
      "127.0.0.1:7002": `127.0.0.1:${other.address?.port}`,
    }),
  );
  await using service = new Program(path);
  const printed = service.line();
  // It watches once its writes are acknowledged; what is changed before that is not told.
  const changes = other.watch("likes", { key: "post:42" });
  await changes.next();
  expect(likes.value("post:42")).toBe(2);
  expect(tags.values("post:42").toSorted()).toEqual(["crdt", "new"]);
  expect(profile.get("u:7")).toEqual({ name: "Ada" });
  const again = setInterval(() => likes.increment("post:42"), 50);
  try {
    expect(await printed).toMatch(/^post:42 [3-9]\d*$/u);
  } finally {
    clearInterval(again);
  }
});

test("the clock of the README runs as printed", async () => {
  const code = blockWith("ts", "trellis-state/hybrid-logical-clock");
  const beforeMs = Date.now();
  await using program = new Program(await compiled("clock", `${code}\nconsole.log(stamp);\n`));
  const stamp = Number(await program.line());
  expect(Number.isSafeInteger(stamp)).toBe(true);
  expect(Math.floor(stamp / 2 ** 11)).toBeGreaterThanOrEqual(beforeMs);
});

test("the service over HTTP of the README runs as printed", async () => {
  const code = adapted(blockWith("ts", "serveHttp"), { "port: 7001": "port: 0" });
  const more = "console.log(shop.address?.port);\nsetTimeout(() => undefined, 60_000);\n";
  const lasting = `${code}\n${more}await new Promise(() => undefined);\n`;
  await using service = new Program(await compiled("http", lasting));
  const url = `http://127.0.0.1:${await service.line()}`;
  const post = `${url}/v1/collections/likes/post:42/increment`;
  expect(await (await fetch(post, { method: "POST" })).json()).toEqual({ value: 1 });
  expect(await (await fetch(`${url}/metrics`)).text()).toContain(
    'trellis_keys{collection="likes"}',
  );
  expect(await (await fetch(url)).text()).toContain("<title>");
}, 30_000);

test("the rates of the README run as printed", async () => {
  const code = blockWith("ts", "rateWindow");
  const more = 'console.log(logins.value("ip:192.0.2.1"), sessions.get("s:1")?.user);';
  await using program = new Program(await compiled("rates", `${code}\n${more}\n`));
  expect(await program.line()).toBe("1 u:7");
}, 30_000);

test("the documents of the README are edited by a client as printed", async () => {
  const code = adapted(blockWith("ts", "yDoc"), { "port: 7001": "port: 0" });
  const more =
    "console.log(shop.address?.port);\nsetTimeout(() => undefined, 60_000);\n" +
    "await new Promise(() => undefined);\n";
  // The types of Yjs name those of browsers.
  await using service = new Program(await compiled("documents", `${code}\n${more}`, ",dom"));
  const url = `ws://127.0.0.1:${await service.line()}/yjs`;
  const WebSocketPolyfill = WebSocket as unknown as typeof globalThis.WebSocket;
  const provider = new WebsocketProvider(url, "n1", new Doc(), {
    WebSocketPolyfill,
    disableBc: true,
  });
  try {
    await vi.waitUntil(() => provider.synced, { timeout: 20_000 });
    expect(provider.doc.getText("title").toJSON()).toBe("hello");
  } finally {
    provider.destroy();
  }
}, 60_000);

test("no other program is in the README", () => {
  expect(blocks("ts")).toHaveLength(6);
});

test("the peer of the README starts as printed, and curl prints what is printed", async () => {
  const reserved = await reservePort();
  const port = String(reserved.port);
  writeFileSync(join(folder, "peer.yaml"), blockWith("yaml", "peer.yaml").replace("7001", port));
  const line = blockWith("sh", "npx trellis peer").replace(/ +#.*/u, "").trim();
  expect(line).toBe("npx trellis peer --config peer.yaml");
  await using peer = new Run(line.split(" ").slice(2), {}, folder);
  expect(await peer.firstLine()).toBe(`ws://127.0.0.1:${port}`);
  const commands = blockWith("sh", "api=").replaceAll("7001", port);
  const { stdout } = await promisify(execFile)("bash", ["-c", commands], { cwd: folder });
  expect(stdout.replaceAll("\r", "")).toBe(blockWith("text", "etag"));
  await reserved.release();
}, 60_000);

test("every npm script that the README names exists", () => {
  const manifest = readFileSync(join(root, "package.json"), "utf8");
  const { scripts } = JSON.parse(manifest) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const named = [...readme.matchAll(/\bnpm (?:run )?(?!ci\b|run\b)([\w:-]+)/gu)].map(
    ([, name]) => name ?? "",
  );
  expect(named.length).toBeGreaterThan(2);
  expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
});
