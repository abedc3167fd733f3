/**
 * The dialect of Hocuspocus (`@hocuspocus/provider` 3 and 4): `/hocuspocus`, several documents over one connection.
 *
 * The name of the document comes before each message. The client opens a document with a token, which counts for
 * nothing here: who it is was found out at the door, from the header or the query of the URL. Each change that
 * comes is answered with whether it was taken in. Messages without state (`stateless`) are for servers that have
 * something to do with them, and are passed over.
 *
 * Where a document was removed, or is full, it is closed with a message, and the others go on: a client whose
 * connection ends comes back whatever the code, and would bring the same for ever. All else ends the connection.
 */
import type { Grant } from "../../access.ts";
import { ByteReader, ByteWriter, MalformedError } from "../../store/bytes.ts";
import { documentBytesMax } from "../../store/documents/written-updates.ts";
import type { Client, ClientProtocol, ClientReceiver } from "../client.ts";
import { type Close, closeFor, closes } from "./closes.ts";
import { nameBytesMax, type Rooms } from "./rooms.ts";
import type { Dialect, Session } from "./session.ts";

const kinds = { auth: 2, close: 7, syncStatus: 8 } as const;
const auth = { denied: 1, authenticated: 2 } as const;

/** Documents that one connection has open. */
export const documentsPerClientMax = 256;

const statusMessage = (isTaken: boolean): Uint8Array =>
  Uint8Array.of(kinds.syncStatus, isTaken ? 1 : 0);

const dialect: Dialect = { asks: "in return", status: statusMessage };

/** Serves documents to clients of Hocuspocus. */
export class HocuspocusProtocol implements ClientProtocol {
  readonly segment = "hocuspocus";
  /** A document is one update, and has its name and a few bytes before it. */
  readonly messageBytesMax: number = documentBytesMax + nameBytesMax + 1_024;
  readonly #rooms: Rooms;
  readonly #framing = new Framing();

  constructor(rooms: Rooms) {
    this.#rooms = rooms;
  }

  /** Which documents, is asked later. */
  judge(path: string, grant: Grant): "admitted" | "forbidden" | "not-found" {
    if (path !== "") return "not-found";
    return grant.read.length > 0 ? "admitted" : "forbidden";
  }

  accept(client: Client): ClientReceiver {
    return new Connection(client, this.#rooms, this.#framing);
  }

  close(): void {
    this.#rooms.close();
  }
}

/** Puts names before messages, once for all who are sent the same. */
class Framing {
  readonly #framed = new WeakMap<
    Uint8Array,
    { readonly name: string; readonly bytes: Uint8Array }
  >();

  frame(name: string, message: Uint8Array): Uint8Array {
    const known = this.#framed.get(message);
    if (known?.name === name) return known.bytes;
    const writer = new ByteWriter();
    writer.text(name);
    const head = writer.view();
    const bytes = new Uint8Array(head.length + message.length);
    bytes.set(head);
    bytes.set(message, head.length);
    this.#framed.set(message, { name, bytes });
    return bytes;
  }
}

/** One connection with its documents. */
class Connection implements ClientReceiver {
  readonly #client: Client;
  readonly #rooms: Rooms;
  readonly #framing: Framing;
  readonly #sessions = new Map<string, Session>();
  #isOver = false;

  constructor(client: Client, rooms: Rooms, framing: Framing) {
    this.#client = client;
    this.#rooms = rooms;
    this.#framing = framing;
  }

  message(bytes: Uint8Array): void {
    if (this.#isOver) return;
    try {
      this.#take(bytes);
    } catch (error) {
      this.#end(error instanceof MalformedError ? closes.malformed : closeFor(error));
    }
  }

  drained(): void {
    // Each looks at what is buffered by then.
    for (const session of this.#sessions.values()) session.drained();
  }

  closed(): void {
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const session of sessions) session.closed();
  }

  #take(bytes: Uint8Array): void {
    const reader = new ByteReader(bytes);
    const name = reader.text(nameBytesMax);
    const start = reader.offset;
    const kind = reader.varint();
    const session = this.#sessions.get(name);
    if (kind === kinds.auth) {
      if (session === undefined) this.#open(name);
    } else if (session === undefined) {
      // It was closed, and the client did not know yet; or it may not have it.
    } else if (kind === kinds.close) this.#leave(name, session);
    else session.message(bytes.subarray(start));
  }

  #open(name: string): void {
    const { grant } = this.#client;
    const judged = this.#rooms.judge(name, grant);
    const isFull = this.#sessions.size >= documentsPerClientMax;
    if (judged !== "admitted" || isFull) {
      return this.#send(name, authMessage(auth.denied, isFull ? "too many documents" : judged));
    }
    const scope = this.#rooms.mayWrite(name, grant) ? "read-write" : "readonly";
    this.#send(name, authMessage(auth.authenticated, scope));
    const session = this.#rooms.join(name, this.#clientFor(name), dialect);
    this.#sessions.set(name, session);
  }

  /** The connection, as the session of one document sees it. */
  #clientFor(name: string): Client {
    const client = this.#client;
    return {
      grant: client.grant,
      remoteAddress: client.remoteAddress,
      get bufferedBytes(): number {
        return client.bufferedBytes;
      },
      send: (bytes) => this.#send(name, bytes),
      close: (code, reason) => this.#closed(name, { code, reason }),
    };
  }

  /** A session told its client to go. */
  #closed(name: string, close: Close): void {
    if (close.code !== closes.removed.code && close.code !== closes.tooLarge.code)
      return this.#end(close);
    const writer = new ByteWriter();
    writer.varint(kinds.close);
    writer.text(close.reason);
    this.#send(name, writer.take());
    const session = this.#sessions.get(name);
    if (session !== undefined) this.#leave(name, session);
  }

  #leave(name: string, session: Session): void {
    this.#sessions.delete(name);
    session.closed();
  }

  #end({ code, reason }: Close): void {
    this.#isOver = true;
    this.#client.close(code, reason);
  }

  #send(name: string, message: Uint8Array): void {
    this.#client.send(this.#framing.frame(name, message));
  }
}

function authMessage(kind: number, text: string): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(kinds.auth);
  writer.varint(kind);
  writer.text(text);
  return writer.take();
}
