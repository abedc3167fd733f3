/**
 * A real server that a test starts for itself, and may kill, pause and bring back.
 *
 * It listens on a free port of 127.0.0.1, keeps its data in a temporary directory, and dies with the
 * process that started it, whatever ends that.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chown, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { find, type Identity, type ServerKind } from "./installed.ts";
import type { Reservation } from "./port.ts";
import { processState, processTree } from "./process-tree.ts";
import { until } from "./until.ts";
import { privateDirectory, type Watch, watchOfThisProcess } from "./watch.ts";

/** From a start until it must answer, also on a loaded machine. */
const readyMsMax = 60_000;
/** For one question whether it is ready. */
const probeMsMax = 1_000;
/** From the request to stop until it must be gone. */
const stopMsMax = 20_000;
const logCharactersShown = 2_000;

/** What a kind of server has to say for itself. */
export interface Launch {
  readonly kind: ServerKind;
  readonly port: number;
  /** How clients name it. */
  readonly url: string;
  /** Made by `makeDirectory`. */
  readonly directory: string;
  /** The program and what it is given. */
  readonly command: readonly [program: string, ...args: string[]];
  /** Other than ours. */
  readonly identity?: Identity | undefined;
  /** Asks it for an orderly end. */
  readonly stopSignal: NodeJS.Signals;
  /** Given back when the server is stopped for good. */
  readonly reservations: readonly Reservation[];
  /** True when it serves. May throw or hang while it does not. */
  isReady(signal: AbortSignal): Promise<boolean>;
}

/** A directory for one server, owned by whom it runs as. */
export async function makeDirectory(kind: ServerKind, identity?: Identity): Promise<string> {
  const directory = await privateDirectory(kind);
  if (identity !== undefined) await chown(directory, identity.uid, identity.gid);
  return directory;
}

/** Runs to its end what a server needs done before its first start. It dies with us too. */
export async function prepare(
  { directory, identity }: Pick<Launch, "directory" | "identity">,
  ...[program, ...args]: Launch["command"]
): Promise<void> {
  const watch = await watchOfThisProcess();
  const options = { cwd: directory, env: serverEnvironment(directory), ...identity };
  const running = promisify(execFile)(find(program), args, options);
  const { pid } = running.child;
  if (pid !== undefined) watch.add(pid);
  try {
    await running;
  } finally {
    if (pid !== undefined) watch.remove(pid);
  }
}

/** One running server. */
export class Server implements AsyncDisposable {
  readonly kind: ServerKind;
  readonly port: number;
  /** Host and port. */
  readonly address: string;
  /** As clients take it: `redis://`, `http://` for etcd, `postgres://`, `mysql://`; the address for ZooKeeper. */
  readonly url: string;
  readonly #launch: Launch;
  readonly #watch: Watch;
  #process: ChildProcess | undefined;

  private constructor(launch: Launch, watch: Watch) {
    this.#launch = launch;
    this.#watch = watch;
    this.kind = launch.kind;
    this.port = launch.port;
    this.address = `127.0.0.1:${launch.port}`;
    this.url = launch.url;
  }

  /** Starts it. Ready when it resolves; nothing is left of it when it rejects. */
  static async start(launch: Launch): Promise<Server> {
    const server = new Server(launch, await watchOfThisProcess());
    try {
      await server.#run();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** Of the main process; undefined when it does not run. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** The main process and all below it; empty when it does not run. */
  pids(): readonly number[] {
    return this.pid === undefined ? [] : processTree(this.pid);
  }

  /** Ends all its processes at once, paused or not. Resolves when they are gone; data and port are kept. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const pids = this.pids();
    if (signal === "SIGKILL") for (const pid of pids) send(pid, signal);
    else if (this.pid !== undefined) send(this.pid, signal);
    await until(
      `${this.kind} is gone after ${signal}`,
      stopMsMax,
      () => this.#process === undefined && pids.every((pid) => processState(pid) === undefined),
    );
  }

  /** Stops all its processes where they stand. Connections stay, new ones are accepted by the kernel, nothing is answered. */
  async pause(): Promise<void> {
    // The main process first: it must not start others meanwhile. PostgreSQL serves from its children.
    await until(`${this.kind} stands`, stopMsMax, () => {
      const going = this.pids().filter((pid) => processState(pid) !== "T");
      for (const pid of going) send(pid, "SIGSTOP");
      return going.length === 0;
    });
  }

  /** Lets it go on. */
  resume(): void {
    for (const pid of this.pids().toReversed()) send(pid, "SIGCONT");
  }

  /** Starts it again on its data and its port, after an orderly end if it still runs. Ready when it resolves. */
  async restart(): Promise<void> {
    this.resume();
    await this.kill(this.#launch.stopSignal);
    await this.#run();
  }

  /** Ends it for good, with its data. Doing it twice is harmless. */
  async stop(): Promise<void> {
    await this.kill();
    await rm(this.#launch.directory, { recursive: true, force: true, maxRetries: 3 });
    await Promise.all(this.#launch.reservations.map(async (each) => await each.release()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #run(): Promise<void> {
    const { kind } = this.#launch;
    await this.#spawn();
    try {
      await until(`${kind} is ready`, readyMsMax, async () => {
        if (this.#process === undefined) throw new Error(`${kind} ended while it started`);
        return await answers(this.#launch);
      });
    } catch (error) {
      await this.kill();
      const log = await readFile(this.#log, "utf8").catch(() => "");
      throw new Error(`${kind} did not start; its log ends: ${log.slice(-logCharactersShown)}`, {
        cause: error,
      });
    }
  }

  get #log(): string {
    return join(this.#launch.directory, "log");
  }

  async #spawn(): Promise<void> {
    const { command, directory, identity } = this.#launch;
    const [program, ...args] = command;
    const log = await open(this.#log, "a");
    try {
      const child = spawn(find(program), args, {
        cwd: directory,
        env: serverEnvironment(directory),
        stdio: ["ignore", log.fd, log.fd],
        ...identity,
      });
      this.#follow(child);
    } finally {
      await log.close();
    }
  }

  #follow(child: ChildProcess): void {
    const { pid } = child;
    if (pid !== undefined) this.#watch.add(pid);
    this.#process = child;
    child.once("error", () => (this.#process = undefined));
    child.once("exit", () => {
      this.#process = undefined;
      if (pid !== undefined) this.#watch.remove(pid);
    });
    child.unref();
  }
}

/** Several servers that serve as one, or side by side. */
export class Cluster implements AsyncDisposable {
  readonly nodes: readonly Server[];
  readonly urls: readonly string[];
  readonly addresses: readonly string[];

  constructor(nodes: readonly Server[]) {
    this.nodes = nodes;
    this.urls = nodes.map(({ url }) => url);
    this.addresses = nodes.map(({ address }) => address);
  }

  /** Starts all at once: members of a quorum are ready together or not at all. */
  static async start(launches: readonly Launch[]): Promise<Cluster> {
    const starts = await Promise.allSettled(launches.map(async (each) => await Server.start(each)));
    const nodes = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
    const failed = starts.find((start) => start.status === "rejected");
    const cluster = new Cluster(nodes);
    if (failed === undefined) return cluster;
    await cluster.stop();
    throw failed.reason;
  }

  /** The node of that index. */
  node(index: number): Server {
    const node = this.nodes[index];
    if (node === undefined) throw new RangeError(`there are ${this.nodes.length} nodes`);
    return node;
  }

  /** Ends all for good, with their data. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map(async (node) => await node.stop()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Nothing of ours that a server might read as a setting. */
function serverEnvironment(directory: string): Record<string, string> {
  return { PATH: process.env["PATH"] ?? "", HOME: directory, TMPDIR: directory, LC_ALL: "C" };
}

async function answers(launch: Launch): Promise<boolean> {
  try {
    return await launch.isReady(AbortSignal.timeout(probeMsMax));
  } catch {
    return false;
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
}
