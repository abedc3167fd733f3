/**
 * Ephemeral messages: words that clients say to whoever has a document open, and that nobody keeps.
 *
 * Each comes to a client once: whoever said it counts its words, and of each author's session the highest count is
 * remembered here. Of so many authors that the window is full, the one who said nothing for the longest time is
 * forgotten; its words may then come twice.
 */
import { type Ephemeral, readEphemeral, writeEphemeral } from "./messages.ts";
import type { GossipListener, GossipTopic } from "../gossip.ts";
import { malformed } from "../../store/bytes.ts";
import { isDocumentId } from "./document-id.ts";

/** The longest word, in bytes. */
export const wordBytesMax: number = 16 * 1024;
/** Authors that are remembered. */
const authorsMax = 4_096;

/** What words are made of. */
export interface WordsOptions {
  readonly gossip: (listener: GossipListener) => GossipTopic;
  /** Shows a word to the clients here. */
  readonly show: (documentId: string, word: Ephemeral) => void;
}

/** The words of one collection's documents. */
export class Words {
  readonly #topic: GossipTopic;
  readonly #options: WordsOptions;
  /** The highest count of each author, who spoke last at the end. */
  readonly #counts = new Map<string, number>();

  constructor(options: WordsOptions) {
    this.#options = options;
    this.#topic = options.gossip({
      heard: (key, bytes) => this.#heard(key, bytes),
      met: () => undefined,
    });
  }

  /** A client here said something. */
  say(documentId: string, word: Ephemeral): void {
    if (word.data.length > wordBytesMax || !this.#isNews(word)) return;
    this.#options.show(documentId, word);
    this.#topic.tell(documentId, writeEphemeral(word));
  }

  #heard(documentId: string, bytes: Uint8Array): boolean {
    const word = readEphemeral(bytes);
    if (word.data.length > wordBytesMax || !isDocumentId(documentId)) malformed("a word");
    if (!this.#isNews(word)) return false;
    this.#options.show(documentId, word);
    return true;
  }

  #isNews({ senderId, sessionId, count }: Ephemeral): boolean {
    const author = JSON.stringify([senderId, sessionId]);
    const known = this.#counts.get(author);
    if (known !== undefined && known >= count) return false;
    this.#counts.delete(author);
    this.#counts.set(author, count);
    if (this.#counts.size > authorsMax) {
      const [oldest = author] = this.#counts.keys();
      this.#counts.delete(oldest);
    }
    return true;
  }
}
