/**
 * One client at one document.
 *
 * Nothing waits for a client. One that reads too slowly is *behind*: it is sent nothing more until it has read,
 * and then what it lacks in one piece. So it costs what the connection holds, and a state vector.
 */
import * as Y from "yjs";
import { MalformedError } from "../../store/bytes.ts";
import type { Client, ClientReceiver } from "../client.ts";
import { Behind } from "./behind.ts";
import { type Close, closes } from "./closes.ts";
import {
  type AwarenessEntry,
  awarenessMessage,
  type Message,
  readMessage,
  step1Message,
  step2Message,
  updateMessage,
} from "./messages.ts";

/** Who has more than this buffered is behind, in bytes. */
export const bufferedBytesMax: number = 1024 * 1024;
/** Who has less than this buffered again is sent what it lacks, in bytes. */
const drainedBytes = bufferedBytesMax / 4;
/** A state vector is a few bytes for each who ever wrote; a longer one is not looked at. */
const vectorBytesMax = 1024 * 1024;

/** The document, and who else is there. */
export interface SessionRoom {
  /** The document as it is now. */
  readonly doc: Y.Doc;
  /** To be applied at the end of this turn. */
  receive(session: Session, update: Uint8Array): void;
  /** The client says something of itself. Returns what it alone is to hear. */
  hear(session: Session, entries: readonly AwarenessEntry[]): readonly AwarenessEntry[];
  /** Who is there, and, if so asked, who has gone of late. */
  present(withGone: boolean): readonly AwarenessEntry[];
  /** What threw that should not have. */
  failed(session: Session, error: unknown): void;
  /** The connection is over. */
  left(session: Session): void;
}

/** What clients of one kind are told in their own way. */
export interface Dialect {
  /** Who asks what the other has first: we, when it comes, or we in return whenever it asked us. */
  readonly asks: "first" | "in return";
  /** Told once, to a client that may only read and tried to write. */
  readonly denied?: Uint8Array;
  /** Told of each change: whether it was taken in. */
  readonly status?: (isTaken: boolean) => Uint8Array;
}

/** A message to many, and where what it has begins, by client: read only if somebody misses it. */
export interface Sending {
  readonly message: Uint8Array;
  readonly from: () => ReadonlyMap<number, number>;
}

/** One client of a document. */
export class Session implements ClientReceiver {
  readonly #client: Client;
  readonly #room: SessionRoom;
  readonly #mayWrite: boolean;
  readonly #dialect: Dialect;
  #behind: Behind | undefined;
  /** It asked, while it was behind. */
  #owesStep2 = false;
  #isDenied = false;
  /** Changes that were taken in, of which it does not know yet. */
  #untold = 0;
  #isOver = false;

  constructor(
    client: Client,
    room: SessionRoom,
    how: { readonly mayWrite: boolean; readonly dialect: Dialect },
  ) {
    this.#client = client;
    this.#room = room;
    this.#mayWrite = how.mayWrite;
    this.#dialect = how.dialect;
  }

  /** Whether nothing of it counts any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  get isBehind(): boolean {
    return this.#behind !== undefined;
  }

  /** For logs. */
  get subject(): string {
    return this.#client.grant.subject;
  }

  /** Asks what the client has, and says who is there. */
  start(): void {
    this.#safely(() => {
      if (this.#dialect.asks === "first") this.#ask();
      const present = this.#room.present(false);
      if (present.length > 0) this.#client.send(awarenessMessage(present));
    });
  }

  message(bytes: Uint8Array): void {
    if (this.#isOver) return;
    this.#safely(() => this.#take(readMessage(bytes)));
  }

  drained(): void {
    if (this.#behind === undefined || this.#isOver) return;
    if (this.#client.bufferedBytes < drainedBytes) this.#safely(() => this.#catchUp());
  }

  closed(): void {
    this.#isOver = true;
    this.#behind = undefined;
    this.#room.left(this);
  }

  /** Changes of the document that are not its own. */
  changed(sending: Sending): void {
    if (this.#isOver) return;
    this.#safely(() => {
      if (this.#isReady()) this.#client.send(sending.message);
      this.#behind?.missed(sending.from());
    });
  }

  /** So many of its changes were taken in. */
  applied(changes: number): void {
    if (this.#isOver || this.#dialect.status === undefined) return;
    this.#untold += changes;
    this.#safely(() => this.#acknowledge());
  }

  /** Somebody's awareness. Who is behind is told all of it later. */
  told(message: Uint8Array): void {
    if (this.#isOver) return;
    this.#safely(() => {
      if (this.#isReady()) this.#client.send(message);
    });
  }

  /** Ends it. */
  close({ code, reason }: Close): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#behind = undefined;
    this.#client.close(code, reason);
  }

  #take(message: Message): void {
    switch (message.kind) {
      case "step-1":
        return this.#answer(message.vector);
      case "step-2":
      case "update":
        return this.#update(message);
      case "awareness":
        return this.#awareness(this.#room.hear(this, message.entries));
      case "query-awareness":
        return this.#awareness(this.#room.present(false));
      case "unknown":
    }
  }

  #answer(vector: Uint8Array): void {
    if (vector.length > vectorBytesMax) return this.close(closes.tooLarge);
    let asked: Behind;
    try {
      asked = new Behind(vector);
    } catch {
      return this.close(closes.malformed);
    }
    if (this.#isReady()) {
      this.#client.send(step2Message(asked.lacks(this.#room.doc)));
      if (this.#dialect.asks === "in return") this.#ask();
    } else {
      this.#behind = asked;
      this.#owesStep2 = true;
    }
  }

  #ask(): void {
    this.#client.send(step1Message(Y.encodeStateVector(this.#room.doc)));
  }

  #update({
    kind,
    update,
  }: {
    readonly kind: "step-2" | "update";
    readonly update: Uint8Array;
  }): void {
    if (this.#mayWrite) return this.#room.receive(this, update);
    const { denied, status } = this.#dialect;
    if (this.#isDenied && status === undefined) return;
    const isDenied = isNews(update, kind, this.#room.doc);
    if (!this.#isReady()) return;
    if (status !== undefined) this.#client.send(status(!isDenied));
    if (!isDenied || this.#isDenied) return;
    this.#isDenied = true;
    if (denied !== undefined) this.#client.send(denied);
  }

  #acknowledge(): void {
    const { status } = this.#dialect;
    if (status === undefined) return;
    while (this.#untold > 0 && this.#isReady()) {
      this.#client.send(status(true));
      this.#untold--;
    }
  }

  #awareness(entries: readonly AwarenessEntry[]): void {
    if (entries.length > 0 && this.#isReady()) this.#client.send(awarenessMessage(entries));
  }

  /** Whether it can be sent something now; else it is behind from here on. */
  #isReady(): boolean {
    if (this.#behind !== undefined) return false;
    if (this.#client.bufferedBytes <= bufferedBytesMax) return true;
    this.#behind = new Behind(Y.encodeStateVector(this.#room.doc));
    return false;
  }

  #catchUp(): void {
    const behind = this.#behind;
    if (behind === undefined) return;
    const lacks = behind.lacks(this.#room.doc);
    this.#client.send(this.#owesStep2 ? step2Message(lacks) : updateMessage(lacks));
    const isAsked = this.#owesStep2;
    this.#behind = undefined;
    this.#owesStep2 = false;
    if (isAsked && this.#dialect.asks === "in return") this.#ask();
    this.#awareness(this.#room.present(true));
    this.#acknowledge();
  }

  /** A client is never the end of others, nor of a turn. */
  #safely(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof MalformedError) return this.close(closes.malformed);
      this.#room.failed(this, error);
      this.close(closes.failed);
    }
  }
}

/**
 * Whether a client that may only read tries to change something. An answer to our question has all deletions
 * that the client knows of, so those alone say nothing. @throws MalformedError
 */
function isNews(update: Uint8Array, kind: "step-2" | "update", doc: Y.Doc): boolean {
  let to: ReadonlyMap<number, number>;
  try {
    ({ to } = Y.parseUpdateMeta(update));
  } catch {
    throw new MalformedError("the bytes are no update");
  }
  if (to.size === 0) return kind === "update";
  return [...to].some(([client, clock]) => clock > Y.getState(doc.store, client));
}
