/**
 * The floor of the loopback rows: a `ws` server that hands every message on to the other clients
 * unread, and clients that speak JSON, `[[key, total], …]`. The writer resends all that it has when
 * the reader says hello; there is no catch-up. The shape is that of `openLoopback` in `trellis.mjs`.
 */
import { once } from "node:events";
import { WebSocket, WebSocketServer } from "ws";
import { turn } from "./measure.mjs";

/** What a writer may have buffered before it waits for the socket, in bytes. */
const bufferedBytesMax = 4 * 1_024 * 1_024;

/** One of three processes. */
export const openLoopback = ({ role, url }) =>
  role === "peer" ? openRelay() : openClient(url, role);

async function openRelay() {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  await once(server, "listening");
  server.on("connection", (socket) => {
    socket.on("message", (message, isBinary) => {
      for (const other of server.clients) {
        if (other !== socket) other.send(message, { binary: isBinary });
      }
    });
  });
  return {
    url: `ws://127.0.0.1:${server.address().port}`,
    close() {
      for (const socket of server.clients) socket.terminate();
      server.close();
    },
  };
}

async function openClient(url, role) {
  const state = new Map();
  const pending = new Map();
  let sum = 0;
  let receiveSample = () => {};
  let awaited = { sum: Infinity, resolve: () => {} };
  let socket;

  const receive = (data) => {
    const message = JSON.parse(data);
    if (message.sample !== undefined) return receiveSample(message.sample);
    if (message.hello)
      return role === "writer" ? socket.send(JSON.stringify([...state])) : undefined;
    for (const [key, total] of message) {
      const before = state.get(key) ?? 0;
      if (total > before) {
        state.set(key, total);
        sum += total - before;
      }
    }
    if (sum >= awaited.sum) awaited.resolve();
  };
  const connect = async () => {
    socket = new WebSocket(url, { perMessageDeflate: false });
    socket.on("message", receive);
    await once(socket, "open");
    if (role === "reader") socket.send(JSON.stringify({ hello: true }));
  };
  await connect();

  return {
    sample: (sentUs) => socket.send(JSON.stringify({ sample: sentUs })),
    increment(key) {
      const total = (state.get(key) ?? 0) + 1;
      state.set(key, total);
      pending.set(key, total);
      sum++;
    },
    async turn() {
      if (pending.size > 0) socket.send(JSON.stringify([...pending]));
      pending.clear();
      do await turn();
      while (socket.bufferedAmount > bufferedBytesMax);
    },
    mark: () => sum,
    until: (mark) =>
      sum >= mark
        ? undefined
        : new Promise((resolve) => {
            awaited = { sum: mark, resolve };
          }),
    total: () => sum,
    async listen(handler) {
      receiveSample = handler;
    },
    cut: () => socket.terminate(),
    heal: connect,
    bytesIn: () => socket._socket?.bytesRead ?? 0,
    close: () => socket.terminate(),
  };
}
