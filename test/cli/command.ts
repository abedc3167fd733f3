/** The built command, run as users run it. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const main = join(root, "dist/cli/main.js");

/** `npm test` builds before it runs the suites. */
export function assertBuilt(): void {
  if (!existsSync(main)) throw new Error("dist/ is missing: run npm test, or npm run build");
}

/** What a run of the command came to. */
export interface Outcome {
  /** A status, or the signal that ended it. */
  readonly status: number | NodeJS.Signals | null;
  readonly output: string;
  readonly errors: string;
}

/** A line that `pino` wrote. */
export interface LogLine {
  readonly pid: number;
  readonly name: string;
  readonly msg: string;
}

/** A run of the command. */
export class Run implements AsyncDisposable {
  readonly outcome: Promise<Outcome>;
  readonly #child: ChildProcess;
  #output = "";
  #errors = "";

  constructor(
    args: readonly string[],
    environment: Readonly<Record<string, string>> = {},
    folder: string = root,
  ) {
    this.#child = spawn(process.execPath, [main, ...args], {
      cwd: folder,
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.#output += text));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#errors += text));
    this.outcome = new Promise((resolve) => {
      this.#child.once("close", (code, signal) => {
        resolve({ status: code ?? signal, output: this.#output, errors: this.#errors });
      });
    });
  }

  /** Resolves with the first line of standard output. */
  firstLine(): Promise<string> {
    return this.#await(() => {
      const end = this.#output.indexOf("\n");
      return end === -1 ? undefined : this.#output.slice(0, end);
    });
  }

  /** Resolves with the first line of the log that says `message`. */
  logged(message: string): Promise<LogLine> {
    return this.#await(() => this.#log().find(({ msg }) => msg.includes(message)));
  }

  /** Resolves with the ids of so many processes, once each has logged. */
  loggingProcesses(count: number): Promise<readonly number[]> {
    return this.#await(() => {
      const pids = [...new Set(this.#log().map(({ pid }) => pid))];
      return pids.length === count ? pids : undefined;
    });
  }

  /** Sends a signal to the command alone. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  #log(): LogLine[] {
    const whole = this.#errors.split("\n").slice(0, -1);
    return whole.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as LogLine);
  }

  /** Looks whenever something was written; rejects if the command ends before it is there. */
  async #await<T>(look: () => T | undefined): Promise<T> {
    return await new Promise((resolve, reject) => {
      const check = (): void => {
        const found = look();
        if (found !== undefined) resolve(found);
      };
      check();
      this.#child.stdout?.on("data", check);
      this.#child.stderr?.on("data", check);
      void this.outcome.then(({ errors }) => reject(new Error(`it ended: ${errors}`)));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.outcome;
  }
}

/** Runs the command to its end. */
export async function run(...args: readonly string[]): Promise<Outcome> {
  await using running = new Run(args);
  return await running.outcome;
}

/** A module that makes Node find no package of that name. */
export function lacks(name: string): string {
  const inline = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;
  const hook = `export const resolve = (name, context, next) =>
    next(name === ${JSON.stringify(name)} ? "no-such-package" : name, context);`;
  return inline(
    `import { register } from "node:module"; register(${JSON.stringify(inline(hook))});`,
  );
}
