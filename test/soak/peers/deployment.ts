/**
 * Three peers as a team would deploy them: one config file each, TLS, a token for peers and one for
 * services, durable, the first with the embedded locks. Each dials the others through a proxy, so that
 * one can be cut off.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { reservePorts } from "../../../src/cli/servers/port.ts";
import { Proxy } from "../../../src/cli/servers/proxy.ts";
import { until } from "../../../src/cli/servers/until.ts";
import { watchOfThisProcess } from "../../../src/cli/servers/watch.ts";
import { type Pair, TestAuthority } from "../../door/certificates.ts";

export const peerToken = "secret-of-peers-0123456789";
export const serviceToken = "secret-of-services-0123456789";
export const operatorToken = "secret-of-operators-0123456789";

const readyMsMax = 60_000;

const collections = `collections:
  likes: counter
  paid: counter
  tags: or-set
  profile: lww-register
  accounts: fenced-register
  stock: { type: bounded-counter, min: 0, initial: 50000 }
`;

/** One peer, whether it runs or not. */
export class PeerProcess {
  readonly name: string;
  readonly port: number;
  readonly #config: string;
  readonly #log: string;
  #process: ChildProcess | undefined;

  constructor(name: string, port: number, directory: string, config: string) {
    this.name = name;
    this.port = port;
    this.#config = join(directory, `${name}.yaml`);
    this.#log = join(directory, `${name}.log`);
    writeFileSync(this.#config, config, { mode: 0o600 });
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    // The command as it is built; this file runs from `dist-simulation/peers/test/soak/peers`.
    const main = fileURLToPath(new URL("../../../../../dist/cli/main.js", import.meta.url));
    const child = spawn(process.execPath, [main, "peer", "--config", this.#config], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    const watch = await watchOfThisProcess();
    if (child.pid !== undefined) watch.add(child.pid);
    child.stderr.pipe(createWriteStream(this.#log, { flags: "a" }));
    child.once("exit", () => {
      if (child.pid !== undefined) watch.remove(child.pid);
      if (this.#process === child) this.#process = undefined;
    });
    let listens = false;
    createInterface({ input: child.stdout }).on("line", () => (listens = true));
    await until(`${this.name} listens`, readyMsMax, () => {
      if (this.#process !== child) throw new Error(`${this.name} ended; see ${this.#log}`);
      return listens;
    });
  }

  /** Resolves when it is gone. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#process;
    if (child === undefined) return null;
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    child.kill(signal);
    return await ended;
  }

  /** Stops it as it stands, or lets it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#process?.kill(signal);
  }
}

/** The three, and what lies between them. */
export class Deployment implements AsyncDisposable {
  readonly peers: readonly PeerProcess[];
  readonly ca: string;
  readonly caFile: string;
  /** From each to each other. */
  readonly #proxies: ReadonlyMap<string, Proxy>;
  readonly #release: () => Promise<void>;

  private constructor(parts: {
    readonly peers: readonly PeerProcess[];
    readonly caFile: string;
    readonly proxies: ReadonlyMap<string, Proxy>;
    readonly release: () => Promise<void>;
  }) {
    this.peers = parts.peers;
    this.caFile = parts.caFile;
    this.ca = readFileSync(parts.caFile, "utf8");
    this.#proxies = parts.proxies;
    this.#release = parts.release;
  }

  /** All run when it resolves. */
  static async start(directory: string): Promise<Deployment> {
    mkdirSync(directory, { recursive: true });
    const authority = new TestAuthority();
    const reserved = await reservePorts(3);
    const ports = reserved.map(({ port }) => port);
    const proxies = new Map<string, Proxy>();
    for (const from of ports) {
      for (const to of ports) {
        if (from !== to) proxies.set(`${from}-${to}`, await Proxy.start(`127.0.0.1:${to}`));
      }
    }
    const peers = ports.map((port, index) => {
      const name = `peer-${index + 1}`;
      const urls = ports
        .filter((other) => other !== port)
        .map((other) => `wss://${proxies.get(`${port}-${other}`)?.address ?? ""}`);
      const given = { directory, urls, pair: authority.pair(name), caFile: authority.caFile };
      return new PeerProcess(name, port, directory, configOf(name, port, given));
    });
    const release = async (): Promise<void> => {
      for (const each of reserved) await each.release();
    };
    const deployment = new Deployment({ peers, caFile: authority.caFile, proxies, release });
    for (const peer of peers) await peer.start();
    return deployment;
  }

  /** Whether bytes pass between that peer and the others. */
  connect(peer: PeerProcess, passes: boolean): void {
    for (const [way, proxy] of this.#proxies) {
      if (!way.split("-").includes(String(peer.port))) continue;
      const fate = passes ? "pass" : "lose";
      proxy.requests.fate = fate;
      proxy.replies.fate = fate;
      // What was lost is silent for ever: only new connections work again.
      if (passes) proxy.cut("reset");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.peers) {
      peer.signal("SIGCONT");
      await peer.end("SIGKILL");
    }
    for (const proxy of this.#proxies.values()) await proxy.close();
    await this.#release();
  }
}

interface Given {
  readonly directory: string;
  readonly urls: readonly string[];
  readonly pair: Pair;
  readonly caFile: string;
}

function configOf(name: string, port: number, { directory, urls, pair, caFile }: Given): string {
  return `name: ${name}
listen:
  port: ${port}
  tls: { certFile: ${pair.certFile}, keyFile: ${pair.keyFile} }
dial: { tls: { caFile: ${caFile} } }
join:
${urls.map((url) => `  - { url: "${url}", token: ${peerToken} }\n`).join("")}tokens:
  - { subject: peers, token: ${peerToken}, rights: [replicate] }
  - { subject: services, token: ${serviceToken}, rights: ["read:*", "write:*"] }
  - { subject: operators, token: ${operatorToken}, rights: [observe] }
storage: { directory: ${join(directory, name)} }
${name === "peer-1" ? "locks: { host: true }\n" : ""}${collections}log: { level: warn }
`;
}
