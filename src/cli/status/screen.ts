/** A terminal as one screen that is drawn anew; it is left as it was found, whatever ends the process. */

const escape = "\u001B[";
const enter = `${escape}?1049h${escape}?25l`;
const leave = `${escape}?25h${escape}?1049l`;
const interrupt = "\u0003";
/** Lines that are no rows of tables. */
const otherRows = 16;

/** The terminal of this process. */
export class Screen {
  #onEnd: (() => void) | undefined;
  #isOpen = false;
  readonly #key = (keys: Buffer): void => {
    const text = keys.toString();
    if (text.includes("q") || text.includes(interrupt)) this.#onEnd?.();
  };
  readonly #restore = (): void => this.close();

  /** Rows of each of two tables. */
  get rowsMax(): number {
    return Math.max(3, Math.floor(((process.stdout.rows || 24) - otherRows) / 2));
  }

  /** Takes the terminal; `onEnd` is called for q and Ctrl-C. */
  open(onEnd: () => void): void {
    this.#onEnd = onEnd;
    this.#isOpen = true;
    process.stdout.write(enter);
    process.once("exit", this.#restore);
    if (!process.stdin.isTTY) return;
    process.stdin.setRawMode(true);
    process.stdin.on("data", this.#key);
    process.stdin.resume();
  }

  /** Shows `text` alone, cut to the screen. What was shown before still being on its way, nothing is done. */
  draw(text: string): void {
    if (process.stdout.writableNeedDrain) return;
    // A terminal may not know its size.
    const [rows, columns] = [process.stdout.rows || 24, process.stdout.columns || 80];
    const lines = text.split("\n").slice(0, rows - 1);
    const cut = lines.map((line) => `${line.slice(0, columns).toWellFormed()}${escape}K`);
    process.stdout.write(`${escape}H${cut.join("\n")}\n${escape}J`);
  }

  /** Gives the terminal back. Harmless twice. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.removeListener("exit", this.#restore);
    if (process.stdin.isTTY) {
      process.stdin.setRawMode(false);
      process.stdin.removeListener("data", this.#key);
      process.stdin.pause();
    }
    process.stdout.write(leave);
  }
}
