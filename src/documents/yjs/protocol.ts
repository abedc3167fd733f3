/**
 * The protocol of y-websocket: `/yjs/<document>`, as its clients speak it unchanged.
 *
 * Closes a client with the codes of `closes.ts`. One that may only read is told so when it tries to write, once,
 * and reads on. Where a document was removed its clients are told to go for good: they still have it, and would
 * bring it back.
 */
import type * as Y from "yjs";
import type { Grant } from "../../access.ts";
import { documentBytesMax } from "../../store/documents/written-updates.ts";
import type { Client, ClientProtocol, ClientReceiver } from "../client.ts";
import type { ProtocolOptions } from "../protocol-options.ts";
import { closeFor, closes } from "./closes.ts";
import { HocuspocusProtocol } from "./hocuspocus.ts";
import { deniedMessage } from "./messages.ts";
import { Rooms } from "./rooms.ts";
import type { Dialect } from "./session.ts";

/** Serves the documents of one collection to clients of y-websocket and of Hocuspocus, who see each other. */
export function yjsProtocols(
  options: ProtocolOptions<Y.Doc, Y.Doc>,
): readonly [yjs: ClientProtocol, hocuspocus: ClientProtocol] {
  const rooms = new Rooms(options);
  return [new YjsProtocol(rooms), new HocuspocusProtocol(rooms)];
}

const dialect: Dialect = {
  asks: "first",
  denied: deniedMessage("this document may only be read"),
};

class YjsProtocol implements ClientProtocol {
  readonly segment = "yjs";
  /** A document is one update, and has a few bytes before it. */
  readonly messageBytesMax: number = documentBytesMax + 1_024;
  /** What it has would be as long the next time. */
  readonly tooLargeCode: number = closes.tooLarge.code;
  readonly #rooms: Rooms;

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
  }

  judge(path: string, grant: Grant): "admitted" | "forbidden" | "not-found" {
    return this.#rooms.judge(path, grant);
  }

  accept(client: Client, path: string): ClientReceiver {
    try {
      return this.#rooms.join(path, client, dialect);
    } catch (error) {
      const { code, reason } = closeFor(error);
      client.close(code, reason);
      return gone;
    }
  }

  close(): void {
    this.#rooms.close();
  }
}

const gone: ClientReceiver = {
  message: () => undefined,
  drained: () => undefined,
  closed: () => undefined,
};
