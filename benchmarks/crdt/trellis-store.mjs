/**
 * What of Trellis is measured below the public contract, which has no bytes: updates, states and
 * frames. Keyspaces are joined here by the exchanges that a link would use, without the link: no
 * socket, no message header, no handshake but the two vectors.
 */
import { randomBytes } from "node:crypto";
import { built } from "./trellis-build.mjs";
import { keyNames, turnOperations, updateSequence, writerSequence } from "./workload.mjs";

/** Nothing is deferred: every flush is asked for. */
const environment = {
  now: Date.now,
  monotonic: () => performance.now(),
  schedule: () => ({ cancel() {} }),
  defer() {},
  randomBytes: (count) => randomBytes(count),
};

/** Opens stores of this build, and links between them. */
async function openStores() {
  const [
    { Keyspace },
    { Exchange },
    { Exchanges },
    { openCollections },
    { VersionVector },
    { counter },
  ] = await Promise.all(
    [
      "store/keyspace.js",
      "store/exchange.js",
      "store/exchanges.js",
      "store/collections/open.js",
      "crdt/version-vector.js",
      "index.js",
    ].map(built),
  );
  const schema = { hits: counter() };

  /** What a replica has, without its links. */
  const open = () => {
    const keyspace = new Keyspace({ schema, environment });
    const { hits } = openCollections(keyspace, schema);
    return { keyspace, exchanges: new Exchanges(keyspace), hits };
  };

  /** One end of a link: what the other end holds as it begins, `[actor, sequence]`, and what of ours it was told. */
  const exchange = ({ keyspace, exchanges }, theirs = [], ours = []) =>
    new Exchange(exchanges, { told: vector(keyspace, ours), known: vector(keyspace, theirs) });

  const vector = ({ actors }, entries) => {
    const made = new VersionVector();
    for (const [actor, sequence] of entries) made.raise(actors.intern(actor), sequence);
    return made;
  };

  /** A link after its handshake. */
  const link = (from, to) => {
    const [theirs, ours] = [holds(to), holds(from)];
    return { sender: exchange(from, theirs, ours), receiver: exchange(to, ours, theirs) };
  };

  return { open, exchange, link };
}

/** A store's vector by the names of the actors. */
const holds = ({ keyspace }) =>
  [...keyspace.held.entries()].map(([actor, sequence]) => [keyspace.actors.name(actor), sequence]);

/** All that the sender has to send, each frame acknowledged as it is taken. */
function* framesOf(sender) {
  for (let frame = sender.next(); frame; frame = sender.next()) {
    yield frame;
    sender.acknowledge(sender.unacknowledged);
  }
}

/** Brings the receiver up to date; returns the bytes that took. */
function carry({ sender, receiver }) {
  let bytes = 0;
  for (const frame of framesOf(sender)) {
    receiver.receive(frame);
    bytes += frame.length;
  }
  return bytes;
}

function end({ sender, receiver }) {
  sender.close();
  receiver.close();
}

/** Increments `keys[index]` for each of `indexes`, in turns of 1,000. */
function incrementInTurns({ keyspace, hits }, keys, indexes) {
  for (let start = 0; start < indexes.length; start += turnOperations) {
    const stop = Math.min(start + turnOperations, indexes.length);
    for (let at = start; at < stop; at++) hits.increment(keys[indexes[at]]);
    keyspace.flush();
  }
}

const sum = ({ hits }, keys) => keys.reduce((total, key) => total + hits.value(key), 0);

/**
 * Encoded updates as links would carry them; update `i` is what writer `i % writers` did in one
 * flush of `batch` increments, on the keys of `updateSequence(stream, writer)` in order.
 * @param {{ writers: number, keyCount: number, batch: number, updates: number }} stream
 * @returns {Promise<Uint8Array[]>} `updates` of them, in the order in which they arrive
 */
export async function makeUpdates(stream) {
  const { open, exchange } = await openStores();
  const keys = keyNames(stream.keyCount);
  const made = new Array(stream.updates);
  for (let writer = 0; writer < stream.writers; writer++) {
    const store = open();
    const sender = exchange(store);
    const sequence = updateSequence(stream, writer);
    for (let place = writer, at = 0; place < stream.updates; place += stream.writers) {
      for (const stop = at + stream.batch; at < stop; at++)
        store.hits.increment(keys[sequence[at]]);
      made[place] = received([...framesOf(sender)]);
    }
  }
  return made;
}

/** One update as a socket hands it over: a view of a larger buffer. */
function received([frame, ...more]) {
  if (!frame || more.length > 0) throw new Error("a batch is not one frame");
  return Buffer.from(frame);
}

/**
 * A fresh replica with one link to each of `writers`.
 * @returns {Promise<{ apply(update: Uint8Array, writer: number): void, check(): number }>}
 *   `apply` decodes, validates and joins, all before it returns; `check` is the sum of all counters
 */
export async function openReceiver({ writers, keyCount }) {
  const { open, exchange } = await openStores();
  const store = open();
  const receivers = Array.from({ length: writers }, () => exchange(store));
  return {
    apply: (update, writer) => receivers[writer].receive(update),
    check: () => sum(store, keyNames(keyCount)),
  };
}

/**
 * The complete state of a replica that holds what `writers` did: writer `w` increments the keys
 * `k${i}` for the `i` of `writerSequence(shape, w)`, in turns of 1,000.
 * @param {{ keyCount: number, writers: number, randomEach: number }} shape
 * @returns {Promise<Uint8Array>} the vector as a handshake tells it, and the frames of one series,
 *   each after its length
 */
export async function buildState(shape) {
  const { open, exchange, link } = await openStores();
  const keys = keyNames(shape.keyCount);
  const merged = open();
  for (let writer = 0; writer < shape.writers; writer++) {
    const store = open();
    incrementInTurns(store, keys, writerSequence(shape, writer));
    const ends = link(store, merged);
    carry(ends);
    end(ends);
  }
  const vector = holds(merged);
  const sender = exchange(merged, [], vector);
  const parts = [part(vectorBytes(vector))];
  for (const frame of framesOf(sender)) parts.push(part(frame));
  sender.close();
  return Buffer.concat(parts);
}

const actorBytes = 16;

function vectorBytes(vector) {
  return Buffer.concat(
    vector.map(([actor, sequence]) => {
      const entry = Buffer.from(`${actor}00000000`, "hex");
      entry.writeUInt32BE(sequence, actorBytes);
      return entry;
    }),
  );
}

function* vectorEntries(bytes) {
  for (let at = 0; at < bytes.length; at += actorBytes + 4) {
    yield [bytes.toString("hex", at, at + actorBytes), bytes.readUInt32BE(at + actorBytes)];
  }
}

function part(bytes) {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function* partsOf(state) {
  for (let at = 0; at < state.length;) {
    const start = at + 4;
    at = start + state.readUInt32BE(at);
    yield state.subarray(start, at);
  }
}

/** What `loadState` is given. */
export const prepareState = (bytes) => bytes;

/**
 * A fresh replica with that state, everything decoded and indexed, ready to read, write and send.
 * @param {Uint8Array} bytes
 * @returns {Promise<{ value(key: string): number }>}
 */
export async function loadState(bytes) {
  const { store } = load(await openStores(), bytes);
  return { store, value: (key) => store.hits.value(key) };
}

function load({ open, exchange }, bytes) {
  const store = open();
  const [vector, ...frames] = partsOf(bytes);
  const receiver = exchange(store, vectorEntries(vector));
  for (const frame of frames) receiver.receive(frame);
  receiver.close();
  return { store };
}

/**
 * Bytes of what a peer at the shared state lacks, besides the handshake, after a further writer
 * incremented `keys[index]` for each of `indexes` in one flush.
 * @returns {Promise<number>}
 */
export async function catchUpBytes(bytes, indexes, keys) {
  const stores = await openStores();
  const { store: mine } = load(stores, bytes);
  const { store: theirs } = load(stores, bytes);
  for (const index of indexes) mine.hits.increment(keys[index]);
  mine.keyspace.flush();
  const carried = carry(stores.link(mine, theirs));
  if (sum(theirs, keys) !== sum(mine, keys)) throw new Error("the peer has not caught up");
  return carried;
}

/**
 * Bytes of a live frame for one changed counter, its key and actor already announced on the link,
 * while the vector has this many actors.
 * @param {{ actors: number }} options
 * @returns {Promise<number>}
 */
export async function frameBytes({ actors }) {
  const { open, link } = await openStores();
  const [mine, theirs] = [open(), open()];
  for (let i = 1; i < actors; i++) {
    const store = open();
    store.hits.increment(`k${i}`);
    store.keyspace.flush();
    const ends = link(store, mine);
    carry(ends);
    end(ends);
  }
  const live = link(mine, theirs);
  mine.hits.increment("k0");
  carry(live);
  const known = holds(theirs).length;
  if (known !== actors) throw new Error(`the peer knows ${known} actors, not ${actors}`);
  mine.hits.increment("k0");
  return carry(live);
}

/**
 * How many entries the frame has that follows from so many increments of one key in one flush.
 * @param {{ increments: number }} options
 * @returns {Promise<number>}
 */
export async function flushEntries({ increments }) {
  const { open, link } = await openStores();
  const [mine, theirs] = [open(), open()];
  let entries = 0;
  theirs.keyspace.listeners.add({
    flushed() {},
    joined(slots) {
      entries += slots.length;
    },
  });
  for (let i = 0; i < increments; i++) mine.hits.increment("k0");
  carry(link(mine, theirs));
  if (theirs.hits.value("k0") !== increments) throw new Error("the peer has not got them all");
  return entries;
}

/**
 * Two replicas with equal vectors that hold one increment of each key `k0` to `k${keyCount - 1}`.
 * @param {{ keyCount: number }} options
 * @returns {Promise<{
 *   change(indexes: number[]): void,
 *   transfer(): void,
 *   check(): number,
 * }>} `change` increments those keys once each at the first and flushes; `transfer` is a new link:
 *   it encodes what the second lacks, from its vector, and applies it there; `check` is the second's
 *   sum
 */
export async function openPair({ keyCount }) {
  const { open, link } = await openStores();
  const [mine, theirs] = [open(), open()];
  const keys = keyNames(keyCount);
  const transfer = () => {
    const ends = link(mine, theirs);
    carry(ends);
    end(ends);
  };
  incrementInTurns(mine, keys, [...keys.keys()]);
  transfer();
  return {
    change(indexes) {
      for (const index of indexes) mine.hits.increment(keys[index]);
      mine.keyspace.flush();
    },
    transfer,
    check: () => sum(theirs, keys),
  };
}
