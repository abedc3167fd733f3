/**
 * One link's conversation as a pure machine: what happened goes in, what to do comes out.
 *
 *   opening    the connection is being made
 *   greeting   our hello is sent, theirs has not come
 *   meeting    their hello is fine; is there another link to them already?
 *   comparing  the vectors differ, each tells the other where
 *   streaming  frames and acknowledgements
 *   observing  we only ask, one question at a time
 *   attending  the peer only asks
 *   closed
 *
 * A link starts to stream once each end knows exactly which vector the other has told: every later
 * frame says only how it moved. So what was compared is checked against the digest of the hello.
 * Every state has a row in the table for every event; a pair that is missing does not compile.
 */
import { compared, comparison, type Comparing, differing, opinion } from "./comparison.ts";
import type { Entry } from "./digest.ts";
import {
  type Answer,
  type Ask,
  type Bye,
  entriesMax,
  type Greeting,
  type Hello,
  type Message,
  type Summary,
  type Vector,
} from "./message.ts";
import { broken, type LinkEnd, refusal } from "./refusal.ts";
import type { Effect, Events, HelloEvent, SessionEvent, Tick } from "./session-event.ts";

export type { Effect, SessionEvent } from "./session-event.ts";

interface States {
  readonly opening: { readonly kind: "opening" };
  readonly greeting: { readonly kind: "greeting"; readonly ours: Greeting };
  readonly meeting: { readonly kind: "meeting"; readonly ours: Greeting; readonly theirs: Hello };
  readonly comparing: Comparing;
  readonly streaming: { readonly kind: "streaming" };
  readonly observing: { readonly kind: "observing"; readonly isAsking: boolean };
  readonly attending: { readonly kind: "attending"; readonly isAsked: boolean };
  readonly closed: { readonly kind: "closed" };
}

/** Where a conversation is. */
export type SessionState = States[keyof States];

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
const take: Outcome = { state: streaming, effects: [{ kind: "take" }] };
const acknowledge: Outcome = { state: streaming, effects: [{ kind: "acknowledge" }] };
const store: Outcome = { state: streaming, effects: [{ kind: "store" }] };
const serve: Outcome = { state: streaming, effects: [{ kind: "serve" }] };

const stay = (state: SessionState): Outcome => ({ state, effects: [] });

const say = (state: SessionState, message: Message): Outcome => ({
  state,
  effects: [{ kind: "send", message }],
});

const pong = (state: SessionState): Outcome => say(state, { kind: "pong" });

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
    return (
      observation(state, entries) ?? {
        state: streaming,
        effects: [{ kind: "start", told: entries, known: entries, resume: undefined }],
      }
    );
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
  const { known, resume } = next;
  return (
    observation(state, known) ?? {
      state: streaming,
      effects: [{ kind: "start", told: state.ours.entries, known, resume }],
    }
  );
}

/** What becomes of a link on which one end only observes; undefined if both are replicas. */
function observation(
  { ours, theirs }: States["meeting"] | Comparing,
  known: readonly Entry[],
): Outcome | undefined {
  if (ours.hello.isObserver === true) {
    return {
      state: { kind: "observing", isAsking: false },
      effects: [{ kind: "observe", known }],
    };
  }
  if (theirs.isObserver !== true) return undefined;
  return { state: { kind: "attending", isAsked: false }, effects: [] };
}

function asked(state: States["attending"], event: Ask): Outcome {
  if (state.isAsked) return unexpected(state, event);
  return { state: { kind: "attending", isAsked: true }, effects: [{ kind: "consider" }] };
}

function answered(state: States["attending"], event: Events["answered"]): Outcome {
  if (!state.isAsked) return unexpected(state, event);
  return say({ kind: "attending", isAsked: false }, event.answer);
}

function ask(state: States["observing"], event: Events["question"]): Outcome {
  if (state.isAsking) return unexpected(state, event);
  const { question } = event;
  return say({ kind: "observing", isAsking: true }, { kind: "ask", question });
}

function heard(state: States["observing"], event: Answer): Outcome {
  if (!state.isAsking) return unexpected(state, event);
  return { state: { kind: "observing", isAsking: false }, effects: [{ kind: "hear" }] };
}

function streamingTick(state: SessionState, tick: Tick): Outcome {
  if (tick.silentTicks < silentTicksMax && tick.stalledMs >= stalledMsMax) {
    const reason = `frames not acknowledged for ${Math.round(tick.stalledMs)} ms`;
    return end({ code: "stalled", reason, by: "us" }, true);
  }
  return heartbeat(state, tick);
}

function heartbeat(state: SessionState, tick: Tick): Outcome {
  if (tick.silentTicks >= silentTicksMax) {
    const reason = `nothing heard during ${tick.silentTicks} heartbeats`;
    return end({ code: "silent", reason, by: "us" }, true);
  }
  return tick.silentTicks > 0 ? say(state, { kind: "ping" }) : stay(state);
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
    service: unexpected,
    ask: unexpected,
    answer: unexpected,
    question: unexpected,
    answered: unexpected,
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
    service: unexpected,
    ask: unexpected,
    answer: unexpected,
    question: unexpected,
    answered: unexpected,
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
    service: unexpected,
    ask: unexpected,
    answer: unexpected,
    question: unexpected,
    answered: unexpected,
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
    service: unexpected,
    ask: unexpected,
    answer: unexpected,
    question: unexpected,
    answered: unexpected,
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
    service: () => serve,
    ask: unexpected,
    answer: unexpected,
    question: unexpected,
    answered: unexpected,
    ping: pong,
    pong: stay,
    bye: farewell,
    tick: streamingTick,
    leave,
    lost,
  },
  observing: {
    opened: unexpected,
    hello: unexpected,
    admitted: unexpected,
    summary: unexpected,
    vector: unexpected,
    frame: unexpected,
    ack: unexpected,
    stored: unexpected,
    ended: unexpected,
    service: unexpected,
    ask: unexpected,
    answer: heard,
    question: ask,
    answered: unexpected,
    ping: pong,
    pong: stay,
    bye: farewell,
    tick: heartbeat,
    leave,
    lost,
  },
  attending: {
    opened: unexpected,
    hello: unexpected,
    admitted: unexpected,
    summary: unexpected,
    vector: unexpected,
    frame: unexpected,
    ack: unexpected,
    stored: unexpected,
    ended: unexpected,
    service: unexpected,
    ask: asked,
    answer: unexpected,
    question: unexpected,
    answered,
    ping: pong,
    pong: stay,
    bye: farewell,
    tick: heartbeat,
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
    service: stay,
    ask: stay,
    answer: stay,
    question: stay,
    answered: stay,
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
