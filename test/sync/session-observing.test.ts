/** Sessions on which one end only asks. */
import { describe, expect, test } from "vitest";
import type { Entry } from "../../src/sync/digest.ts";
import { opening, type SessionState, silentTicksMax, step } from "../../src/sync/session.ts";
import { actorOf, answer, greeting, helloEvent, kinds, question, states } from "./session-cases.ts";

describe("observing", () => {
  /** Lets an observer and a replica meet; returns where both are, and what they are to do. */
  function meet(entries: Entry[]) {
    const observer = greeting(1, [], { isObserver: true, collections: [] });
    const replica = greeting(2, entries);
    const outcomes = [
      { ours: observer, theirs: replica },
      { ours: replica, theirs: observer },
    ].map(({ ours, theirs }) => {
      let { state } = step(opening, { kind: "opened", ours });
      state = step(state, helloEvent(theirs.hello)).state;
      const admitted = step(state, { kind: "admitted", stage: undefined });
      if (admitted.state.kind !== "comparing") return admitted;
      return step(admitted.state, { kind: "vector", more: false, entries: theirs.entries });
    });
    return outcomes.map(({ state, effects }) => ({ state, effects }));
  }

  test("begins where replicas would stream, whether anything is held or not", () => {
    for (const entries of [[], [{ actor: actorOf(2), sequence: 2 }]]) {
      const [observer, replica] = meet(entries);
      expect(observer?.state).toEqual({ kind: "observing", isAsking: false });
      expect(observer?.effects).toEqual([{ kind: "observe", known: entries }]);
      expect(replica?.state).toEqual({ kind: "attending", isAsked: false });
      expect(replica?.effects).toEqual([]);
    }
  });

  test("one question is asked at a time, and only what was asked is answered", () => {
    const asking: SessionState = { kind: "observing", isAsking: false };
    const asked = step(asking, { kind: "question", question });
    expect(asked.state).toEqual({ kind: "observing", isAsking: true });
    expect(kinds(asked.effects)).toEqual(["send ask"]);
    expect(step(asked.state, answer).state).toEqual(asking);
    expect(step(asking, answer).state.kind).toBe("closed");

    const attending: SessionState = { kind: "attending", isAsked: false };
    const considering = step(attending, { kind: "ask", question });
    expect(considering.state).toEqual({ kind: "attending", isAsked: true });
    expect(kinds(considering.effects)).toEqual(["consider"]);
    expect(step(considering.state, { kind: "answered", answer }).state).toEqual(attending);
    expect(step(considering.state, { kind: "ask", question }).state.kind).toBe("closed");
  });

  test("two that only observe have nothing to say to each other", () => {
    const { state } = step(opening, {
      kind: "opened",
      ours: greeting(1, [], { isObserver: true }),
    });
    const met = step(state, helloEvent(greeting(2, [], { isObserver: true }).hello));
    expect(met.effects).toMatchObject([{ kind: "end", end: { code: "protocol" } }]);
  });

  test("an observer may have any clock", () => {
    const { state } = step(opening, { kind: "opened", ours: greeting(1) });
    const { hello } = greeting(2, [], { isObserver: true, wallMs: 0 });
    expect(step(state, helloEvent(hello)).state.kind).toBe("meeting");
  });

  test("a silent end is pinged, and given up on", () => {
    for (const state of states()) {
      if (state.kind !== "observing" && state.kind !== "attending") continue;
      const tick = { kind: "tick", ageMs: 0, silentTicks: 1, stalledMs: 0 } as const;
      expect(step(state, tick).state).toEqual(state);
      expect(kinds(step(state, tick).effects)).toEqual(["send ping"]);
      expect(step(state, { ...tick, silentTicks: silentTicksMax }).state.kind).toBe("closed");
    }
  });
});
