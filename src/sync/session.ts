/**
 * One link's conversation as a pure machine: what happened goes in, what to do comes out.
 *
 *   opening    the connection is being made
 *   greeting   our hello is sent, theirs has not come
 *   meeting    their hello is fine; is there another link to them already?
 *   comparing  the vectors differ, each tells the other where
 *   streaming  frames and acknowledgements
 *   closed
 *
 * A link starts to stream once each end knows exactly which vector the other has told: every later
 * frame says only how it moved. So what was compared is checked against the digest of the hello.
 * Every state has a row in the table for every event; a pair that is missing does not compile.
 */
import type { StagePoint } from "../store/stage.ts";
import { compared, comparison, type Comparing, differing, opinion } from "./comparison.ts";
import type { Entry } from "./digest.ts";
import {
  type Ack,
  type Bye,
  type Ended,
  entriesMax,
  type Frame,
  type Greeting,
  type Hello,
  type Message,
  type Ping,
  type Pong,
  type Stored,
  type Summary,
  type Vector,
} from "./message.ts";
import { type Acquaintance, broken, type LinkEnd, refusal } from "./refusal.ts";

interface States {
  readonly opening: { readonly kind: "opening" };
  readonly greeting: { readonly kind: "greeting"; readonly ours: Greeting };
  readonly meeting: { readonly kind: "meeting"; readonly ours: Greeting; readonly theirs: Hello };
  readonly comparing: Comparing;
  readonly streaming: { readonly kind: "streaming" };
  readonly closed: { readonly kind: "closed" };
}

/** Where a conversation is. */
export type SessionState = States[keyof States];

/** A message of the peer's hello, with what it is judged by. */
export interface HelloEvent {
  readonly kind: "hello";
  readonly hello: Hello;
  readonly acquaintance: Acquaintance;
}

/** How a link is doing, told now and then. */
export interface Tick {
  readonly kind: "tick";
  /** Since the link was begun, in ms. */
  readonly ageMs: number;
  /** Ticks in a row during which nothing was heard. */
  readonly silentTicks: number;
  /** How long frames are on the way without an acknowledgement, in ms; 0 if none are. */
  readonly stalledMs: number;
}

interface Events {
  /** The connection is made; `ours` is our hello. */
  readonly opened: { readonly kind: "opened"; readonly ours: Greeting };
  readonly hello: HelloEvent;
  /** The link may go on; `stage` is what we have of a series of the peer's. */
  readonly admitted: { readonly kind: "admitted"; readonly stage: StagePoint | undefined };
  readonly summary: Summary;
  readonly vector: Vector;
  readonly frame: Frame;
  readonly ack: Ack;
  readonly stored: Stored;
  readonly ended: Ended;
  readonly ping: Ping;
  readonly pong: Pong;
  readonly bye: Bye;
  readonly tick: Tick;
  /** We end the link; the peer is told. */
  readonly leave: { readonly kind: "leave"; readonly end: LinkEnd };
  /** The connection is gone. */
  readonly lost: { readonly kind: "lost"; readonly end: LinkEnd };
}

/** What can happen on a link. */
export type SessionEvent = Events[keyof Events];

/** What the link is to do, in this order. */
export type Effect =
  | { readonly kind: "send"; readonly message: Message }
  /** Asks whether the link may go on: `admitted` or `leave` follows. */
  | { readonly kind: "meet"; readonly hello: Hello }
  /** Both vectors are known: `known` is the peer's, `told` is ours as the peer knows it. */
  | {
      readonly kind: "start";
      readonly told: readonly Entry[];
      readonly known: readonly Entry[];
      readonly resume: StagePoint | undefined;
    }
  /** Joins the frame at hand. */
  | { readonly kind: "take" }
  /** Passes the acknowledgement at hand on. */
  | { readonly kind: "acknowledge" }
  /** Notes what the peer has on its disk. */
  | { readonly kind: "store" }
  /** Notes which actors have ended. */
  | { readonly kind: "learn"; readonly endings: Ended["endings"] }
  /** The link is over. `tell` is whether the peer can be told why. */
  | { readonly kind: "end"; readonly end: LinkEnd; readonly tell: boolean };

/** The next state, and what to do. */
export interface Outcome {
  readonly state: SessionState;
  readonly effects: readonly Effect[];
}

/** How long a handshake may take, in ms. */
export const handshakeMsMax = 10_000;
/** Ticks without a message after which a link counts as dead. */
export const silentTicksMax = 3;
/** How long frames may be on the way without an acknowledgement, in ms. */
export const stalledMsMax = 30_000;

/** Where every conversation begins. */
export const opening: SessionState = { kind: "opening" };

const closed: SessionState = { kind: "closed" };
const streaming: SessionState = { kind: "streaming" };
const pong: Outcome = { state: streaming, effects: [{ kind: "send", message: { kind: "pong" } }] };
const ping: Outcome = { state: streaming, effects: [{ kind: "send", message: { kind: "ping" } }] };
const take: Outcome = { state: streaming, effects: [{ kind: "take" }] };
const acknowledge: Outcome = { state: streaming, effects: [{ kind: "acknowledge" }] };
const store: Outcome = { state: streaming, effects: [{ kind: "store" }] };

const stay = (state: SessionState): Outcome => ({ state, effects: [] });

const end = (why: LinkEnd, tell: boolean): Outcome => ({
  state: closed,
  effects: [{ kind: "end", end: why, tell }],
});

const unexpected = (state: SessionState, event: SessionEvent): Outcome =>
  end(broken(`a ${event.kind} while ${state.kind}`), true);

const farewell = (_: SessionState, bye: Bye): Outcome =>
  end({ code: bye.code, reason: bye.reason, by: "peer" }, false);

const leave = (_: SessionState, event: Events["leave"]): Outcome => end(event.end, true);

const lost = (_: SessionState, event: Events["lost"]): Outcome => end(event.end, false);

const handshakeTick = (state: SessionState, tick: Tick): Outcome => {
  if (tick.ageMs < handshakeMsMax) return stay(state);
  const reason = `no answer while ${state.kind}, for ${Math.round(tick.ageMs)} ms`;
  return end({ code: "silent", reason, by: "us" }, state.kind !== "opening");
};

function greeted(state: States["greeting"], event: HelloEvent): Outcome {
  const refused = refusal(state.ours.hello, event.hello, event.acquaintance);
  if (refused) return end(refused, true);
  return {
    state: { kind: "meeting", ours: state.ours, theirs: event.hello },
    effects: [{ kind: "meet", hello: event.hello }],
  };
}

function admitted(state: States["meeting"], event: Events["admitted"]): Outcome {
  const begun = comparison(state.ours, state.theirs, event.stage);
  if (begun.kind === "same") {
    const { entries } = state.ours;
    return {
      state: streaming,
      effects: [{ kind: "start", told: entries, known: entries, resume: undefined }],
    };
  }
  return { state: begun.state, effects: opinion(begun.state) };
}

function summarised(state: Comparing, summary: Summary): Outcome {
  const next = differing(state, summary);
  return typeof next === "string"
    ? end(broken(next), true)
    : { state: next, effects: opinion(next) };
}

function told(state: Comparing, vector: Vector): Outcome {
  const next = compared(state, vector);
  if (typeof next === "string") return end(broken(next), true);
  if (next.kind === "comparing") return stay(next);
  return {
    state: streaming,
    effects: [{ kind: "start", told: state.ours.entries, known: next.known, resume: next.resume }],
  };
}

function streamingTick(_: SessionState, tick: Tick): Outcome {
  if (tick.silentTicks >= silentTicksMax) {
    const reason = `nothing heard during ${tick.silentTicks} heartbeats`;
    return end({ code: "silent", reason, by: "us" }, true);
  }
  if (tick.stalledMs >= stalledMsMax) {
    const reason = `frames not acknowledged for ${Math.round(tick.stalledMs)} ms`;
    return end({ code: "stalled", reason, by: "us" }, true);
  }
  return tick.silentTicks > 0 ? ping : stay(streaming);
}

type Step<S extends keyof States, E extends keyof Events> = (
  state: States[S],
  event: Events[E],
) => Outcome;

type Row<S extends keyof States> = { readonly [E in keyof Events]: Step<S, E> };

/** What each state makes of each event. */
export const transitions: { readonly [S in keyof States]: Row<S> } = {
  opening: {
    opened: (_, { ours }) => {
      if (ours.entries.length > entriesMax) {
        const reason = `a vector of ${ours.entries.length} actors cannot be compared`;
        return end({ code: "overloaded", reason, by: "us" }, false);
      }
      return {
        state: { kind: "greeting", ours },
        effects: [{ kind: "send", message: ours.hello }],
      };
    },
    hello: unexpected,
    admitted: unexpected,
    summary: unexpected,
    vector: unexpected,
    frame: unexpected,
    ack: unexpected,
    stored: unexpected,
    ended: unexpected,
    ping: unexpected,
    pong: unexpected,
    bye: farewell,
    tick: handshakeTick,
    leave: (_, event) => end(event.end, false),
    lost,
  },
  greeting: {
    opened: unexpected,
    hello: greeted,
    admitted: unexpected,
    summary: unexpected,
    vector: unexpected,
    frame: unexpected,
    ack: unexpected,
    stored: unexpected,
    ended: unexpected,
    ping: unexpected,
    pong: unexpected,
    bye: farewell,
    tick: handshakeTick,
    leave,
    lost,
  },
  meeting: {
    opened: unexpected,
    hello: unexpected,
    admitted,
    summary: unexpected,
    vector: unexpected,
    frame: unexpected,
    ack: unexpected,
    stored: unexpected,
    ended: unexpected,
    ping: unexpected,
    pong: unexpected,
    bye: farewell,
    tick: handshakeTick,
    leave,
    lost,
  },
  comparing: {
    opened: unexpected,
    hello: unexpected,
    admitted: unexpected,
    summary: summarised,
    vector: told,
    frame: unexpected,
    ack: unexpected,
    stored: unexpected,
    ended: unexpected,
    ping: unexpected,
    pong: unexpected,
    bye: farewell,
    tick: handshakeTick,
    leave,
    lost,
  },
  streaming: {
    opened: unexpected,
    hello: unexpected,
    admitted: unexpected,
    summary: unexpected,
    vector: unexpected,
    frame: () => take,
    ack: () => acknowledge,
    stored: () => store,
    ended: (_, { endings }) => ({ state: streaming, effects: [{ kind: "learn", endings }] }),
    ping: () => pong,
    pong: stay,
    bye: farewell,
    tick: streamingTick,
    leave,
    lost,
  },
  // Whatever comes too late is nothing to anyone.
  closed: {
    opened: stay,
    hello: stay,
    admitted: stay,
    summary: stay,
    vector: stay,
    frame: stay,
    ack: stay,
    stored: stay,
    ended: stay,
    ping: stay,
    pong: stay,
    bye: stay,
    tick: stay,
    leave: stay,
    lost: stay,
  },
};

/** Takes one step. Pure, and never throws. */
export function step(state: SessionState, event: SessionEvent): Outcome {
  return apply(state.kind, state, event.kind, event);
}

function apply<S extends keyof States, E extends keyof Events>(
  stateKind: S,
  state: States[S],
  eventKind: E,
  event: Events[E],
): Outcome {
  const row: Row<S> = transitions[stateKind];
  return row[eventKind](state, event);
}
