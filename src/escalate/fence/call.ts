/** Being called when it is one's turn, also if that came before anybody listened. */
export class Call {
  #isTold = false;
  #tell: (() => void) | undefined;

  /** It is the turn now. */
  tell(): void {
    this.#isTold = true;
    this.#tell?.();
    this.#tell = undefined;
  }

  /** What was told before is used up. */
  forget(): void {
    this.#isTold = false;
  }

  /** Resolves when it was told. Who listened before is released. */
  told(): Promise<void> {
    if (this.#isTold) return Promise.resolve();
    this.#tell?.();
    return new Promise((resolve) => {
      this.#tell = resolve;
    });
  }
}
