/** Peers and clients of the Yjs protocol without sockets: in virtual time, the client's part by y-protocols. */
import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import * as syncProtocol from "y-protocols/sync";
import * as Y from "yjs";
import { fullGrant, type Grant, grantOf } from "../../../src/access.ts";
import { yDoc } from "../../../src/bridge/yjs.ts";
import type { Client, ClientProtocol, ClientReceiver } from "../../../src/documents/client.ts";
import { Gossip, type GossipLink } from "../../../src/documents/gossip-service.ts";
import { yjsProtocols } from "../../../src/documents/yjs/protocol.ts";
import type { DocumentCollection } from "../../../src/store/collections/documents.ts";
import { openCollections } from "../../../src/store/collections/open.ts";
import { Keyspace } from "../../../src/store/keyspace.ts";
import { silentLogger, silentTelemetry } from "../../../src/telemetry.ts";
import { type VirtualEnvironment, World } from "../../simulation/virtual-environment.ts";

const schema = { yjs: yDoc() };

/** May read all documents and change none. */
export const readOnly: Grant = grantOf({ subject: "reader" }, ["read:yjs"]);

/** One replica with the protocol, and no links but those that a test makes. */
export class MemoryPeer {
  readonly environment: VirtualEnvironment;
  readonly keyspace: Keyspace;
  readonly documents: DocumentCollection<Y.Doc, Y.Doc>;
  readonly gossip = new Gossip();
  readonly protocol: ClientProtocol;
  readonly hocuspocus: ClientProtocol;
  readonly warnings: string[] = [];

  constructor(world: World) {
    const environment = world.environment();
    this.environment = environment;
    this.keyspace = new Keyspace({ schema, environment });
    this.documents = openCollections(this.keyspace, schema).yjs;
    const [yjs, hocuspocus] = yjsProtocols({
      documents: this.documents,
      collection: "yjs",
      environment,
      telemetry: silentTelemetry,
      logger: {
        ...silentLogger,
        warn: (fields) => void this.warnings.push(JSON.stringify(fields)),
      },
      gossip: (listener) => this.gossip.topic("yjs/yjs", listener),
    });
    this.protocol = yjs;
    this.hocuspocus = hocuspocus;
  }

  /** A client that is admitted. */
  client(path = "d", grant: Grant = fullGrant, doc: Y.Doc = new Y.Doc()): MemoryClient {
    return new MemoryClient(this, path, grant, doc);
  }

  text(key = "d"): string {
    return this.documents.get(key).getText("t").toJSON();
  }
}

/** One peer in a world of its own. */
export function onePeer(seed = 1): { readonly world: World; readonly peer: MemoryPeer } {
  const world = new World(seed);
  return { world, peer: new MemoryPeer(world) };
}

/** Words go between two peers. Returns what cuts them apart. */
export function link(one: MemoryPeer, other: MemoryPeer): () => void {
  let isUp = true;
  const ends: GossipLink[] = [];
  /** An end whose other end is `back` of the list. */
  const end = (to: MemoryPeer, back: number): GossipLink => ({
    send: (bytes) => {
      const from = ends[back];
      if (isUp && from) to.environment.defer(() => isUp && to.gossip.received(from, bytes));
      return isUp;
    },
  });
  const [toOther, toOne] = [end(other, 1), end(one, 0)];
  ends.push(toOther, toOne);
  one.gossip.linked(toOther);
  other.gossip.linked(toOne);
  return () => {
    isUp = false;
    one.gossip.unlinked(toOther);
    other.gossip.unlinked(toOne);
  };
}

/** A client: what it is sent waits until it reads. */
export class MemoryClient implements Client {
  readonly remoteAddress = "memory";
  readonly grant: Grant;
  readonly doc: Y.Doc;
  /** All that was sent to it. */
  readonly sent: Uint8Array[] = [];
  readonly denials: string[] = [];
  /** What it was told of others, and of itself: the latest state by id. */
  readonly states = new Map<number, { readonly clock: number; readonly state: unknown }>();
  bufferedBytes = 0;
  bufferedMost = 0;
  isReading = true;
  isSynced = false;
  closed: number | undefined;
  readonly #receiver: ClientReceiver;
  #read = 0;

  constructor(peer: MemoryPeer, path: string, grant: Grant, doc: Y.Doc) {
    this.grant = grant;
    this.doc = doc;
    this.#receiver = peer.protocol.accept(this, path);
    doc.on("update", (update: Uint8Array, origin: unknown) => {
      if (origin !== this) this.say((encoder) => syncProtocol.writeUpdate(encoder, update));
    });
    this.say((encoder) => syncProtocol.writeSyncStep1(encoder, doc));
  }

  send(bytes: Uint8Array): void {
    this.sent.push(bytes);
    this.bufferedBytes += bytes.length;
    this.bufferedMost = Math.max(this.bufferedMost, this.bufferedBytes);
  }

  close(code: number): void {
    if (this.closed !== undefined) return;
    this.closed = code;
    this.#receiver.closed();
  }

  /** The connection breaks. */
  leave(): void {
    this.close(1006);
  }

  /** Reads all that came. */
  read(): void {
    if (!this.isReading) return;
    while (this.#read < this.sent.length) this.#take(this.sent[this.#read++] as Uint8Array);
    if (this.bufferedBytes === 0) return;
    this.bufferedBytes = 0;
    if (this.closed === undefined) this.#receiver.drained();
  }

  /** Says something of the sync protocol. */
  say(write: (encoder: encoding.Encoder) => void): void {
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, 0);
    write(encoder);
    this.raw(encoding.toUint8Array(encoder));
  }

  /** Says something of clients: id, clock, state. */
  tell(...entries: readonly (readonly [number, number, unknown])[]): void {
    const inner = encoding.createEncoder();
    encoding.writeVarUint(inner, entries.length);
    for (const [id, clock, state] of entries) {
      encoding.writeVarUint(inner, id);
      encoding.writeVarUint(inner, clock);
      encoding.writeVarString(inner, JSON.stringify(state));
    }
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, 1);
    encoding.writeVarUint8Array(encoder, encoding.toUint8Array(inner));
    this.raw(encoding.toUint8Array(encoder));
  }

  raw(bytes: Uint8Array): void {
    if (this.closed === undefined) this.#receiver.message(bytes);
  }

  text(): string {
    return this.doc.getText("t").toJSON();
  }

  #take(bytes: Uint8Array): void {
    const decoder = decoding.createDecoder(bytes);
    const kind = decoding.readVarUint(decoder);
    if (kind === 0) this.#sync(decoder);
    else if (kind === 1) this.#awareness(decoding.readVarUint8Array(decoder));
    else if (kind === 2 && decoding.readVarUint(decoder) === 0) {
      this.denials.push(decoding.readVarString(decoder));
    } else throw new Error(`the client knows no message ${kind}`);
  }

  #sync(decoder: decoding.Decoder): void {
    const reply = encoding.createEncoder();
    encoding.writeVarUint(reply, 0);
    const kind = syncProtocol.readSyncMessage(decoder, reply, this.doc, this);
    if (kind === syncProtocol.messageYjsSyncStep2) this.isSynced = true;
    if (encoding.length(reply) > 1) this.raw(encoding.toUint8Array(reply));
  }

  #awareness(bytes: Uint8Array): void {
    const decoder = decoding.createDecoder(bytes);
    const count = decoding.readVarUint(decoder);
    for (let at = 0; at < count; at++) {
      const [id, clock] = [decoding.readVarUint(decoder), decoding.readVarUint(decoder)];
      const state: unknown = JSON.parse(decoding.readVarString(decoder));
      const known = this.states.get(id);
      const isNews = known === undefined || clock > known.clock;
      if (isNews || (clock === known.clock && state === null))
        this.states.set(id, { clock, state });
    }
  }
}

/** Runs until nobody has anything to say. */
export function settle(world: World, ...clients: readonly MemoryClient[]): void {
  for (let round = 0; round < 50; round++) {
    world.run({ forMs: 1 });
    for (const client of clients) client.read();
  }
}

/** Who a client thinks is there. */
export const presentTo = (client: MemoryClient): unknown[] =>
  [...client.states.values()].map(({ state }) => state).filter((state) => state !== null);
