/** States, events and greetings of sessions, for the tests of their table. */
import { type ActorId, actorIdFromBytes } from "../../src/crdt/dot.ts";
import { digest, type Entry, inActorOrder } from "../../src/sync/digest.ts";
import type { Greeting, Hello } from "../../src/sync/message.ts";
import {
  type Effect,
  opening,
  type SessionEvent,
  type SessionState,
  step,
} from "../../src/sync/session.ts";

/** An actor for each number. */
export const actorOf = (number: number): ActorId => {
  const bytes = new Uint8Array(16).fill(number & 0xff);
  new DataView(bytes.buffer).setUint32(0, Math.imul(number, 0x9e3779b1) >>> 0);
  return actorIdFromBytes(bytes);
};

/** Everybody's clock. */
export const wallMs = 1_700_000_000_000;

/** What a replica of that number tells of itself. */
export function greeting(
  number: number,
  entries: Entry[] = [],
  more: Partial<Hello> = {},
): Greeting {
  inActorOrder(entries);
  return {
    entries,
    hello: {
      kind: "hello",
      versions: { min: 1, max: 1 },
      frameVersion: 1,
      actor: actorOf(number),
      name: `replica ${number}`,
      nonce: new Uint8Array(16).fill(number),
      wallMs,
      isDurable: false,
      link: 1,
      collections: [{ name: "likes", tag: "counter/1" }],
      actors: entries.length,
      digest: digest(entries),
      ...more,
    },
  };
}

/** The hello, met by a replica of the same time. */
export const helloEvent = (hello: Hello, isOurNonce = false): SessionEvent => ({
  kind: "hello",
  hello,
  acquaintance: { wallMs, skewMsMax: 60_000, isOurNonce },
});

/** We leave. */
export const end = { code: "leaving", reason: "test", by: "us" } as const;

/** A question and its answer. */
export const question = { about: "collections", after: undefined } as const;

export const answer = {
  kind: "answer",
  digest: new Uint8Array(16),
  reply: { about: "collections", more: false, collections: [] },
} as const;

/** Every state. */
export const states = (): SessionState[] => {
  const ours = greeting(1, [{ actor: actorOf(1), sequence: 1 }]);
  const theirs = greeting(2, [{ actor: actorOf(2), sequence: 2 }]);
  const greeted = step(opening, { kind: "opened", ours }).state;
  const meeting = step(greeted, helloEvent(theirs.hello)).state;
  const comparing = step(meeting, { kind: "admitted", stage: undefined }).state;
  const streaming = step(comparing, { kind: "vector", more: false, entries: theirs.entries }).state;
  return [
    opening,
    greeted,
    meeting,
    comparing,
    streaming,
    { kind: "observing", isAsking: true },
    { kind: "attending", isAsked: true },
    { kind: "closed" },
  ];
};

/** One event of every kind. */
export const events = (): SessionEvent[] => [
  { kind: "opened", ours: greeting(1) },
  helloEvent(greeting(2).hello),
  { kind: "admitted", stage: undefined },
  { kind: "summary", bits: 0, digests: [new Uint8Array(16)] },
  { kind: "vector", more: false, entries: [] },
  { kind: "frame", bytes: new Uint8Array(3) },
  { kind: "ack", frames: 1 },
  { kind: "stored", taken: 1, sent: 0 },
  { kind: "ended", endings: [] },
  { kind: "service", service: "locks", bytes: new Uint8Array(3) },
  { kind: "ask", question },
  answer,
  { kind: "question", question },
  { kind: "answered", answer },
  { kind: "ping" },
  { kind: "pong" },
  { kind: "bye", code: "leaving", reason: "x" },
  { kind: "tick", ageMs: 0, silentTicks: 0, stalledMs: 0 },
  { kind: "leave", end },
  { kind: "lost", end },
];

/** What is to be done, in short. */
export const kinds = (effects: readonly Effect[]): string[] =>
  effects.map((effect) => {
    if (effect.kind === "send") return `send ${effect.message.kind}`;
    if (effect.kind !== "end") return effect.kind;
    return `end by ${effect.end.by}${effect.tell ? ", told" : ""}`;
  });
