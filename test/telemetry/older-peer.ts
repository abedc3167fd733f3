/** A replica of a version that knows no traces, as its peers see it: it does not say so, and cannot read them. */
import { MessageWriter, readMessage } from "../../src/sync/protocol.ts";
import type { Connection, Receiver, Transport } from "../../src/sync/transport.ts";

/** The kind of a request with a span, which such a version refuses by ending the link. */
const tracedKind = 66;

/** The transport of one; `refused` is called for every request that it could not have read. */
export function older(transport: Transport, refused: () => void): Transport {
  const connection = (inner: Connection): Connection => ({
    get remoteAddress() {
      return inner.remoteAddress;
    },
    get bufferedBytes() {
      return inner.bufferedBytes;
    },
    send: (bytes) => inner.send(withoutFeatures(bytes)),
    close: (reason) => inner.close(reason),
    terminate: () => inner.terminate(),
  });
  const receiver = (inner: Receiver): Receiver => ({
    opened: () => inner.opened(),
    message: (bytes) => {
      const { message } = readMessage(bytes);
      if (message.kind === "service" && message.bytes[1] === tracedKind) refused();
      inner.message(bytes);
    },
    drained: () => inner.drained(),
    closed: (end) => inner.closed(end),
  });
  return {
    check: (url) => transport.check(url),
    dial: (target, inner) => connection(transport.dial(target, receiver(inner))),
    listen: (options, acceptor) =>
      transport.listen(options, {
        linksMax: acceptor.linksMax,
        accept: (inner, replicate) => receiver(acceptor.accept(connection(inner), replicate)),
      }),
  };
}

function withoutFeatures(bytes: Uint8Array): Uint8Array {
  const { number, message } = readMessage(bytes);
  if (message.kind !== "hello") return bytes;
  const services = message.services?.filter((name) => !name.includes("/")) ?? [];
  return new MessageWriter().write(number, { ...message, services });
}
