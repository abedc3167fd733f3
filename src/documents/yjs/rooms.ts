/** The documents that have clients, in whatever dialect these speak. */
import type * as Y from "yjs";
import { covers, type Grant } from "../../access.ts";
import { ClosedError } from "../../errors.ts";
import type { Client } from "../client.ts";
import type { ProtocolOptions } from "../protocol-options.ts";
import { Presence } from "./presence.ts";
import { Room } from "./room.ts";
import { type Dialect, Session } from "./session.ts";

/** The longest name of a document, in bytes of UTF-8: that of a key. */
export const nameBytesMax = 1_024;

/** All documents of one collection with their clients. */
export class Rooms {
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

  /** Whether somebody may come to a document. */
  judge(key: string, grant: Grant): "admitted" | "forbidden" | "not-found" {
    if (key === "" || Buffer.byteLength(key) > nameBytesMax || !key.isWellFormed()) {
      return "not-found";
    }
    return covers(grant.read, this.#options.collection, key) ? "admitted" : "forbidden";
  }

  /** Whether somebody may change it. */
  mayWrite(key: string, grant: Grant): boolean {
    return covers(grant.write, this.#options.collection, key);
  }

  /** A client comes, who was admitted. @throws ClosedError */
  join(key: string, client: Client, dialect: Dialect): Session {
    const room = this.#rooms.get(key) ?? this.#open(key);
    const session = new Session(client, room, {
      mayWrite: this.mayWrite(key, client.grant),
      dialect,
    });
    room.join(session);
    return session;
  }

  /** All clients are told to go. Harmless twice. */
  close(): void {
    for (const room of this.#rooms.values()) room.close();
    this.#rooms.clear();
    this.#presence.close();
  }

  #open(key: string): Room {
    const room: Room = new Room(key, {
      documents: this.#options.documents,
      presence: this.#presence,
      defer: (task) => this.#options.environment.defer(task),
      failed: (session, error) => this.#failed(session, error),
      // Where the document was removed, another room may have taken its place.
      emptied: () => this.#rooms.get(key) === room && this.#rooms.delete(key),
    });
    this.#rooms.set(key, room);
    return room;
  }

  #failed({ subject }: Session, error: unknown): void {
    // It comes back with what it sent, here or elsewhere.
    if (error instanceof ClosedError) return;
    const { collection, logger } = this.#options;
    logger.warn({ collection, subject, error: String(error) }, "refused what a client sent");
  }
}
