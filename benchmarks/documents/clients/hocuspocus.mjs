import { HocuspocusProvider, HocuspocusProviderWebsocket } from "@hocuspocus/provider";
import { WebSocket } from "ws";
import { wireBytes } from "./counted-socket.mjs";
import { yjsText } from "./yjs-text.mjs";

export async function connect({ url, name = "trace" }) {
  const { document, ...text } = yjsText();
  const websocketProvider = new HocuspocusProviderWebsocket({ url, WebSocketPolyfill: WebSocket });
  const provider = new HocuspocusProvider({ websocketProvider, name, document });
  const synced = new Promise((resolve) => {
    provider.on("synced", resolve);
  });
  provider.attach();
  await synced;
  return {
    ...text,
    name,
    bufferedBytes: () => websocketProvider.webSocket.bufferedAmount,
    wire: () => wireBytes(websocketProvider.webSocket),
  };
}
