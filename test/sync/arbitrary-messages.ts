/** Messages at random. */
import * as fc from "fast-check";
import { actorIdFromBytes, sequenceMax } from "../../src/crdt/dot.ts";
import type { Ending } from "../../src/crdt/ending.ts";
import { type Entry, inActorOrder } from "../../src/sync/digest.ts";
import { endCodes, type Hello, type Message } from "../../src/sync/message.ts";
import { type Question, questionsKnown, type Reply } from "../../src/sync/question.ts";
import { pathLengthMax } from "../../src/store/provenance.ts";
import { partsMax } from "../../src/store/compare/witness.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const actor = bytes(16).map(actorIdFromBytes);
const text = fc.string({ unit: "grapheme", maxLength: 20 });
/** Any number of a message. */
export const natural: fc.Arbitrary<number> = fc.maxSafeNat();

const ending: fc.Arbitrary<Ending> = fc.record({
  at: fc.integer({ min: 0, max: sequenceMax }),
  isFinal: fc.boolean(),
});
const anEntry = fc.record(
  { actor, sequence: fc.integer({ min: 1, max: sequenceMax }), ending },
  { requiredKeys: ["actor", "sequence"] },
);

/** Any vector. */
export const entries: fc.Arbitrary<Entry[]> = fc
  .uniqueArray(anEntry, { maxLength: 40, selector: ({ actor: of }) => of })
  .map((list) => inActorOrder(list));

/** Any hello of a replica. */
export const hello: fc.Arbitrary<Hello> = fc.record({
  kind: fc.constant("hello" as const),
  versions: fc
    .tuple(fc.nat(9), fc.nat(9))
    .map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) })),
  frameVersion: fc.nat(99),
  actor,
  name: text,
  nonce: bytes(16),
  wallMs: natural,
  isDurable: fc.boolean(),
  link: natural,
  collections: fc.array(fc.record({ name: text, tag: text }), { maxLength: 5 }),
  actors: fc.nat(2 ** 20),
  digest: bytes(16),
});

const bound = fc.option(text, { nil: undefined });
const ascending = fc
  .uniqueArray(text, { maxLength: 12 })
  .map((list) => list.toSorted((one, other) => (one < other ? -1 : 1)));
const rangeDigest = fc.record({ keys: fc.nat(2 ** 30), digest: bytes(16) });

/** A range and bounds within it. */
const asked = fc
  .record({ collection: text, bounds: ascending, hasAfter: fc.boolean(), hasTo: fc.boolean() })
  .map(({ collection, bounds, hasAfter, hasTo }) => {
    const after = hasAfter ? bounds[0] : undefined;
    const to = hasTo ? bounds.at(-1) : undefined;
    const inner = bounds.filter((one) => one !== after && one !== to);
    return { collection, range: { after, to: to === after ? undefined : to }, bounds: inner };
  });

const question: fc.Arbitrary<Question> = fc.oneof(
  fc.record({ about: fc.constant("collections" as const), after: bound }),
  fc.record({
    about: fc.constant("vector" as const),
    after: fc.option(actor, { nil: undefined }),
  }),
  fc.tuple(asked, fc.integer({ min: 1, max: partsMax })).map(([{ collection, range }, parts]) => ({
    about: "split" as const,
    collection,
    range,
    parts,
  })),
  asked.map((all) => ({ about: "digests" as const, ...all })),
  fc.record({
    about: fc.constant("provenance" as const),
    collection: text,
    key: text,
    path: fc.array(fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null)), {
      maxLength: pathLengthMax,
    }),
  }),
);

const sequence = fc.integer({ min: 0, max: sequenceMax });

/** Cells of the actors that are told, and what members have of those. */
const provenance: fc.Arbitrary<Reply> = fc
  .uniqueArray(actor, { minLength: 1, maxLength: 5 })
  .chain((names) =>
    fc.record({
      about: fc.constant("provenance" as const),
      found: fc.option(
        fc.record({
          tag: text,
          count: fc.nat(),
          cells: fc.array(
            fc.record({
              path: fc.array(text, { maxLength: pathLengthMax }),
              actor: fc.constantFrom(...names),
              sequence,
              isLive: fc.boolean(),
              isHeld: fc.boolean(),
              number: fc.maxSafeInteger().map((number) => number + 0),
              value: text,
            }),
            { maxLength: 10 },
          ),
        }),
        { nil: undefined },
      ),
      actors: fc.constant(
        names.map((name, i) => ({ actor: name, held: i * 1_000, ending: undefined })),
      ),
      members: fc.array(
        fc.record({
          name: text,
          address: text,
          actor: fc.option(actor, { nil: undefined }),
          lastSeenMs: natural,
          acknowledged: fc.array(sequence, { minLength: names.length, maxLength: names.length }),
        }),
        { maxLength: 5 },
      ),
    }),
  );

const reply: fc.Arbitrary<Reply> = fc.oneof(
  fc.tuple(fc.boolean(), ascending, text, natural).map(([more, names, tag]) => ({
    about: "collections" as const,
    more,
    collections: names.map((name, i) => ({ name, tag, keys: i * 1_000 })),
  })),
  fc.record({ about: fc.constant("vector" as const), more: fc.boolean(), entries }),
  fc.tuple(ascending, rangeDigest).map(([lasts, digested]) => ({
    about: "split" as const,
    parts: lasts.map((last) => ({ last, ...digested })),
  })),
  fc.record({
    about: fc.constant("digests" as const),
    digests: fc.array(rangeDigest, { maxLength: partsMax }),
  }),
  provenance,
);

/** Any message that can be written. */
export const message: fc.Arbitrary<Message> = fc.oneof(
  hello,
  fc.nat(4).chain((bits) =>
    fc.record({
      kind: fc.constant("summary" as const),
      bits: fc.constant(bits),
      digests: fc.array(bytes(16), { minLength: 2 ** bits, maxLength: 2 ** bits }),
    }),
  ),
  fc.record(
    {
      kind: fc.constant("vector" as const),
      more: fc.boolean(),
      stage: fc.record({ series: natural, frames: natural }),
      entries,
    },
    { requiredKeys: ["kind", "more", "entries"] },
  ),
  fc.record({ kind: fc.constant("frame" as const), bytes: fc.uint8Array({ maxLength: 50 }) }),
  fc.record({ kind: fc.constant("ack" as const), frames: fc.integer({ min: 1 }) }),
  fc.record({
    kind: fc.constant("ended" as const),
    endings: fc.array(fc.tuple(actor, ending), { maxLength: 10 }),
  }),
  hello.map((observer): Hello => ({ ...observer, isObserver: true })),
  hello.map((answering): Hello => ({ ...answering, questions: questionsKnown })),
  hello.map((serving): Hello => ({ ...serving, services: ["", "locks"] })),
  fc.record({
    kind: fc.constant("service" as const),
    service: text,
    bytes: fc.uint8Array({ maxLength: 50 }),
  }),
  fc.record({ kind: fc.constant("ask" as const), question }),
  fc.record({ kind: fc.constant("answer" as const), digest: bytes(16), reply }),
  fc.constant({ kind: "ping" as const }),
  fc.constant({ kind: "pong" as const }),
  fc.record({
    kind: fc.constant("bye" as const),
    code: fc.constantFrom(...(Object.keys(endCodes) as (keyof typeof endCodes)[])),
    reason: text,
  }),
);
