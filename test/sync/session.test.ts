import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ClockSkewError, ProtocolError, SchemaMismatchError } from "../../src/errors.ts";
import { type Entry, inActorOrder } from "../../src/sync/digest.ts";
import type { Greeting, Hello, Message } from "../../src/sync/message.ts";
import {
  type Effect,
  handshakeMsMax,
  opening,
  type SessionEvent,
  type SessionState,
  silentTicksMax,
  stalledMsMax,
  step,
  transitions,
} from "../../src/sync/session.ts";
import { Random } from "../simulation/virtual-environment.ts";
import { actorOf, events, greeting, helloEvent, kinds, states, wallMs } from "./session-cases.ts";

describe("the table", () => {
  test("the states of a conversation come one after the other", () => {
    expect(states().map(({ kind }) => kind)).toEqual(Object.keys(transitions));
  });

  /** What is not here ends the link, and the peer is told. */
  const meant: Record<string, Record<string, string>> = {
    opening: {
      opened: "greeting: send hello",
      tick: "opening:",
      bye: "closed: end by peer",
      leave: "closed: end by us",
      lost: "closed: end by us",
    },
    greeting: {
      hello: "meeting: meet",
      tick: "greeting:",
      bye: "closed: end by peer",
      lost: "closed: end by us",
    },
    meeting: {
      admitted: "comparing: send vector",
      tick: "meeting:",
      bye: "closed: end by peer",
      lost: "closed: end by us",
    },
    comparing: {
      tick: "comparing:",
      bye: "closed: end by peer",
      lost: "closed: end by us",
    },
    streaming: {
      frame: "streaming: take",
      ack: "streaming: acknowledge",
      stored: "streaming: store",
      ended: "streaming: learn",
      service: "streaming: serve",
      ping: "streaming: send pong",
      pong: "streaming:",
      tick: "streaming:",
      bye: "closed: end by peer",
      lost: "closed: end by us",
    },
    observing: {
      answer: "observing: hear",
      ping: "observing: send pong",
      pong: "observing:",
      tick: "observing:",
      bye: "closed: end by peer",
      lost: "closed: end by us",
    },
    attending: {
      answered: "attending: send answer",
      ping: "attending: send pong",
      pong: "attending:",
      tick: "attending:",
      bye: "closed: end by peer",
      lost: "closed: end by us",
    },
    closed: Object.fromEntries(events().map(({ kind }) => [kind, "closed:"])),
  };

  const pairs = states().flatMap((state) => events().map((event) => ({ state, event })));

  test.each(
    pairs.map(({ state, event }) => ({
      state,
      event,
      outcome: meant[state.kind]?.[event.kind] ?? "closed: end by us, told",
    })),
  )("$state.kind, $event.kind: $outcome", ({ state, event, outcome }) => {
    const { state: next, effects } = step(state, event);
    expect(`${next.kind}: ${kinds(effects).join(" ")}`.trim()).toBe(outcome);
  });

  test("random events never throw, and nothing follows an end", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(events().length - 1), { maxLength: 30 }), (choices) => {
        let state: SessionState = opening;
        let ends = 0;
        for (const choice of choices) {
          const event = events()[choice];
          if (event === undefined) continue;
          const outcome = step(state, event);
          expect(ends === 0 || outcome.effects.length === 0).toBe(true);
          ends += outcome.effects.filter(({ kind }) => kind === "end").length;
          expect(outcome.state.kind === "closed").toBe(ends > 0);
          state = outcome.state;
        }
        expect(ends).toBeLessThanOrEqual(1);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a hello is refused", () => {
  const refusedBy = (hello: Hello, isOurNonce = false) => {
    const ours = greeting(1);
    const greeted = step(opening, { kind: "opened", ours }).state;
    const { state, effects } = step(greeted, helloEvent(hello, isOurNonce));
    const [effect] = effects;
    expect(state.kind).toBe(effect?.kind === "end" ? "closed" : "meeting");
    return effect?.kind === "end" ? effect.end : undefined;
  };

  test("when no version of the protocol is spoken by both", () => {
    expect(refusedBy(greeting(2, [], { versions: { min: 2, max: 3 } }).hello)).toMatchObject({
      code: "protocol",
      error: expect.any(ProtocolError) as unknown,
    });
    expect(refusedBy(greeting(2, [], { versions: { min: 1, max: 3 } }).hello)).toBeUndefined();
  });

  test.each([
    [60_000, undefined],
    [60_001, "clock"],
    [-60_000, undefined],
    [-60_001, "clock"],
    [365 * 86_400_000, "clock"],
  ])("when the clocks are %d ms apart and 60,000 are allowed: %s", (skewMs, code) => {
    const refused = refusedBy(greeting(2, [], { wallMs: wallMs + skewMs }).hello);
    expect(refused?.code).toBe(code);
    const error = refused?.error;
    const told = error instanceof ClockSkewError ? [error.skewMs, error.boundMs] : undefined;
    expect(told).toEqual(code && [skewMs, 60_000]);
  });

  test("when one collection has two types", () => {
    const collections = [
      { name: "other", tag: "flag/1" },
      { name: "likes", tag: "or-set/1" },
    ];
    const refused = refusedBy(greeting(2, [], { collections }).hello);
    expect(refused?.code).toBe("schema");
    expect(refused?.error).toBeInstanceOf(SchemaMismatchError);
    expect(refused?.error).toMatchObject({ collection: "likes", theirs: "or-set/1" });
  });

  test("when it is our own, or one of a process with our actor", () => {
    expect(refusedBy(greeting(1).hello, true)?.code).toBe("self");
    expect(refusedBy(greeting(1).hello)?.code).toBe("clone");
  });
});

describe("time", () => {
  const streaming = states()[4] ?? opening;
  const tick = (of: Partial<Extract<SessionEvent, { kind: "tick" }>>): SessionEvent => ({
    kind: "tick",
    ageMs: 0,
    silentTicks: 0,
    stalledMs: 0,
    ...of,
  });

  test("a silent peer is pinged, and given up on after three heartbeats", () => {
    expect(kinds(step(streaming, tick({ silentTicks: 1 })).effects)).toEqual(["send ping"]);
    expect(step(streaming, tick({ silentTicks: silentTicksMax })).state.kind).toBe("closed");
  });

  test("a peer that does not acknowledge is given up on", () => {
    expect(step(streaming, tick({ stalledMs: stalledMsMax - 1 })).state.kind).toBe("streaming");
    expect(step(streaming, tick({ stalledMs: stalledMsMax })).effects).toMatchObject([
      { kind: "end", end: { code: "stalled" } },
    ]);
  });

  test("a handshake ends in time wherever it is", () => {
    for (const state of states().slice(0, 4)) {
      expect(step(state, tick({ ageMs: handshakeMsMax - 1 })).state).toEqual(state);
      expect(step(state, tick({ ageMs: handshakeMsMax })).state.kind).toBe("closed");
    }
  });
});

describe("comparing", () => {
  /** Lets two sessions talk until neither has anything to say. */
  function talk(left: Greeting, right: Greeting) {
    const sides = [left, right].map((ours) => {
      const { state, effects } = step(opening, { kind: "opened", ours });
      return { state, inbox: [] as Message[], effects: [...effects] };
    });
    const sent: Message[] = [];
    let started: Extract<Effect, { kind: "start" }>[] = [];
    const starts: (typeof started)[number][] = [];
    for (let turn = 0; turn < 1_000; turn++) {
      let quiet = true;
      sides.forEach((side, at) => {
        const other = sides[1 - at];
        for (let effect = side.effects.shift(); effect; effect = side.effects.shift()) {
          quiet = false;
          if (effect.kind === "send") {
            sent.push(effect.message);
            other?.inbox.push(effect.message);
          } else if (effect.kind === "meet") {
            const outcome = step(side.state, {
              kind: "admitted",
              stage: { series: at, frames: 7 },
            });
            side.state = outcome.state;
            side.effects.push(...outcome.effects);
          } else if (effect.kind === "start") starts[at] = effect;
          else throw new Error(`${effect.kind}: ${JSON.stringify(effect)}`);
        }
        const message = side.inbox.shift();
        if (message === undefined) return;
        quiet = false;
        const event = message.kind === "hello" ? helloEvent(message) : message;
        const outcome = step(side.state, event);
        side.state = outcome.state;
        side.effects.push(...outcome.effects);
      });
      if (quiet) break;
    }
    started = starts;
    return { sent, started, states: sides.map(({ state }) => state.kind) };
  }

  const vectorOf = (count: number, random: Random, sequenceMax: number): Entry[] =>
    Array.from({ length: count }, (_, i) => ({
      actor: actorOf(i),
      sequence: 1 + random.below(sequenceMax),
    }));

  test("both ends learn the other's vector exactly, whatever they hold", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new Random(seed);
      const size = random.pick([0, 1, 5, 32, 33, 100, 1_000]);
      const left = vectorOf(size, random, random.pick([1, 2, 1_000]));
      const right = random.chance(0.3)
        ? left.filter(() => random.chance(0.9))
        : vectorOf(random.below(size + 2), random, 2);
      const [a, b] = [greeting(101, left), greeting(102, right)];
      const { started, states: ended } = talk(a, b);
      expect(ended, `seed ${seed}`).toEqual(["streaming", "streaming"]);
      expect(started[0]?.told, `seed ${seed}`).toEqual(left);
      expect(started[0]?.known, `seed ${seed}`).toEqual(right);
      expect(started[1]?.told, `seed ${seed}`).toEqual(right);
      expect(started[1]?.known, `seed ${seed}`).toEqual(left);
    }
  });

  test("nothing is said about vectors that are the same", () => {
    const { sent, started } = talk(
      greeting(101, vectorOf(1_000, new Random(1), 9)),
      greeting(102, vectorOf(1_000, new Random(1), 9)),
    );
    expect(sent.map(({ kind }) => kind)).toEqual(["hello", "hello"]);
    expect(started.map(({ resume }) => resume)).toEqual([undefined, undefined]);
  });

  test("of long vectors only the parts that differ are sent", () => {
    const left = vectorOf(1_000, new Random(1), 9);
    const right = left.map((entry, i) => (i === 500 ? { ...entry, sequence: 10 } : entry));
    const { sent, started } = talk(greeting(101, left), greeting(102, right));
    const told = sent.flatMap((message) => (message.kind === "vector" ? message.entries : []));
    expect(told.length).toBeLessThan(100);
    expect(told.length).toBeGreaterThan(1);
    expect(started.map(({ resume }) => resume)).toEqual([
      { series: 1, frames: 7 },
      { series: 0, frames: 7 },
    ]);
  });

  test("vectors of many actors go in several messages", () => {
    const left = vectorOf(20_000, new Random(1), 9);
    const { sent, started } = talk(greeting(101, left), greeting(102, []));
    expect(sent.filter(({ kind }) => kind === "vector").length).toBe(3);
    expect(started[1]?.known).toEqual(left);
  });

  test("a vector unlike its digest, or longer than it was said to be, ends the link", () => {
    const theirs = vectorOf(3, new Random(1), 9);
    for (const entries of [theirs.slice(1), vectorOf(4, new Random(1), 9), []]) {
      let state = step(opening, { kind: "opened", ours: greeting(101) }).state;
      state = step(state, helloEvent(greeting(102, theirs).hello)).state;
      state = step(state, { kind: "admitted", stage: undefined }).state;
      const { effects } = step(state, {
        kind: "vector",
        more: false,
        entries: inActorOrder([...entries]),
      });
      expect(effects).toMatchObject([{ kind: "end", end: { code: "protocol" } }]);
    }
  });

  test("a vector in endless small pieces ends the link", () => {
    let state = step(opening, { kind: "opened", ours: greeting(101) }).state;
    state = step(state, helloEvent(greeting(102, vectorOf(3, new Random(1), 9)).hello)).state;
    state = step(state, { kind: "admitted", stage: undefined }).state;
    expect(step(state, { kind: "vector", more: true, entries: [] }).state.kind).toBe("closed");
  });
});
