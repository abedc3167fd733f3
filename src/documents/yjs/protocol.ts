/**
 * The protocol of y-websocket: `/yjs/<document>`, as its clients speak it unchanged.
 *
 * Closes a client with the codes of `closes.ts`. One that may only read is told so when it tries to write, once,
 * and reads on. Where a document was removed its clients are told to go for good: they still have it, and would
 * bring it back.
 */
import type * as Y from "yjs";
import { covers, type Grant } from "../../access.ts";
import { documentBytesMax } from "../../store/documents/update-slots.ts";
import type { Client, ClientProtocol, ClientReceiver } from "../client.ts";
import type { ProtocolOptions } from "../protocol-options.ts";
import { closeFor } from "./closes.ts";
import { Presence } from "./presence.ts";
import { Room } from "./room.ts";
import { Session } from "./session.ts";

/** A document is one update, and has a few bytes before it. */
const messageBytesMax = documentBytesMax + 1_024;
/** The longest name of a document, in bytes of UTF-8: that of a key. */
const nameBytesMax = 1_024;

/** Serves the documents of one collection to clients of y-websocket. */
export const yjsProtocol = (options: ProtocolOptions<Y.Doc, Y.Doc>): ClientProtocol =>
  new YjsProtocol(options);

class YjsProtocol implements ClientProtocol {
  readonly segment = "yjs";
  readonly messageBytesMax: number = messageBytesMax;
  readonly #options: ProtocolOptions<Y.Doc, Y.Doc>;
  readonly #presence: Presence;
  readonly #rooms = new Map<string, Room>();

  constructor(options: ProtocolOptions<Y.Doc, Y.Doc>) {
    this.#options = options;
    const { environment, gossip } = options;
    this.#presence = new Presence({
      environment,
      gossip,
      show: (key, entries) => this.#rooms.get(key)?.show(entries),
    });
  }

  judge(path: string, grant: Grant): "admitted" | "forbidden" | "not-found" {
    if (path === "" || Buffer.byteLength(path) > nameBytesMax || !path.isWellFormed()) {
      return "not-found";
    }
    return covers(grant.read, this.#options.collection, path) ? "admitted" : "forbidden";
  }

  accept(client: Client, path: string): ClientReceiver {
    try {
      const room = this.#room(path);
      const mayWrite = covers(client.grant.write, this.#options.collection, path);
      const session = new Session(client, room, mayWrite);
      room.join(session);
      return session;
    } catch (error) {
      const { code, reason } = closeFor(error);
      client.close(code, reason);
      return gone;
    }
  }

  close(): void {
    for (const room of this.#rooms.values()) room.close();
    this.#rooms.clear();
    this.#presence.close();
  }

  #room(key: string): Room {
    const present = this.#rooms.get(key);
    if (present !== undefined) return present;
    const room = new Room(key, {
      documents: this.#options.documents,
      presence: this.#presence,
      defer: (task) => this.#options.environment.defer(task),
      failed: (session, error) => this.#failed(session, error),
      emptied: () => this.#rooms.delete(key),
    });
    this.#rooms.set(key, room);
    return room;
  }

  #failed({ subject }: Session, error: unknown): void {
    const { collection, logger } = this.#options;
    logger.warn({ collection, subject, error: String(error) }, "refused what a client sent");
  }
}

const gone: ClientReceiver = {
  message: () => undefined,
  drained: () => undefined,
  closed: () => undefined,
};
