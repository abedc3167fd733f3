/**
 * A relay on loopback that can be shut: then it reads nothing from either side, so neither hears the
 * other, as with a peer that has stopped reading. What the kernel buffers stays where it is.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

/** Stands between a dialer and a port. */
export class Gate implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isShut = false;

  private constructor(server: Server, target: URL) {
    this.#server = server;
    server.on("connection", (near) => {
      const far = connect(Number(target.port), target.hostname);
      this.#relay(near, far);
      this.#relay(far, near);
    });
  }

  /** Resolves once the gate listens, open, on a port of its own. */
  static async before(url: string): Promise<Gate> {
    const server = createServer();
    const gate = new Gate(server, new URL(url));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    return gate;
  }

  /** What to dial instead of the target. */
  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("assertion: not bound");
    return `ws://127.0.0.1:${address.port}`;
  }

  /** Reads nothing from now on. New connections are accepted, and not read either. */
  shut(): void {
    this.#isShut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Goes on with everything that waits. */
  open(): void {
    this.#isShut = false;
    for (const socket of this.#sockets) socket.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #relay(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on("data", (bytes) => {
      if (!to.write(bytes)) from.pause();
    });
    to.on("drain", () => {
      if (!this.#isShut) from.resume();
    });
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    if (this.#isShut) from.pause();
  }
}
