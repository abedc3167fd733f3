/** How many connections there are, from where: more are ended before a byte of theirs is read. */
import type { Socket } from "node:net";

/** Counts connections by address. */
export class Turnstile {
  readonly #byAddress = new Map<string, number>();
  readonly #perAddressMax: number;

  constructor(perAddressMax: number) {
    this.#perAddressMax = perAddressMax;
  }

  /** Whether one more may come in; then it is counted until it closes. O(1). */
  lets(socket: Socket): boolean {
    const address = socket.remoteAddress ?? "";
    const count = this.#byAddress.get(address) ?? 0;
    if (count >= this.#perAddressMax) return false;
    this.#byAddress.set(address, count + 1);
    socket.once("close", () => this.#left(address));
    return true;
  }

  #left(address: string): void {
    const count = this.#byAddress.get(address) ?? 0;
    if (count > 1) this.#byAddress.set(address, count - 1);
    else this.#byAddress.delete(address);
  }
}
