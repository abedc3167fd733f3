/** automerge-repo's sync server: a Repo that listens, and announces no document by itself. */
import { Repo } from "@automerge/automerge-repo";
import { WebSocketServerAdapter } from "@automerge/automerge-repo-network-websocket";
import { listen } from "./listen.mjs";

export async function serve() {
  const { server, url } = await listen();
  const repo = new Repo({
    network: [new WebSocketServerAdapter(server)],
    sharePolicy: async () => false,
  });
  return { url, repo };
}
