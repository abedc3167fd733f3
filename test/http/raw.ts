/** Requests that no client library would send: bytes over a socket. */
import { connect, type Socket } from "node:net";

/** A connection of our own. */
export class RawConnection implements Disposable {
  readonly socket: Socket;
  #received = "";
  readonly #ended: Promise<void>;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.socket = connect(Number(port), hostname);
    this.socket.setEncoding("latin1");
    this.socket.on("data", (text: string) => (this.#received += text));
    this.socket.on("error", () => undefined);
    this.#ended = new Promise((resolve) => {
      this.socket.on("close", () => resolve());
    });
  }

  get received(): string {
    return this.#received;
  }

  /** Of the answers that have come so far. */
  get statuses(): number[] {
    return [...this.#received.matchAll(/^HTTP\/1\.1 (\d{3}) /gmu)].map(([, status]) =>
      Number(status),
    );
  }

  send(...lines: readonly string[]): void {
    this.socket.write(lines.join("\r\n"), "latin1");
  }

  /** Resolves with all that came, once the other side has ended it. */
  async ended(): Promise<string> {
    await this.#ended;
    return this.#received;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
