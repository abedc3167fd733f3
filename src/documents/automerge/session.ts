/** One client of automerge-repo: it says who it is, then speaks of any number of documents. */
import type { Client, ClientReceiver } from "../client.ts";
import {
  type Ephemeral,
  protocolVersion,
  readMessage,
  type Received,
  writeMessage,
} from "./messages.ts";
import type { ServedDocument, Watcher } from "./served-document.ts";

/** Documents that one client has open. */
export const documentsMax = 1_024;
/** Words are not said to a client for which more than this waits, in bytes. */
const wordsWaitingBytesMax = 1024 * 1024;

const codes = { left: 1000, protocol: 1002, malformed: 1007, failed: 1011 } as const;

/** Whom a session asks. */
export interface SessionHost {
  /** Our name, as peers of automerge-repo have one. */
  readonly peerId: string;
  mayRead(documentId: string): boolean;
  mayWrite(documentId: string): boolean;
  /** The document, as served from now on. @throws ClosedError */
  open(documentId: string): ServedDocument;
  /** A watcher has left it. */
  left(document: ServedDocument): void;
  say(documentId: string, word: Ephemeral): void;
  failed(error: unknown): void;
  /** A client asked for more documents than it may have open. Told once of each. */
  crowded(): void;
  over(session: Session): void;
}

/** One client of automerge-repo. */
export class Session implements ClientReceiver, Watcher {
  readonly #client: Client;
  readonly #host: SessionHost;
  readonly #documents = new Map<string, ServedDocument>();
  /** Its name, once it has said it. */
  #peerId: string | undefined;
  #isCrowded = false;
  #isOver = false;

  constructor(client: Client, host: SessionHost) {
    this.#client = client;
    this.#host = host;
  }

  get bufferedBytes(): number {
    return this.#client.bufferedBytes;
  }

  message(bytes: Uint8Array): void {
    if (this.#isOver) return;
    let received: Received;
    try {
      received = readMessage(bytes);
    } catch {
      return this.#end(codes.malformed, "no message of automerge-repo");
    }
    if (received.kind === "join") return this.#join(received.senderId, received.versions);
    if (this.#peerId === undefined) return this.#end(codes.protocol, "a join has to come first");
    this.#spoken(received, this.#peerId);
  }

  drained(): void {
    for (const document of this.#documents.values()) document.drained(this);
  }

  /** It hears no more, and nothing more is said to it. Harmless twice. */
  closed(): void {
    this.#leave();
    this.#host.over(this);
  }

  sendSync(documentId: string, data: Uint8Array): void {
    this.#send("sync", { documentId, data });
  }

  sendUnavailable(documentId: string): void {
    this.#send("doc-unavailable", { documentId });
  }

  /** Somebody else said this. */
  show(documentId: string, word: Ephemeral): void {
    if (word.senderId === this.#peerId || this.bufferedBytes > wordsWaitingBytesMax) return;
    this.#send("ephemeral", { documentId, ...word });
  }

  failed(error: unknown): void {
    this.#host.failed(error);
    this.#end(codes.failed, "the document cannot be sent");
  }

  refused(error: unknown): void {
    this.#host.failed(error);
    this.#end(codes.malformed, "no sync message of Automerge, or one that cannot be taken in");
  }

  #join(peerId: string, versions: readonly string[] | undefined): void {
    if (this.#peerId !== undefined && this.#peerId !== peerId)
      return this.#end(codes.protocol, "another name than before");
    this.#peerId = peerId;
    if (versions?.includes(protocolVersion) === false) {
      this.#send("error", { message: "unsupported protocol version" });
      return this.#end(codes.protocol, "unsupported protocol version");
    }
    this.#send("peer", { peerMetadata: {}, selectedProtocolVersion: protocolVersion });
  }

  #spoken(received: Received, peerId: string): void {
    switch (received.kind) {
      case "sync":
        if (received.senderId !== peerId) return this.#end(codes.protocol, "another's name");
        return this.#sync(received.documentId, received.data);
      case "ephemeral": {
        const { documentId, word } = received;
        // One that it passes on for somebody else comes from that one as well.
        if (word.senderId !== peerId || !this.#host.mayRead(documentId)) return undefined;
        return this.#host.say(documentId, word);
      }
      case "leave":
        return this.#end(codes.left, "");
      default:
        return undefined;
    }
  }

  #sync(documentId: string, data: Uint8Array): void {
    if (!this.#host.mayRead(documentId)) return this.sendUnavailable(documentId);
    let document = this.#documents.get(documentId);
    if (document === undefined && this.#documents.size >= documentsMax)
      return this.#refuseOneMore(documentId);
    try {
      document ??= this.#host.open(documentId);
      this.#documents.set(documentId, document);
      document.receive(this, data, this.#host.mayWrite(documentId));
    } catch (error) {
      this.refused(error);
    }
  }

  #refuseOneMore(documentId: string): void {
    this.sendUnavailable(documentId);
    if (!this.#isCrowded) this.#host.crowded();
    this.#isCrowded = true;
  }

  #send(
    type: string,
    fields: Readonly<
      Record<string, string | number | Uint8Array | Readonly<Record<string, never>>>
    >,
  ): void {
    if (this.#isOver) return;
    const to = { senderId: this.#host.peerId, targetId: this.#peerId ?? "" };
    this.#client.send(writeMessage({ type, ...to, ...fields }));
  }

  #end(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#leave();
    this.#client.close(code, reason);
  }

  #leave(): void {
    this.#isOver = true;
    for (const document of this.#documents.values()) {
      document.leave(this);
      this.#host.left(document);
    }
    this.#documents.clear();
  }
}
