/**
 * A process of this program's own that is asked and answers, one reply for each command: started, asked and ended from
 * here. It ends when this process does, whatever ends that.
 */
import { type ChildProcess, fork } from "node:child_process";
import { TrellisError } from "../errors.ts";

/** How long a process may take to end by itself before it is killed, in ms. */
const endMs = 2_000;

/** Beyond what the other process was given to answer in: it says best itself what ran out. */
const graceMs = 1_000;

/** A process that takes part in a run failed, or did not answer. */
export class WorkerError extends TrellisError {
  readonly code = "TRELLIS_WORKER";
}

interface Kinded {
  readonly kind: string;
}

/** A command on its way. `timeoutMs` bounds what it waits for. */
interface Asked<C> {
  readonly id: number;
  readonly timeoutMs: number;
  readonly command: C;
}

/** An answer on its way, under the number of its command. */
interface Answered<R> {
  readonly id: number;
  readonly reply: R | Failed;
}

/** What a process answers when it could not do what it was asked to. */
interface Failed {
  readonly kind: "failed";
  readonly reason: string;
}

interface Pending<R> {
  settle(reply: R | Failed): void;
  fail(error: Error): void;
}

/** What every call of a run is bounded by. */
export interface Bounds {
  /** The longest that one answer may take, in ms. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What a process is made of. */
export interface WorkerOptions extends Bounds {
  /** In messages. */
  readonly name: string;
  /** The module that it runs; that calls `serve`. */
  readonly module: URL;
  /** Told what it sends unasked. */
  readonly onNews?: (news: unknown) => void;
}

/** A process that answers commands `C` with replies `R`. */
export class WorkerProcess<C extends Kinded, R extends Kinded> implements AsyncDisposable {
  readonly name: string;
  readonly #bounds: Bounds;
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending<R>>();
  readonly #exited: Promise<void>;
  #ended: WorkerError | undefined;
  #asked = 0;
  #isKilled = false;

  constructor({ name, module, onNews, ...bounds }: WorkerOptions) {
    this.name = name;
    this.#bounds = bounds;
    this.#child = fork(module, [], {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#child.on("message", (message: unknown) => {
      if (isAnswered<R>(message)) this.#pending.get(message.id)?.settle(message.reply);
      else onNews?.(message);
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

  /** Whether it was ended on purpose, in the middle of whatever it was at. */
  get isKilled(): boolean {
    return this.#isKilled;
  }

  /**
   * Sends a command and resolves with its answer, of the kind that is named.
   * @throws WorkerError when the process ended, answered that it failed, or not in time; the
   * signal's reason.
   */
  async ask<K extends R["kind"]>(
    command: C,
    kind: K,
    timeoutMs: number = this.#bounds.timeoutMs,
  ): Promise<Extract<R, { readonly kind: K }>> {
    const reply = await this.#send(command, timeoutMs);
    if (isKind(reply, kind)) return reply;
    const what = isFailed(reply) ? reply.reason : `answered with ${reply.kind}`;
    throw new WorkerError(`${this.name}, asked to ${command.kind}: ${what}`);
  }

  /** Kills the process, whatever it is at. Resolves when it is gone. @throws WorkerError if it stays. */
  async kill(): Promise<void> {
    this.#isKilled = true;
    this.#child.kill("SIGKILL");
    await withinMs(this.#exited, endMs);
    if (this.#ended === undefined) throw new WorkerError(`${this.name} cannot be killed`);
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

  async #send(command: C, timeoutMs: number): Promise<R | Failed> {
    const { signal } = this.#bounds;
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
          reject(new WorkerError(late));
        }, answerMs);
        this.#pending.set(id, { settle: resolve, fail: reject });
        this.#child.send({ id, timeoutMs, command } satisfies Asked<C>, (error) => {
          if (error !== null) reject(new WorkerError(`${this.name} is gone`, { cause: error }));
        });
      });
    } finally {
      clearTimeout(timer);
      if (abort !== undefined) signal.removeEventListener("abort", abort);
      this.#pending.delete(id);
    }
  }

  #end(what: string): void {
    this.#ended ??= new WorkerError(`the process of ${this.name} ${what}`);
    for (const pending of this.#pending.values()) pending.fail(this.#ended);
    this.#pending.clear();
  }
}

/** How a process answers. */
export interface Served<C, R> {
  /** What it throws is told to who asked. */
  answer(command: C, timeoutMs: number): Promise<R>;
  /** Who asked is gone, or has let go: the last that is done. */
  close(): Promise<void>;
  /** How long that may take, in ms. */
  readonly closeMs: number;
}

/** In the process itself: answers until it is let go of. */
export function serve<C extends Kinded, R extends Kinded>(served: Served<C, R>): void {
  // Ctrl-C reaches every process of the terminal; who asks decides what follows from it.
  process.on("SIGINT", () => undefined);
  process.on("disconnect", () => {
    setTimeout(() => process.exit(0), served.closeMs).unref();
    void served.close().finally(() => process.exit(0));
  });
  process.on("message", (message: unknown) => {
    if (isAsked<C>(message)) void answer(served, message);
  });
}

async function answer<C extends Kinded, R extends Kinded>(
  served: Served<C, R>,
  { id, timeoutMs, command }: Asked<C>,
): Promise<void> {
  let reply: R | Failed;
  try {
    reply = await served.answer(command, timeoutMs);
  } catch (error) {
    reply = { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
  }
  // Who asked may be gone meanwhile.
  if (process.connected) process.send?.({ id, reply } satisfies Answered<R>, () => undefined);
}

const isKind = <R extends Kinded, K extends R["kind"]>(
  reply: R | Failed,
  kind: K,
): reply is Extract<R, { readonly kind: K }> => reply.kind === kind;

const isFailed = (reply: Kinded): reply is Failed => reply.kind === "failed";

// Both ends are this file, so no more is looked at.
const isAsked = <C>(message: unknown): message is Asked<C> =>
  isNumbered(message) && "command" in message && "timeoutMs" in message;

const isAnswered = <R>(message: unknown): message is Answered<R> =>
  isNumbered(message) && "reply" in message;

const isNumbered = (message: unknown): message is { readonly id: number } =>
  typeof message === "object" &&
  message !== null &&
  "id" in message &&
  typeof message.id === "number";

const abortReason = (signal: AbortSignal): Error =>
  signal.reason instanceof Error ? signal.reason : new WorkerError("the run was stopped");

async function withinMs(done: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([done, late]);
  clearTimeout(timer);
}
