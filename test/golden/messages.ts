/** What the golden messages are made from: each kind, and one conversation as a peer spoke it. */
import { type ActorId, actorIdFromBytes } from "../../src/crdt/dot.ts";
import { ByteWriter } from "../../src/store/bytes.ts";
import { frameVersion } from "../../src/store/frame.ts";
import { bucketDigests, digest, type Entry, inActorOrder } from "../../src/sync/digest.ts";
import { type EndCode, endCodes, type Hello, type Message } from "../../src/sync/message.ts";
import { MessageWriter, type Numbered } from "../../src/sync/protocol.ts";
import { type Question, questionsKnown, type Reply } from "../../src/sync/question.ts";
import { type Golden, type GoldenLine, hex } from "./file.ts";
import { goldenMs, goldenSchema, Party } from "./party.ts";

/** All messages, a file each. */
export const messageGoldens = (): Golden[] => [
  written("message-hello.hex", "who speaks, and a digest of what it holds", [
    hello({ name: "checkout-1 é", link: 3 }),
    hello({ name: "", isDurable: true, collections: [], actors: 0, digest: digest([]) }),
  ]),
  written("message-summary.hex", "digests of the parts of a vector", [
    { kind: "summary", bits: 0, digests: bucketDigests(manyEntries(3), 0) },
    { kind: "summary", bits: 3, digests: bucketDigests(manyEntries(100), 3) },
  ]),
  written("message-vector.hex", "entries of a vector, and a series to go on with", [
    { kind: "vector", more: false, entries: [] },
    { kind: "vector", more: true, entries: manyEntries(5) },
    { kind: "vector", more: false, stage: { series: 200, frames: 3 }, entries: manyEntries(2) },
  ]),
  written("message-frame.hex", "a frame and an acknowledgement of some", [
    { kind: "frame", bytes: Uint8Array.of(3, 0, 0, 0, 0) },
    { kind: "ack", frames: 1 },
    { kind: "ack", frames: 300 },
  ]),
  written("message-stored.hex", "how far a disk is, in frames that came and frames that went", [
    { kind: "stored", taken: 0, sent: 0 },
    { kind: "stored", taken: 300, sent: 2 },
  ]),
  written("message-ended.hex", "actors that ended, by a crash and by a close", [
    { kind: "ended", endings: [] },
    {
      kind: "ended",
      endings: [
        [actor(1), { at: 0, isFinal: false }],
        [actor(2), { at: 300, isFinal: true }],
      ],
    },
    {
      kind: "vector",
      more: false,
      entries: [{ actor: actor(1), sequence: 7, ending: { at: 7, isFinal: true } }],
    },
  ]),
  written(
    "message-observer.hex",
    "who only asks",
    [true, false].map((hasName) =>
      hello({
        name: hasName ? "observer" : "",
        collections: [],
        actors: 0,
        digest: digest([]),
        isObserver: true,
      }),
    ),
  ),
  written("message-service.hex", "who has services, and bytes of one", [
    hello({ services: ["locks", "é"] }),
    hello({ takesNothing: true }),
    { kind: "service", service: "locks", bytes: Uint8Array.of(1, 2, 3) },
    { kind: "service", service: "", bytes: new Uint8Array(0) },
  ]),
  written("message-ask.hex", "questions about ranges of keys", questions().map(asked)),
  written("message-answer.hex", "what there is to say to them", replies().map(answered)),
  written("message-provenance.hex", "what makes up a value, and who has seen it", [
    hello({ questions: questionsKnown }),
    asked({ about: "provenance", collection: "likes", key: "post:42", path: [] }),
    asked({
      about: "provenance",
      collection: "é",
      key: "",
      path: ["__proto__", 5, -0.5, true, null],
    }),
    answered({ about: "provenance", found: undefined, actors: [], members: [] }),
    answered(provenance()),
  ]),
  written("message-heartbeat.hex", "are you there?", [{ kind: "ping" }, { kind: "pong" }]),
  written(
    "message-bye.hex",
    "the end of a link, for every reason that there is",
    endReasons().map((code) => ({ kind: "bye", code, reason: `it is ${code}` })),
  ),
  newer(),
  conversation(),
];

const asked = (question: Question): Message => ({ kind: "ask", question });

const answered = (reply: Reply): Message => ({
  kind: "answer",
  digest: digest(manyEntries(3)),
  reply,
});

const provenance = (): Reply => ({
  about: "provenance",
  found: {
    tag: "lww-map/1",
    count: 300,
    cells: [
      {
        ...{ path: ['"dark"'], actor: actor(1), sequence: 300, isLive: true, isHeld: true },
        ...{ number: 3_481_600_000_000_000, value: '"é"' },
      },
      {
        ...{ path: [], actor: actor(2), sequence: 1, isLive: false, isHeld: false },
        ...{ number: -5, value: "" },
      },
    ],
  },
  actors: [
    { actor: actor(1), held: 301, ending: undefined },
    { actor: actor(2), held: 1, ending: { at: 1, isFinal: true } },
  ],
  members: [
    {
      ...{ name: "checkout-2", address: "ws://127.0.0.1:7002", actor: actor(2) },
      ...{ lastSeenMs: 1_700_000_000_000, acknowledged: [300, 1] },
    },
    {
      ...{ name: "", address: actor(3), actor: undefined },
      ...{ lastSeenMs: 0, acknowledged: [0, 0] },
    },
  ],
});

const questions = (): Question[] => [
  { about: "collections", after: undefined },
  { about: "collections", after: "likes" },
  { about: "vector", after: undefined },
  { about: "vector", after: actorIdFromBytes(new Uint8Array(16).fill(0xa1)) },
  { about: "split", collection: "likes", range: { after: undefined, to: undefined }, parts: 64 },
  { about: "split", collection: "é", range: { after: "", to: "__proto__" }, parts: 1 },
  { about: "digests", collection: "", range: { after: undefined, to: "" }, bounds: [] },
  // By UTF-16 code units U+1F600 comes before U+FF61.
  {
    about: "digests",
    collection: "likes",
    range: { after: "a", to: undefined },
    bounds: ["b", "\u{1F600}", "\uFF61"],
  },
];

const replies = (): Reply[] => {
  const [one, other] = [manyEntries(1), manyEntries(2)].map(digest);
  if (one === undefined || other === undefined) throw new Error("assertion: two digests");
  return [
    { about: "collections", more: false, collections: [] },
    {
      about: "collections",
      more: true,
      collections: [
        { name: "", tag: "counter/1", keys: 0 },
        { name: "tags", tag: "or-set/1", keys: 1_000_000 },
      ],
    },
    { about: "vector", more: false, entries: [] },
    { about: "vector", more: true, entries: manyEntries(3) },
    { about: "split", parts: [] },
    {
      about: "split",
      parts: [
        { last: "", keys: 1, digest: one },
        { last: "\u{1F600}", keys: 300, digest: other },
        { last: "\uFF61", keys: 0, digest: digest([]) },
      ],
    },
    { about: "digests", digests: [{ keys: 300, digest: one }] },
    {
      about: "digests",
      digests: [
        { keys: 0, digest: digest([]) },
        { keys: 70_000, digest: other },
      ],
    },
  ];
};

/** A message as JSON has it: bytes in hex. */
export const meaning = ({ number, message }: Numbered): string =>
  JSON.stringify(
    { number, ...message },
    function replaced(this: Readonly<Record<string, unknown>>, name: string, value: unknown) {
      // A Buffer has turned itself into an object by now.
      const given = this[name];
      return given instanceof Uint8Array ? hex(given) : value;
    },
  );

/** Of every kind one that is well formed; a number of more than one byte once. */
function written(name: string, about: string, messages: readonly Message[]): Golden {
  const writer = new MessageWriter();
  return {
    name,
    lines: [
      { word: "#", text: about },
      ...messages.flatMap((message, i) => {
        const number = i === messages.length - 1 ? 1_000 : i + 1;
        return [
          { word: "message" as const, text: hex(writer.write(number, message)) },
          { word: "means" as const, text: meaning({ number, message }) },
        ];
      }),
    ],
  };
}

/** What a later version of the same protocol may add, and this one passes over. */
function newer(): Golden {
  const writer = new MessageWriter();
  const lines: GoldenLine[] = [{ word: "#", text: "what a later version may say to this one" }];
  const say = (number: number, message: Message, bytes: Uint8Array): void => {
    lines.push({ word: "newer", text: hex(bytes) });
    lines.push({ word: "means", text: meaning({ number, message }) });
  };
  const said = hello({ versions: { min: 1, max: 7 }, frameVersion: 4 });
  say(1, said, withUnknownField(writer.write(1, said)));
  for (const message of [
    { kind: "vector", more: false, entries: manyEntries(1) },
    { kind: "ack", frames: 2 },
    asked({ about: "collections", after: undefined }),
    answered({ about: "split", parts: [] }),
    { kind: "ping" },
    { kind: "bye", code: "overloaded", reason: "more follows" },
  ] satisfies Message[]) {
    say(2, message, Uint8Array.of(...writer.write(2, message), 9, 9, 9));
  }
  const unknown = new ByteWriter();
  unknown.byte(8); // bye
  unknown.varint(2);
  unknown.varint(99); // a code that this version does not know
  unknown.text("for a new reason");
  say(2, { kind: "bye", code: "leaving", reason: "for a new reason" }, unknown.take());
  return { name: "message-newer.hex", lines };
}

/** One field more, at the end: kind, number, "TRLS", min and max stand before the count. */
function withUnknownField(bytes: Uint8Array): Uint8Array {
  const countAt = 8;
  const count = bytes[countAt] ?? 0;
  return Uint8Array.of(
    ...bytes.subarray(0, countAt),
    count + 1,
    ...bytes.subarray(countAt + 1),
    ...[99, 3, 1, 2, 3],
  );
}

/** All that one peer says on a link to an empty one: hello, vector, frames, heartbeat, goodbye. */
function conversation(): Golden {
  const speaker = new Party("speaker");
  const { counters, sets, registers, entries } = speaker.collections;
  counters.increment("post:42", 3);
  sets.add("post:42", "crdt");
  const told = speaker.told();
  const vector = Object.entries(told).map(([name, sequence]) => ({
    actor: actorIdFromBytes(Uint8Array.from(Buffer.from(name, "hex"))),
    sequence,
  }));
  const messages: Message[] = [
    hello({ actor: speaker.keyspace.actor, actors: vector.length, digest: digest(vector) }),
    { kind: "vector", more: false, entries: vector },
  ];
  const exchange = speaker.exchange({});
  const send = (): void => {
    for (let bytes = exchange.next(); bytes !== undefined; bytes = exchange.next()) {
      messages.push({ kind: "frame", bytes });
    }
  };
  send();
  registers.set("u:7", { name: "Ada" });
  sets.remove("post:42", "crdt");
  entries.entry("u:7", "sku:9").quantity.set(2);
  speaker.keyspace.flush();
  send();
  messages.push({ kind: "ping" }, { kind: "bye", code: "leaving", reason: "the replica closes" });
  const writer = new MessageWriter();
  return {
    name: "conversation.hex",
    lines: [
      { word: "#", text: "all that one peer says to an empty one that answers" },
      ...messages.map((message, i) => ({
        word: "message" as const,
        text: hex(writer.write(i + 1, message)),
      })),
      { word: "shows", text: JSON.stringify(speaker.shows()) },
    ],
  };
}

const hello = (more: Partial<Hello> = {}): Hello => ({
  kind: "hello",
  versions: { min: 1, max: 1 },
  frameVersion,
  actor: actorIdFromBytes(new Uint8Array(16).fill(0xc1)),
  name: "golden",
  nonce: new Uint8Array(16).fill(0x5e),
  wallMs: goldenMs,
  isDurable: false,
  link: 1,
  collections: Object.entries(goldenSchema).map(([name, { tag }]) => ({ name, tag })),
  actors: 3,
  digest: digest(manyEntries(3)),
  ...more,
});

/** Actors all over the buckets. */
const actor = (number: number): ActorId => actorIdFromBytes(new Uint8Array(16).fill(number));

function manyEntries(count: number): Entry[] {
  const entries = Array.from({ length: count }, (_, i) => ({
    actor: actorIdFromBytes(new Uint8Array(16).fill((i * 83) % 256)),
    sequence: i * 1_000 + 1,
  }));
  return inActorOrder(entries);
}

/** Those that are sent. */
const endReasons = (): EndCode[] =>
  (Object.keys(endCodes) as EndCode[]).filter(
    (code) => code !== "network" && code !== "unauthorized",
  );
