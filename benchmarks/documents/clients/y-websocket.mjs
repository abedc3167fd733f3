import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import { wireBytes } from "./counted-socket.mjs";
import { yjsText } from "./yjs-text.mjs";

export async function connect({ url, name = "trace" }) {
  const { document, ...text } = yjsText();
  const provider = new WebsocketProvider(url, name, document, {
    WebSocketPolyfill: WebSocket,
    disableBc: true,
  });
  await new Promise((resolve) => provider.once("sync", resolve));
  return {
    ...text,
    name,
    bufferedBytes: () => provider.ws.bufferedAmount,
    wire: () => wireBytes(provider.ws),
  };
}
