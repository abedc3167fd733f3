/** The port to those who edit documents behind the door of a replica, with clients of their own libraries. */
import type { Grant } from "../access.ts";

/** A client's connection: a WebSocket that was admitted. Calls on one that is over do nothing. */
export interface Client {
  readonly grant: Grant;
  readonly remoteAddress: string;
  /** Bytes that were sent and have not left yet. Who does not read costs this much and no more: look before you send. */
  readonly bufferedBytes: number;
  /** Sends one binary message. The bytes must not change afterwards. */
  send(bytes: Uint8Array): void;
  /**
   * Ends the connection after what was sent. By the convention of Yjs' clients 4400 to 4499 says that coming back
   * is of no use, everything else that it is.
   */
  close(code: number, reason: string): void;
}

/** Who hears of a client. None of these may throw. */
export interface ClientReceiver {
  /** One binary message, within the bound. The bytes are the receiver's to keep. */
  message(bytes: Uint8Array): void;
  /** Some of what was buffered has left. */
  drained(): void;
  /** The connection is over. Called once; nothing is called afterwards. */
  closed(): void;
}

/** One protocol that clients speak. */
export interface ClientProtocol {
  /** The first segment of the path that it is spoken at. */
  readonly segment: string;
  /** The longest message that is taken, in bytes. */
  readonly messageBytesMax: number;
  /** How the connection ends with a longer one; 1009 by default. */
  readonly tooLargeCode?: number;
  /** Whether somebody may come in there. `path` is what follows the segment and its slash, decoded. */
  judge(path: string, grant: Grant): "admitted" | "forbidden" | "not-found";
  /** Takes a client that was admitted. */
  accept(client: Client, path: string): ClientReceiver;
  /** No more clients: those that are there were told to go. */
  close(): void;
}
