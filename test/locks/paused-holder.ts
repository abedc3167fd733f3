/** A holder in a process of its own, which a test may stop where it stands. It runs what is built. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { assertBuilt } from "../cli/command.ts";
import { processState } from "../../src/cli/servers/process-tree.ts";
import { until } from "../../src/cli/servers/until.ts";

/** What the process holds, and with which backend. */
export interface HolderOptions {
  /** The end of `trellis-state/locks/`. */
  readonly backend: string;
  readonly maker: string;
  /** For the maker. */
  readonly options: object;
  readonly resource: string;
  readonly ttlMs: number;
  /** What else the replica is opened with that these locks are for, if they are. */
  readonly replica?: object;
}

/** What it saw on the first line after it went on, and what came of its commit. */
export interface Awakening {
  readonly isLost: boolean;
  /** The code of the error, or `committed`. */
  readonly outcome: string;
}

const script = fileURLToPath(new URL("holder.mjs", import.meta.url));
const answerMsMax = 20_000;

/** One process. */
export class PausedHolder implements AsyncDisposable {
  readonly token: bigint;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, token: bigint) {
    this.#child = child;
    this.token = token;
  }

  /** Resolves when it holds, and has begun to wait. */
  static async start(options: HolderOptions): Promise<PausedHolder> {
    assertBuilt();
    const child = fork(script, [JSON.stringify(options)]);
    return new PausedHolder(child, BigInt(await said(child, "held")));
  }

  async pause(): Promise<void> {
    const { pid = 0 } = this.#child;
    this.#child.kill("SIGSTOP");
    await until("the holder stands", answerMsMax, () => processState(pid) === "T");
  }

  /** Goes on, and commits at once. */
  async resume(): Promise<Awakening> {
    this.#child.send("commit");
    const awakening = said(this.#child, "awoke");
    this.#child.kill("SIGCONT");
    return JSON.parse(await awakening) as Awakening;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }
}

/** The text of its next message, which must begin so. */
async function said(child: ChildProcess, word: string): Promise<string> {
  const signal = AbortSignal.timeout(answerMsMax);
  const message = once(child, "message", { signal });
  const exit = once(child, "exit", { signal }).then(([code]) => {
    throw new Error(`the holder ended with ${String(code)}`);
  });
  const [text] = (await Promise.race([message, exit])) as [string];
  if (!text.startsWith(`${word} `)) throw new Error(`the holder said ${text}`);
  return text.slice(word.length + 1);
}
