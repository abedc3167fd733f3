/** Bytes on the wire of a WebSocket of `ws`, the handshake's and the frames' heads included. */
export function wireBytes(socket) {
  const { bytesRead, bytesWritten } = socket._socket;
  return { received: bytesRead, sent: bytesWritten };
}
