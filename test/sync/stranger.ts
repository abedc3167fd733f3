/** A peer that says whatever a test has it say. */
import { actorIdFromBytes } from "../../src/crdt/dot.ts";
import { digest } from "../../src/sync/digest.ts";
import type { Hello, Message } from "../../src/sync/message.ts";
import { MessageWriter, readMessage } from "../../src/sync/protocol.ts";
import type { Connection } from "../../src/sync/transport.ts";
import { epochMs } from "../simulation/virtual-environment.ts";
import type { Cluster } from "./cluster.ts";

/** One end of a link, by hand. */
export class Stranger {
  readonly heard: Message[] = [];
  readonly bytes: Uint8Array[] = [];
  readonly #writer = new MessageWriter();
  readonly #connection: Connection;
  #sent = 0;
  isClosed = false;

  constructor(cluster: Cluster, name: string, url = "mem://a") {
    const transport = cluster.network.transport(name, cluster.world.environment());
    this.#connection = transport.dial(
      { url },
      {
        opened: () => undefined,
        message: (bytes) => {
          this.bytes.push(bytes);
          this.heard.push(readMessage(bytes).message);
        },
        drained: () => undefined,
        closed: () => {
          this.isClosed = true;
        },
      },
    );
  }

  say(message: Message, number: number = ++this.#sent): void {
    this.#connection.send(this.#writer.write(number, message));
  }

  sayBytes(bytes: Uint8Array): void {
    this.#connection.send(bytes);
  }

  get bye(): string | undefined {
    const last = this.heard.at(-1);
    return last?.kind === "bye" ? last.code : undefined;
  }
}

/** A hello of somebody who holds nothing. */
export const hello = (more: Partial<Hello> = {}): Hello => ({
  kind: "hello",
  versions: { min: 1, max: 1 },
  frameVersion: 1,
  actor: actorIdFromBytes(new Uint8Array(16).fill(0xee)),
  name: "stranger",
  nonce: new Uint8Array(16),
  wallMs: epochMs,
  isDurable: false,
  link: 1,
  collections: [],
  actors: 0,
  digest: digest([]),
  ...more,
});
