/** `@y/websocket-server`, as its own command wires it. With a folder it writes every update to y-leveldb. */
import { listen } from "./listen.mjs";

export async function serve({ directory }) {
  if (directory) process.env.YPERSISTENCE = directory;
  const { setupWSConnection } = await import("@y/websocket-server/utils");
  const { server, url } = await listen();
  server.on("connection", setupWSConnection);
  return { url };
}
