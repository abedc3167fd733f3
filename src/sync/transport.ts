/**
 * The port to a network: it carries opaque messages in order, or it ends. Who is at the other end,
 * what the messages mean and whether the link is still alive is decided above it.
 *
 * The simulated twin (`transport/memory.ts`) may also lose, double, delay and reorder messages, as a
 * broken network would; the messages are numbered, so that this ends a link and does no more.
 */

import type { Address, DialTlsOptions, Door, DoorOptions } from "../door.ts";

/** What a connection calls. None of these may be called from within `dial` or `send`. */
export interface Receiver {
  /** Messages can be sent now. Called once, before any message. */
  opened(): void;
  /** A whole message. The bytes are the receiver's to keep. */
  message(bytes: Uint8Array): void;
  /** Some of what was buffered has left. */
  drained(): void;
  /** The connection is gone, or never came to be. Called once; nothing is called afterwards. */
  closed(end: ConnectionEnd): void;
}

/** Why a connection is gone. */
export interface ConnectionEnd {
  /** What happened, for people. */
  readonly reason: string;
  /**
   * What went wrong, if that is known: `UnauthorizedError` and `OverloadedError` for a dial that
   * was refused, `ProtocolError` for bytes that the transport itself does not allow.
   */
  readonly error?: Error;
}

/** One connection, from either side. Calls on one that is gone do nothing. */
export interface Connection {
  /** Where the peer is, as far as the network knows. */
  readonly remoteAddress: string;
  /** Bytes that were sent and have not left yet. */
  readonly bufferedBytes: number;
  /** Sends a message, after those before. The bytes must not change afterwards. */
  send(bytes: Uint8Array): void;
  /** Ends the connection after what was sent; within a bounded time even if the peer does not answer. */
  close(reason: string): void;
  /** Ends the connection at once. */
  terminate(): void;
}

/** Whom to dial. */
export interface DialTarget {
  readonly url: string;
  /** Proves to the peer who we are: travels as a bearer token. */
  readonly token?: string;
  /** For `wss:` URLs. */
  readonly tls?: DialTlsOptions;
}

/** A bound port. */
export interface Listener {
  readonly address: Address;
  /** What else may be had behind the port; absent where there is nothing but links. */
  readonly door?: Door;
  /** Stops listening and ends every connection that is left. Harmless twice. */
  close(): Promise<void>;
}

/** What a transport asks for accepted connections. */
export interface Acceptor {
  /** Connections at a time; more are refused as overload. */
  readonly linksMax: number;
  /** Who receives from an accepted connection, whose other end may write to us, or only read. */
  accept(connection: Connection, replicate: "read" | "write"): Receiver;
}

/** Dials and listens. */
export interface Transport {
  /** @throws UsageError when `url` is none that this transport can dial. */
  check(url: string): void;
  /** Starts a connection. How that went is told to `receiver`. */
  dial(target: DialTarget, receiver: Receiver): Connection;
  /**
   * Resolves once the port is bound.
   * @throws UsageError when it would listen beyond loopback without authentication, or the port is
   * taken; nothing is bound then.
   */
  listen(options: DoorOptions, acceptor: Acceptor): Promise<Listener>;
}
