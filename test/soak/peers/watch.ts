/** What an operator would see of the peers: their metrics, their memory, and their page. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { type Deployment, operatorToken, type PeerProcess } from "./deployment.ts";
import { HttpClient } from "./http-client.ts";

/** What was seen at a moment. */
export interface Sample {
  readonly atMs: number;
  readonly peer: string;
  readonly residentBytes: number;
  /** By name and labels, as Prometheus writes them; empty when it did not answer. */
  readonly figures: ReadonlyMap<string, number>;
}

const executablePath = "/usr/bin/chromium";
const everyMs = 5_000;

/** Samples every few seconds, and pictures when asked. */
export class OperatorWatch implements AsyncDisposable {
  readonly samples: Sample[] = [];
  readonly complaints: string[] = [];
  readonly #deployment: Deployment;
  readonly #clients: ReadonlyMap<PeerProcess, HttpClient>;
  readonly #startMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  #browser: Browser | undefined;
  #page: Page | undefined;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
    const limits = { timeoutMs: 2_000, connectionsMax: 2 };
    this.#clients = new Map(
      deployment.peers.map((peer) => [
        peer,
        new HttpClient({ port: peer.port, ca: deployment.ca, token: operatorToken, ...limits }),
      ]),
    );
    this.#timer = setInterval(() => void this.#sample(), everyMs);
  }

  /** Opens the page of the first peer, where there is a browser. */
  async look(): Promise<void> {
    if (!existsSync(executablePath)) return;
    this.#browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
    const viewport = { width: 1280, height: 900 };
    const page = await this.#browser.newPage({ viewport, ignoreHTTPSErrors: true });
    page.on("pageerror", (error) => this.complaints.push(error.message));
    await page.goto(`https://127.0.0.1:${this.#deployment.peers[0]?.port ?? 0}/`);
    await page.locator("input[type=password]").fill(operatorToken);
    await page.keyboard.press("Enter");
    this.#page = page;
  }

  /** A picture of the whole page as it is now. */
  async picture(directory: string, name: string): Promise<string | undefined> {
    const path = join(directory, `${name}.png`);
    await this.#page?.screenshot({ path, fullPage: true });
    return this.#page && path;
  }

  /** What that figure of that peer was, from one moment to another: labels are matched by a pattern. */
  seen(peer: string, figure: RegExp, fromMs = 0, toMs = Number.POSITIVE_INFINITY): number[] {
    return this.samples
      .filter((sample) => sample.peer === peer && sample.atMs >= fromMs && sample.atMs <= toMs)
      .flatMap(({ figures }) =>
        [...figures].filter(([name]) => figure.test(name)).map(([, value]) => value),
      );
  }

  /** Now, as samples are stamped. */
  get nowMs(): number {
    return performance.now() - this.#startMs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    for (const client of this.#clients.values()) client.close();
    await this.#browser?.close();
  }

  async #sample(): Promise<void> {
    await Promise.all(
      [...this.#clients].map(async ([peer, client]) => {
        if (peer.pid === undefined) return;
        const answer = await client.ask("/metrics").catch(() => undefined);
        const figures = answer?.status === 200 ? figuresIn(answer.text) : new Map<string, number>();
        const residentBytes = residentOf(peer.pid);
        if (residentBytes === 0) return;
        this.samples.push({ atMs: this.nowMs, peer: peer.name, residentBytes, figures });
      }),
    );
  }
}

function figuresIn(text: string): Map<string, number> {
  const figures = new Map<string, number>();
  for (const line of text.split("\n")) {
    const at = line.lastIndexOf(" ");
    if (line.startsWith("#") || at < 0) continue;
    figures.set(line.slice(0, at), Number(line.slice(at + 1)));
  }
  return figures;
}

function residentOf(pid: number): number {
  try {
    const kibibytes = /VmRSS:\s+(\d+)/u.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(kibibytes ?? 0) * 1_024;
  } catch {
    return 0;
  }
}
