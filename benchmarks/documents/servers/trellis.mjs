/** A replica that takes the clients in, with what it is given by default. */
import { built } from "../../crdt/trellis-build.mjs";

const paths = { yjs: "/yjs", automerge: "/automerge" };

export async function serve({ family, directory, peers = [] }) {
  const { openReplica } = await built("index.js");
  const replica = await openReplica({
    schema: {},
    listen: { port: 0 },
    documents: { [family]: true },
    ...(directory ? { storage: directory } : {}),
    peers,
  });
  await replica.synced();
  const peerUrl = `ws://127.0.0.1:${replica.address.port}`;
  return { url: peerUrl + paths[family], peerUrl, close: () => replica.close() };
}
