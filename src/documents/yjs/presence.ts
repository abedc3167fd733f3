/**
 * Who is at which document, here and at other replicas.
 *
 * What clients here say goes to all clients of the document at the end of the turn, and to other replicas as
 * gossip with its age, so that a word grows old however long its way is. Where there is no room a word is lost:
 * the client says it again within 15 s. A replica that dies takes nothing back; what its clients said runs out.
 */
import type { Environment, Timer } from "../../environment.ts";
import { ByteReader, ByteWriter } from "../../store/bytes.ts";
import type { GossipListener, GossipPeer, GossipTopic } from "../gossip.ts";
import { Awareness, outdatedMs, type Verdict } from "./awareness.ts";
import { type AwarenessEntry, entriesMax, readState } from "./messages.ts";

/** What is known of all clients of all documents may take so much, in bytes, about. */
export const presenceBytesMax: number = 32 * 1024 * 1024;
/** What a document costs besides its clients. */
const documentBytes = 512;
/** Words to other replicas are cut after so many bytes. */
const wordBytes = 48 * 1024;

/** What it asks for. */
export interface PresenceOptions {
  readonly environment: Environment;
  readonly gossip: (listener: GossipListener) => GossipTopic;
  /** Clients of this document are to be told of this. */
  readonly show: (key: string, entries: readonly AwarenessEntry[]) => void;
}

/** Clients that were heard of in this turn. */
interface Fresh {
  /** For the clients here. */
  readonly shown: Set<number>;
  /** For other replicas. */
  readonly told: Set<number>;
}

/** The clients of all documents. */
export class Presence {
  readonly #options: PresenceOptions;
  readonly #topic: GossipTopic;
  readonly #documents = new Map<string, Awareness>();
  readonly #fresh = new Map<string, Fresh>();
  #bytes = 0;
  #sweeping: Timer | undefined;
  #isClosed = false;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#topic = options.gossip({
      heard: (key, bytes) => this.#heard(key, bytes),
      met: (peer) => this.#met(peer),
    });
  }

  /** How many documents have clients that are known. */
  get size(): number {
    return this.#documents.size;
  }

  /** Who is at a document. */
  entries(key: string): AwarenessEntry[] {
    return this.#documents.get(key)?.entries() ?? [];
  }

  /** Who is there, and who has gone of late. */
  everything(key: string): AwarenessEntry[] {
    return this.#documents.get(key)?.everything() ?? [];
  }

  /** A client here says something. Returns what it alone is to hear: that it was taken for gone, or its own words. */
  hear(key: string, speaker: object, entries: readonly AwarenessEntry[]): AwarenessEntry[] {
    const answer: AwarenessEntry[] = [];
    for (const entry of entries) {
      const verdict = this.#take(key, entry, speaker, 0);
      if (verdict === "news") this.#freshOf(key).told.add(entry.id);
      // A client that hears nothing at all takes the connection for dead.
      else if (verdict === "refused") answer.push(entry);
      else if (verdict === "gone") answer.push(...this.#awareness(key).entries([entry.id]));
    }
    return answer;
  }

  /** The connection is over. */
  end(key: string, speaker: object): void {
    const awareness = this.#documents.get(key);
    if (awareness === undefined || this.#isClosed) return;
    const { told, shown } = this.#freshOf(key);
    const ids = this.#weighed(awareness, () => awareness.end(speaker, this.#nowMs));
    for (const id of ids) {
      shown.add(id);
      told.add(id);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#sweeping?.cancel();
    this.#documents.clear();
    this.#fresh.clear();
  }

  get #nowMs(): number {
    return this.#options.environment.monotonic();
  }

  #heard(key: string, bytes: Uint8Array): boolean {
    const reader = new ByteReader(bytes);
    const count = reader.bounded(entriesMax, "the number of states");
    let isNews = false;
    for (let at = 0; at < count; at++) {
      const [id, clock, ageMs] = [reader.varint(), reader.varint(), reader.varint()];
      const entry = { id, clock, state: readState(reader) };
      if (this.#isClosed || ageMs >= outdatedMs) continue;
      if (this.#take(key, entry, undefined, ageMs) === "news") isNews = true;
    }
    reader.end();
    return isNews;
  }

  #met(peer: GossipPeer): void {
    for (const [key, awareness] of this.#documents) {
      for (const word of this.#words(awareness, awareness.entries())) {
        if (!peer.tell(key, word)) return;
      }
    }
  }

  #take(key: string, entry: AwarenessEntry, speaker: object | undefined, ageMs: number): Verdict {
    const roomBytes = presenceBytesMax - this.#bytes;
    if (roomBytes <= 0 && !this.#documents.has(key)) return "refused";
    const awareness = this.#awareness(key);
    const by = { speaker, nowMs: this.#nowMs, roomBytes, ageMs };
    const verdict = this.#weighed(awareness, () => awareness.hear(entry, by));
    if (verdict === "news") this.#freshOf(key).shown.add(entry.id);
    return verdict;
  }

  #awareness(key: string): Awareness {
    let awareness = this.#documents.get(key);
    if (awareness === undefined) {
      awareness = new Awareness();
      this.#documents.set(key, awareness);
      this.#bytes += documentBytes;
      this.#sweepLater();
    }
    return awareness;
  }

  #weighed<T>(awareness: Awareness, change: () => T): T {
    const before = awareness.bytes;
    const result = change();
    this.#bytes += awareness.bytes - before;
    return result;
  }

  #freshOf(key: string): Fresh {
    if (this.#fresh.size === 0) this.#options.environment.defer(() => this.#spread());
    const fresh = this.#fresh.get(key) ?? { shown: new Set(), told: new Set() };
    this.#fresh.set(key, fresh);
    return fresh;
  }

  /** At the end of the turn: however often a client spoke, its last word is told. */
  #spread(): void {
    const fresh = [...this.#fresh];
    this.#fresh.clear();
    for (const [key, { shown, told }] of fresh) {
      const awareness = this.#documents.get(key);
      if (awareness === undefined) continue;
      if (shown.size > 0) this.#options.show(key, awareness.entries(shown));
      const words = this.#words(awareness, awareness.entries(told));
      for (const word of words) this.#topic.tell(key, word);
    }
  }

  *#words(awareness: Awareness, entries: readonly AwarenessEntry[]): Generator<Uint8Array> {
    const nowMs = this.#nowMs;
    const body = new ByteWriter();
    let count = 0;
    for (const { id, clock, state } of entries) {
      body.varint(id);
      body.varint(clock);
      body.varint(Math.floor(awareness.ageMs(id, nowMs)));
      body.text(state);
      count++;
      if (body.length < wordBytes) continue;
      yield wordOf(count, body);
      body.reset();
      count = 0;
    }
    if (count > 0) yield wordOf(count, body);
  }

  #sweepLater(): void {
    this.#sweeping ??= this.#options.environment.schedule(outdatedMs / 10, () => this.#sweep());
  }

  #sweep(): void {
    this.#sweeping = undefined;
    for (const [key, awareness] of this.#documents) {
      // Every replica finds that out by itself.
      for (const id of this.#weighed(awareness, () => awareness.expire(this.#nowMs))) {
        this.#freshOf(key).shown.add(id);
      }
      if (!awareness.isEmpty) continue;
      this.#documents.delete(key);
      this.#bytes -= documentBytes;
    }
    if (this.#documents.size > 0) this.#sweepLater();
  }
}

function wordOf(count: number, body: ByteWriter): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(count);
  writer.raw(body.view());
  return writer.take();
}
