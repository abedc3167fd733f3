/** Messages over a connection, numbered from 1 in each direction, so that a broken network is found out. */
import { MalformedError } from "../store/bytes.ts";
import type { Message } from "./message.ts";
import { messageBytesMax, MessageWriter, readMessage } from "./protocol.ts";
import { protocolError } from "./refusal.ts";
import type { SessionState } from "./session.ts";
import type { LinkTraffic } from "./traffic.ts";
import type { Connection } from "./transport.ts";

/** The largest message that is read in each state, in bytes. */
const bytesMax: Readonly<Record<SessionState["kind"], number>> = {
  opening: messageBytesMax.hello,
  greeting: messageBytesMax.hello,
  meeting: messageBytesMax.hello,
  comparing: Math.max(messageBytesMax.summary, messageBytesMax.vector),
  streaming: messageBytesMax.frame,
  observing: messageBytesMax.answer,
  attending: messageBytesMax.ask,
  closed: 0,
};

/** One connection's messages. */
export class Channel implements LinkTraffic {
  readonly #writer = new MessageWriter();
  #connection: Connection | undefined;
  #sent = 0;
  #taken = 0;
  bytesIn = 0;
  bytesOut = 0;
  /** Frames of changes, which the link counts: those in once they are taken. */
  framesIn = 0;
  framesOut = 0;

  /** Gives the channel its connection, right after that was made. */
  attach(connection: Connection): void {
    this.#connection = connection;
  }

  /** Bytes that were sent and have not left yet. */
  get bufferedBytes(): number {
    return this.#connection?.bufferedBytes ?? 0;
  }

  send(message: Message): void {
    if (this.#connection === undefined) return;
    const bytes = this.#writer.write(++this.#sent, message);
    this.bytesOut += bytes.length;
    this.#connection.send(bytes);
  }

  /**
   * The message that came; undefined if it came before.
   * @throws MalformedError for more than may come in this state, and for what is no message;
   * ProtocolError when one was lost.
   */
  take(bytes: Uint8Array, state: SessionState["kind"]): Message | undefined {
    this.bytesIn += bytes.length;
    if (bytes.length > bytesMax[state]) throw new MalformedError(`${bytes.length} bytes, ${state}`);
    const { number, message } = readMessage(bytes);
    if (number <= this.#taken) return undefined;
    if (number > this.#taken + 1) {
      throw protocolError(`message ${number} after ${this.#taken}: the network lost some`);
    }
    this.#taken = number;
    return message;
  }

  /** Ends the connection after what was sent. */
  close(reason: string): void {
    this.#connection?.close(reason);
  }

  /** Ends the connection at once. */
  terminate(): void {
    this.#connection?.terminate();
  }
}
