/** The programs of examples/shared-list, as processes. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "../../../src/cli/servers/until.ts";
import { openReplica } from "../../../src/index.ts";

const example = fileURLToPath(new URL("../../../examples/shared-list", import.meta.url));

/** How long what was done may take to be seen, in ms: a page that was cut off waits before it comes back. */
export const seenMs = 20_000;

/** How long a program may take to end, in ms. */
const endMsMax = 10_000;

/** A program of the example, and the lines that it prints. */
export class Program {
  readonly lines: string[] = [];
  readonly ended: Promise<number | NodeJS.Signals | null>;
  readonly #child: ChildProcess;

  constructor(file: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    this.#child = spawn(process.execPath, [join(example, file), ...args], {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.lines.push(...text.split("\n").filter((line) => line !== ""));
    });
    this.ended = new Promise((told) => {
      this.#child.once("close", (code, signal) => told(code ?? signal));
    });
  }

  /** Ends it with that, or by force if it does not, and resolves with what it came to. */
  async end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> {
    this.#child.kill(signal);
    const late = setTimeout(() => this.#child.kill("SIGKILL"), endMsMax);
    const outcome = await this.ended;
    clearTimeout(late);
    return outcome;
  }

  /** Resolves once so many lines match. */
  async says(what: RegExp, times = 1): Promise<readonly string[]> {
    const found = (): readonly string[] => this.lines.filter((line) => what.test(line));
    await until(`${String(what)} is printed`, seenMs, () => found().length >= times);
    return found();
  }
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const replicas = await Promise.all(
    Array.from({ length: count }, () => openReplica({ schema: {}, listen: { port: 0 } })),
  );
  const ports = replicas.map(({ address }) => address?.port ?? 0);
  await Promise.all(replicas.map((replica) => replica.close()));
  return ports;
}

/** The two peers, of which the second may be killed and started again. */
export class Peers implements AsyncDisposable {
  readonly urls: readonly string[];
  readonly #args: readonly (readonly string[])[];
  readonly #running = new Map<number, Program>();

  private constructor(ports: readonly number[], folder: string) {
    const directory = mkdtempSync(join(folder, "peers-"));
    this.urls = ports.map((port) => `http://127.0.0.1:${port}/`);
    this.#args = ports.map((port, index) => [
      ...["--name", `peer-${index + 1}`, "--storage", join(directory, String(index))],
      ...["--port", String(port), "--other", String(ports[1 - index])],
      ...(index === 0 ? ["--host-locks"] : []),
    ]);
  }

  /** Both, with their data in new folders of `folder`. */
  static async start(folder: string): Promise<Peers> {
    const peers = new Peers(await freePorts(2), folder);
    await Promise.all([peers.start(0), peers.start(1)]);
    // Before they have met, likes are answered 503, and sent again.
    for (const url of peers.urls) {
      const isReady = async (): Promise<boolean> => (await fetch(`${url}readyz`)).ok;
      await until(`${url} is ready`, seenMs, isReady);
    }
    return peers;
  }

  async start(index: number): Promise<void> {
    const program = new Program("peer.mjs", this.#args[index] ?? []);
    this.#running.set(index, program);
    await program.says(/^http:/u);
  }

  async kill(index: number): Promise<void> {
    await this.#running.get(index)?.end("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running.values()].map((program) => program.end("SIGTERM")));
  }
}
