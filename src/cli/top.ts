/**
 * The command `trellis top`: what a live peer says of itself, every second. On a terminal it is one screen,
 * drawn anew; elsewhere one line a second. While the output is slow, statuses are left out.
 */
import { TrellisError, UnauthorizedError, UsageError } from "../errors.ts";
import { checkDialing, type DialOptions } from "./dialing.ts";
import { statusEvents } from "./status/client.ts";
import { printable, printed, rateKey, type Rates } from "./status/print.ts";
import { type Report, reportOf, troublesOf } from "./status/report.ts";
import { Screen } from "./status/screen.ts";
import { StoppedError } from "./stop-signal.ts";
import { shown } from "./table.ts";

/** The options of `trellis top`. */
export interface TopCommandOptions extends DialOptions {
  /** End after so many statuses; 0: when it is stopped. */
  readonly count: number;
  readonly json?: boolean;
}

/** A status comes every second, and a comment when nothing else does. */
const silentMsMax = 30_000;
const againMs = 1_000;

/** Runs until it is stopped. @throws UsageError, UnauthorizedError when the first status does not come */
export async function topCommand(
  url: string,
  options: TopCommandOptions,
  stopped: AbortSignal,
): Promise<void> {
  checkDialing(options);
  const { json = false } = options;
  const screen = process.stdout.isTTY && !json ? new Screen() : undefined;
  const ended = new AbortController();
  const signal = AbortSignal.any([stopped, ended.signal]);
  screen?.open(() => ended.abort(new StoppedError("SIGINT")));
  try {
    await follow({ url, options, screen, signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    screen?.close();
  }
}

interface Following {
  readonly url: string;
  readonly options: TopCommandOptions;
  readonly screen: Screen | undefined;
  readonly signal: AbortSignal;
}

async function follow({ url, options, screen, signal }: Following): Promise<void> {
  const view = new View(url, options.json ?? false, screen);
  for (;;) {
    try {
      for await (const told of statusEvents({ url, dial: options, silentMsMax, signal })) {
        view.show(told);
        if (options.count > 0 && view.count >= options.count) return;
      }
      view.lost("the peer ended the stream");
    } catch (error) {
      // Nobody was ever there, or will let us in.
      const isFinal = view.count === 0 || error instanceof UnauthorizedError;
      if (signal.aborted || isFinal || !(error instanceof TrellisError)) throw error;
      view.lost(error.message);
    }
    await pause(signal);
  }
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => {
      clearTimeout(timer);
      reject(signal.reason instanceof Error ? signal.reason : new UsageError("stopped"));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", aborted);
      resolve();
    }, againMs);
    if (signal.aborted) aborted();
    else signal.addEventListener("abort", aborted, { once: true });
  });
}

/** What was shown last, and how the next comes out of it. */
class View {
  readonly #url: string;
  readonly #isJson: boolean;
  readonly #screen: Screen | undefined;
  #before: { readonly report: Report; readonly atMs: number } | undefined;
  count = 0;

  constructor(url: string, isJson: boolean, screen: Screen | undefined) {
    this.#url = url;
    this.#isJson = isJson;
    this.#screen = screen;
  }

  show(told: unknown): void {
    const report = reportOf(told);
    const atMs = performance.now();
    const rates = ratesBetween(this.#before, { report, atMs });
    this.#before = { report, atMs };
    this.count++;
    if (this.#isJson) return write(JSON.stringify({ at: new Date().toISOString(), status: told }));
    if (!this.#screen) return write(line(report, rates));
    const options = { url: this.#url, rowsMax: this.#screen.rowsMax, nowMs: Date.now(), rates };
    this.#screen.draw(`${printed(report, options)}\n\nq ends`);
  }

  lost(why: string): void {
    const text = `${new Date().toISOString()} ${printable(why)}; it is asked again`;
    if (this.#screen) this.#screen.draw(text);
    else if (this.#isJson) write(JSON.stringify({ at: new Date().toISOString(), lost: why }));
    else write(text);
  }
}

/** Output that is slow is not waited for: a line is left out. */
function write(text: string): void {
  if (!process.stdout.writableNeedDrain) process.stdout.write(`${text}\n`);
}

interface Seen {
  readonly report: Report;
  readonly atMs: number;
}

function ratesBetween(before: Seen | undefined, now: Seen): ReadonlyMap<string, Rates> {
  const rates = new Map<string, Rates>();
  if (!before) return rates;
  const seconds = Math.max(0.001, (now.atMs - before.atMs) / 1_000);
  const earlier = new Map(before.report.peers.map((peer) => [rateKey(peer), peer]));
  for (const peer of now.report.peers) {
    const then = earlier.get(rateKey(peer));
    if (!then) continue;
    // Counts begin anew with a link that was accepted.
    const rate = (one: number, other: number): number => Math.max(0, (one - other) / seconds);
    rates.set(rateKey(peer), {
      in: rate(peer.bytesIn, then.bytesIn),
      out: rate(peer.bytesOut, then.bytesOut),
    });
  }
  return rates;
}

function line(report: Report, rates: ReadonlyMap<string, Rates>): string {
  const sum = (of: (rate: Rates) => number): string =>
    shown(Math.round([...rates.values()].reduce((all, rate) => all + of(rate), 0)));
  const linked = report.peers.filter(({ state }) => state === "streaming").length;
  const lag = Math.max(0, ...report.peers.map(({ lagBatches }) => lagBatches));
  const keys = report.keys.reduce((all, [, count]) => all + count, 0);
  const troubles = troublesOf(report);
  return [
    new Date().toISOString(),
    `peers ${linked}/${report.peers.length}`,
    `lag ${shown(lag)} batches`,
    `in ${sum((rate) => rate.in)} B/s, out ${sum((rate) => rate.out)} B/s`,
    `keys ${shown(keys)}`,
    troubles.length === 0 ? "nothing is wrong" : `WRONG: ${troubles.map(printable).join("; ")}`,
  ].join("  ");
}
