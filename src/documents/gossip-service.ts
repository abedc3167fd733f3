/**
 * The words of all topics, over the links between replicas.
 *
 * A message is a topic, a key and bytes. What is news to a topic goes on to every peer but the one it came
 * from; nothing is kept and nothing waits, so a peer without room misses it. Two peers that have different
 * topics are no trouble to each other: what nobody here listens to is passed over, and goes no further.
 */
import { ByteReader, ByteWriter } from "../store/bytes.ts";
import type { GossipListener, GossipPeer, GossipTopic } from "./gossip.ts";

/** The longest word, in bytes. */
export const gossipBytesMax: number = 64 * 1024;
/** Of the name of a topic, and of a key, in UTF-8. */
const nameBytesMax = 1_024;

/** A peer over a link, as services are given it. */
export interface GossipLink {
  /** False if there is no room: then nothing was sent. */
  send(bytes: Uint8Array): boolean;
}

/** The service of that name, for all links and all topics of one replica. */
export class Gossip {
  readonly name = "gossip";
  readonly #links = new Set<GossipLink>();
  readonly #topics = new Map<string, GossipListener>();
  readonly #writer = new ByteWriter();

  /** Opens a topic. Its listener meets the peers that are there already. */
  topic(name: string, listener: GossipListener): GossipTopic {
    if (this.#topics.has(name)) throw new Error(`assertion: the topic ${name} is open`);
    this.#topics.set(name, listener);
    for (const link of this.#links) listener.met(this.#peerOf(link, name));
    return {
      tell: (key, bytes) => {
        const word = this.#word(name, key, bytes);
        if (word !== undefined) this.#spread(word, undefined);
      },
    };
  }

  linked(link: GossipLink): void {
    this.#links.add(link);
    for (const [topic, listener] of this.#topics) listener.met(this.#peerOf(link, topic));
  }

  unlinked(link: GossipLink): void {
    this.#links.delete(link);
  }

  /** The bytes are only there until the next turn. @throws MalformedError */
  received(link: GossipLink, bytes: Uint8Array): void {
    const reader = new ByteReader(bytes);
    const topic = reader.text(nameBytesMax);
    const key = reader.text(nameBytesMax);
    const length = reader.bounded(gossipBytesMax, "the length of a word");
    // Whoever listens may keep it.
    const word = Uint8Array.prototype.slice.call(reader.raw(length));
    reader.end();
    const isNews = this.#topics.get(topic)?.heard(key, word) ?? false;
    if (isNews) this.#spread(Uint8Array.prototype.slice.call(bytes), link);
  }

  #peerOf(link: GossipLink, topic: string): GossipPeer {
    return {
      tell: (key, bytes) => {
        const word = this.#word(topic, key, bytes);
        return word !== undefined && this.#links.has(link) && link.send(word);
      },
    };
  }

  #spread(word: Uint8Array, from: GossipLink | undefined): void {
    for (const link of this.#links) if (link !== from) link.send(word);
  }

  /** Undefined for what is too long to be told. */
  #word(topic: string, key: string, bytes: Uint8Array): Uint8Array | undefined {
    if (bytes.length > gossipBytesMax) return undefined;
    const writer = this.#writer;
    writer.reset();
    writer.text(topic);
    writer.text(key);
    writer.varint(bytes.length);
    writer.raw(bytes);
    return writer.take();
  }
}
