/**
 * Listens to what one process says and hears on the network: counts which paths of the protocol a run
 * takes, and sees to it that nobody goes on with a peer whose clock is beyond the bound.
 */
import { flagComplete, flagFirst, flagLast, flagRenumber } from "../../src/store/frame.ts";
import { readMessage } from "../../src/sync/protocol.ts";
import type { Connection, Receiver, Transport } from "../../src/sync/transport.ts";
import type { Sightings } from "./coverage.ts";

/** Who listens, and how it judges. */
export interface Listening {
  readonly name: string;
  /** The process's wall clock, in ms. */
  readonly now: () => number;
  /** How far apart two clocks may be when a link begins, in ms. */
  readonly skewMsMax: number;
  readonly sightings: Sightings;
  /** The first frame of a series has come from that host, and others are to follow. */
  readonly onSeries: (from: string) => void;
  readonly fail: (error: unknown) => void;
}

/** A transport that is listened to. */
export function tapped(transport: Transport, listening: Listening): Transport {
  return {
    check: (url) => transport.check(url),
    dial: (target, receiver) => {
      const wire = new Wire(listening);
      return wire.connection(transport.dial(target, wire.receiver(receiver)));
    },
    listen: (options, acceptor) =>
      transport.listen(options, {
        linksMax: acceptor.linksMax,
        accept: (connection, replicate) => {
          const wire = new Wire(listening);
          return wire.receiver(acceptor.accept(wire.connection(connection), replicate));
        },
      }),
  };
}

/** One end of a connection. */
class Wire {
  readonly #listening: Listening;
  /** By how much the peer's clock was off, said its hello. */
  #skewMs: number | undefined;
  /** Entries in the peer's vector, said its hello. */
  #peerActors = 0;
  #framesOut = 0;
  #connection: Connection | undefined;

  constructor(listening: Listening) {
    this.#listening = listening;
  }

  receiver(receiver: Receiver): Receiver {
    return {
      opened: () => receiver.opened(),
      message: (bytes) => {
        this.#heard(bytes);
        receiver.message(bytes);
      },
      drained: () => receiver.drained(),
      closed: (end) => receiver.closed(end),
    };
  }

  connection(connection: Connection): Connection {
    this.#connection = connection;
    return {
      get remoteAddress() {
        return connection.remoteAddress;
      },
      get bufferedBytes() {
        return connection.bufferedBytes;
      },
      send: (bytes) => {
        this.#said(bytes);
        connection.send(bytes);
      },
      close: (reason) => connection.close(reason),
      terminate: () => connection.terminate(),
    };
  }

  get #isRefused(): boolean {
    return Math.abs(this.#skewMs ?? 0) > this.#listening.skewMsMax;
  }

  #heard(bytes: Uint8Array): void {
    if (bytes[0] === frameKind && this.#beginsSeries(bytes)) {
      this.#listening.onSeries(this.#connection?.remoteAddress ?? "");
    }
    if (this.#skewMs !== undefined || bytes[0] !== helloKind) return;
    const { message } = readMessage(bytes);
    if (message.kind !== "hello") return;
    this.#peerActors = message.actors;
    this.#skewMs = message.wallMs - this.#listening.now();
    if (this.#isRefused) this.#listening.sightings.saw("refused clocks");
  }

  #beginsSeries(bytes: Uint8Array): boolean {
    const { message } = readMessage(bytes);
    const flags = message.kind === "frame" ? (message.bytes[0] ?? 0) : 0;
    return (flags & (flagFirst | flagLast)) === flagFirst;
  }

  #said(bytes: Uint8Array): void {
    const [kind] = bytes;
    if (kind === helloKind) return;
    if (kind !== frameKind && kind !== byeKind && !this.#isRefused) return;
    const { message } = readMessage(bytes);
    if (message.kind === "frame") this.#sent(message.bytes[0] ?? 0);
    const { name, fail } = this.#listening;
    if (message.kind === "bye") {
      if (message.code !== "clock" || this.#isRefused) return;
      fail(new Error(`${name} refuses a clock that is off by ${this.#skewMs} ms`));
    } else if (this.#isRefused) {
      fail(new Error(`${name} says ${message.kind} to a clock off by ${this.#skewMs} ms`));
    }
  }

  #sent(flags: number): void {
    const { sightings } = this.#listening;
    const isFirst = (flags & flagFirst) !== 0;
    const isComplete = (flags & flagComplete) !== 0;
    if (isFirst && (flags & flagLast) === 0)
      sightings.saw(isComplete ? "complete series" : "series");
    // Who has nothing is sent a complete state, too.
    if (isFirst && isComplete && this.#peerActors > 0) sightings.saw("below the floor");
    if (!isFirst && this.#framesOut === 0) sightings.saw("resumed series");
    if ((flags & flagRenumber) !== 0) sightings.saw("renumbered links");
    this.#framesOut++;
  }
}

/** First bytes of messages: others need not be read. */
const helloKind = 1;
const frameKind = 4;
const byeKind = 8;
