/** One question and its answer over a bare socket: enough to see that a server serves. */
import { connect } from "node:net";

/** Sends `request` to a port of 127.0.0.1 and resolves with what came back once `isWhole`. Rejects when the connection or `signal` ends before. */
export async function exchange(
  port: number,
  request: string | Uint8Array,
  isWhole: (reply: Buffer) => boolean,
  signal: AbortSignal,
): Promise<Buffer> {
  return await new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, signal });
    let reply: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      reply = Buffer.concat([reply, chunk]);
      if (!isWhole(reply)) return;
      resolve(reply);
      socket.destroy();
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`port ${port} closed after ${reply.length} bytes`)));
    signal.addEventListener("abort", () => socket.destroy(), { once: true });
    socket.write(request);
  });
}
