/** One replica in a process of its own, started, asked and ended from here. */
import { type ChildProcess, fork } from "node:child_process";
import { ReplayError } from "./failure.ts";
import {
  type Answered,
  type Asked,
  type Command,
  isAnswered,
  isSoldSoFar,
  type Reply,
} from "./messages.ts";

/** How long a process may take to end by itself before it is killed, in ms. */
const endMs = 2_000;

/** Beyond what the other process was given to answer in: it says best itself what ran out. */
const graceMs = 1_000;

interface Pending {
  settle(reply: Reply): void;
  fail(error: Error): void;
}

/** What every call of a run is bounded by. */
export interface Bounds {
  /** The longest that one answer may take, in ms. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** A replica's process. It ends when this one does, whatever ends this one. */
export class ReplicaProcess implements AsyncDisposable {
  readonly name: string;
  readonly #bounds: Bounds;
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #ended: ReplayError | undefined;
  #asked = 0;
  #isKilled = false;
  /** Told how many units were sold so far in the sale that is under way. */
  onSold: (sold: number) => void = () => undefined;

  constructor(name: string, bounds: Bounds) {
    this.name = name;
    this.#bounds = bounds;
    this.#child = fork(new URL("worker.js", import.meta.url), [], {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#child.on("message", (message: unknown) => {
      if (isAnswered(message)) this.#answered(message);
      else if (isSoldSoFar(message)) this.onSold(message.sold);
    });
    this.#exited = new Promise((resolve) => {
      this.#child.once("exit", (code, by) => {
        this.#end(`ended with ${by ?? `status ${code ?? "unknown"}`}`);
        resolve();
      });
      this.#child.once("error", (error) => {
        this.#end(`could not be run: ${error.message}`);
        if (this.#child.pid === undefined) resolve();
      });
    });
  }

  /** The process' id, while there is one. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Sends a command and resolves with its answer, of the kind that is named.
   * @throws ReplayError when the process ended, answered that it failed, or not in time; the
   * signal's reason.
   */
  async ask<K extends Reply["kind"]>(
    command: Command,
    kind: K,
  ): Promise<Extract<Reply, { readonly kind: K }>> {
    const reply = await this.#send(command);
    if (isKind(reply, kind)) return reply;
    const what = reply.kind === "failed" ? reply.reason : `answered with ${reply.kind}`;
    throw new ReplayError(`${this.name}, asked to ${command.kind}: ${what}`);
  }

  /** Whether it was ended on purpose, in the middle of whatever it was at. */
  get isKilled(): boolean {
    return this.#isKilled;
  }

  /** Kills the process, whatever it is at. Resolves when it is gone. @throws ReplayError if it stays. */
  async kill(): Promise<void> {
    this.#isKilled = true;
    this.#child.kill("SIGKILL");
    await withinMs(this.#exited, endMs);
    if (this.#ended === undefined) throw new ReplayError(`${this.name} cannot be killed`);
  }

  /** Ends the process: kindly if it answers, by its id if not. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended === undefined) {
      if (this.#child.connected) this.#child.disconnect();
      await withinMs(this.#exited, endMs);
    }
    if (this.#ended === undefined) {
      this.#child.kill("SIGKILL");
      await withinMs(this.#exited, endMs);
    }
  }

  async #send(command: Command): Promise<Reply> {
    const { timeoutMs, signal } = this.#bounds;
    const answerMs = timeoutMs + graceMs;
    signal.throwIfAborted();
    if (this.#ended !== undefined) throw this.#ended;
    const id = this.#asked++;
    let timer: NodeJS.Timeout | undefined;
    let abort: (() => void) | undefined;
    try {
      return await new Promise((resolve, reject) => {
        abort = () => reject(abortReason(signal));
        signal.addEventListener("abort", abort, { once: true });
        timer = setTimeout(() => {
          const late = `${this.name}, asked to ${command.kind}: no answer within ${answerMs} ms`;
          reject(new ReplayError(late));
        }, answerMs);
        this.#pending.set(id, { settle: resolve, fail: reject });
        this.#child.send({ id, timeoutMs, command } satisfies Asked, (error) => {
          if (error !== null) reject(new ReplayError(`${this.name} is gone`, { cause: error }));
        });
      });
    } finally {
      clearTimeout(timer);
      if (abort !== undefined) signal.removeEventListener("abort", abort);
      this.#pending.delete(id);
    }
  }

  #answered({ id, reply }: Answered): void {
    this.#pending.get(id)?.settle(reply);
  }

  #end(what: string): void {
    this.#ended ??= new ReplayError(`the process of ${this.name} ${what}`);
    for (const pending of this.#pending.values()) pending.fail(this.#ended);
    this.#pending.clear();
  }
}

const isKind = <K extends Reply["kind"]>(
  reply: Reply,
  kind: K,
): reply is Extract<Reply, { readonly kind: K }> => reply.kind === kind;

const abortReason = (signal: AbortSignal): Error =>
  signal.reason instanceof Error ? signal.reason : new ReplayError("the replay was stopped");

async function withinMs(done: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([done, late]);
  clearTimeout(timer);
}
