/** A replica whose process is killed and started again on the same directory, from the parent's side. */
import { type ChildProcess, fork } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Answer, Call } from "./serve.ts";

/** The process was killed before it answered: what was asked may have been done, or not. */
export class KilledError extends Error {}

/** Any answer but that of a killed process comes within this time, in ms. */
const answerMsMax = 120_000;
/** The port may be taken for a moment by a link that another process dialed from it. */
const portAttemptsMax = 40;
const portRetryMs = 250;

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** How a replica is opened, and where it is then: 0 picks a port. */
interface Listening {
  readonly port: number;
}

/** What every kind of process can be asked. */
export interface ReplicaActions {
  open(request: never): Promise<Listening>;
  close(): Promise<void>;
}

type Arguments<Action> = Action extends (...args: infer A) => unknown ? A : never;
type Result<Action> = Action extends (...args: never) => infer R ? Awaited<R> : never;
/** What an opening is asked with. */
type Request<Actions extends ReplicaActions> = Omit<Parameters<Actions["open"]>[0], "port">;

/** What an opening says, and what it took, in ms. */
export type Reopened<Actions extends ReplicaActions> = Result<Actions["open"]> & {
  /** From the start of the process until it had opened the replica and read it. */
  readonly totalMs: number;
};

/** What stays the same over all of its processes. */
export interface KilledReplicaOptions {
  readonly name: string;
  /** The script of its processes, beside this file. */
  readonly script: string;
}

/** One replica, with a process or without. */
export class KilledReplica<Actions extends ReplicaActions> implements AsyncDisposable {
  readonly options: KilledReplicaOptions;
  readonly #waiting = new Map<number, Waiting>();
  #process: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #calls = 0;
  #port = 0;
  #isOpen = false;
  #isKilled = false;

  constructor(options: KilledReplicaOptions) {
    this.options = options;
  }

  /** Where it listens; known once it was opened, and the same from then on. */
  get url(): string | undefined {
    return this.#port === 0 ? undefined : `ws://127.0.0.1:${this.#port}`;
  }

  /** Whether it can be asked to operate. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Calls that were not answered yet. */
  get unanswered(): number {
    return this.#waiting.size;
  }

  /** Starts a process and opens the replica. @throws KilledError when it is killed meanwhile. */
  async open(request: Request<Actions>): Promise<Reopened<Actions>> {
    for (let attempt = 1; ; attempt++) {
      const startMs = performance.now();
      this.#start();
      try {
        const opened = (await this.#ask("open", [{ ...request, port: this.#port }])) as Result<
          Actions["open"]
        >;
        this.#port = opened.port;
        this.#isOpen = true;
        return { ...opened, totalMs: performance.now() - startMs };
      } catch (error) {
        const isTaken = String(error).includes("EADDRINUSE") && attempt < portAttemptsMax;
        if (!isTaken) throw error;
        await this.kill();
        await sleep(portRetryMs);
      }
    }
  }

  /** Asks for one action. @throws KilledError, or what the action threw. */
  async call<A extends keyof Actions & string>(
    action: A,
    ...args: Arguments<Actions[A]>
  ): Promise<Result<Actions[A]>> {
    return (await this.#ask(action, args)) as Result<Actions[A]>;
  }

  /** Stops the process as it stands, or lets it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#process?.kill(signal);
  }

  /** Kills the process, wherever it stands. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#isOpen = false;
    this.#isKilled = true;
    this.#process?.kill("SIGKILL");
    await this.#exited;
  }

  /** Closes the replica in order and ends the process. */
  async close(): Promise<void> {
    this.#isOpen = false;
    await this.#ask("close", []);
    await this.kill();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  async #ask(action: string, args: readonly unknown[]): Promise<unknown> {
    const id = ++this.#calls;
    const { name } = this.options;
    const child = this.#process;
    if (child === undefined) throw new KilledError(`${name} has no process`);
    let timer: NodeJS.Timeout | undefined;
    return await new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const late = new Error(`${name}, asked to ${action}: no answer in ${answerMsMax} ms`);
      timer = setTimeout(() => reject(late), answerMsMax);
      const call: Call = { id, action, args };
      // Refused only by a process that ends; its exit rejects.
      child.send(call, () => undefined);
    }).finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(id);
    });
  }

  #start(): void {
    // Compiled beside this file.
    const main = fileURLToPath(new URL(this.options.script, import.meta.url));
    const child = fork(main, []);
    this.#process = child;
    this.#isKilled = false;
    child.on("message", (answer: Answer) => this.#answered(answer));
    this.#exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.#isOpen = false;
        this.#process = undefined;
        this.#reject(code, signal);
        resolve();
      });
    });
  }

  #reject(code: number | null, signal: NodeJS.Signals | null): void {
    const { name } = this.options;
    const error =
      signal === "SIGKILL" && this.#isKilled
        ? new KilledError(`${name} was killed`)
        : new Error(`${name} ended by itself (${signal ?? `exit code ${code}`})`);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  #answered({ id, result, error }: Answer): void {
    const waiting = this.#waiting.get(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(error));
  }
}
