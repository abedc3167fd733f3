/** A process of the soak, from its parent's side. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Answer, Call } from "./serve.ts";
import type { Actions } from "./stall-process.ts";

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Answers calls until it is disposed. */
export class Child implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;

  constructor() {
    // Compiled beside this file.
    const main = fileURLToPath(new URL("./stall-process.js", import.meta.url));
    this.#process = fork(main, [], { execArgv: ["--expose-gc"] });
    this.#process.on("message", (answer: Answer) => this.#answered(answer));
    this.#process.on("exit", (code, signal) => {
      const error = new Error(`a process ended early (${signal ?? `exit code ${code}`})`);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
  }

  /** Asks for one action. */
  async call<A extends keyof Actions>(
    action: A,
    ...args: Parameters<Actions[A]>
  ): Promise<Awaited<ReturnType<Actions[A]>>> {
    const id = ++this.#calls;
    const result = await new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      const call: Call = { id, action, args };
      this.#process.send(call);
    });
    return result as Awaited<ReturnType<Actions[A]>>;
  }

  /** Stops the process as it stands, or lets it go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#process.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#process;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    this.#waiting.clear();
    child.kill("SIGKILL");
    await ended;
  }

  #answered({ id, result, error }: Answer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(error));
  }
}
