/** A bare WebSocket server on loopback, for those who bring none or one that listens everywhere. */
import { once } from "node:events";
import { WebSocketServer } from "ws";

export async function listen() {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  return { server, url: `ws://127.0.0.1:${server.address().port}` };
}
