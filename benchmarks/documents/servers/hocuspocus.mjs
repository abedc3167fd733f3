/** `@hocuspocus/server` without extensions, behind a WebSocket server of one's own, as its guide has it. */
import { Hocuspocus } from "@hocuspocus/server";
import { listen } from "./listen.mjs";

export async function serve() {
  const hocuspocus = new Hocuspocus({ quiet: true });
  const { server, url } = await listen();
  server.on("connection", (socket, request) => hocuspocus.handleConnection(socket, request));
  return { url };
}
