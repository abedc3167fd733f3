// An executable model of expiry: under each key content (an add-wins set) beside one slot of deadlines, "until D", which a replica whose turn
// it is overwrites with "expired up to D"; what is shown is a function of what is held; the content goes, by an observed remove, once
// everybody is known to have heard. Clocks are skewed within a bound, replicas are cut off, crash back to what their disk has and go on as
// another actor. Its oracle is causal, and it has never heard of the removal: who can tell whether it happened yet has found a fault.
//   node test/models/expiry.mjs [runs] [fault]     no fault: 0 wrong in 20,000 runs
//   node test/models/expiry.mjs seed:17 [fault]    one run

import { specification } from "./expiry-specification.mjs";

/** Rules broken on purpose: each must be found wrong. */
const faults = {
  "one-phase": "expiry removes what it has seen at once",
  "at-read": "what is shown is decided by the reader's clock",
  "no-grace": "whoever finds a deadline passed expires it at once, not only its writer",
  "expire-now": "expired up to the present, not up to the deadline that passed",
  unstable: "the content goes before everybody has heard",
  "half-stable":
    "the content goes when everybody has heard, though what they wrote before may be on the way",
  "ack-memory": "a peer has heard though its disk has not",
  apart: "the deadline is a batch of its own, after the content",
  "touch-less": "a write leaves a deadline alone that is late enough",
  uncleared: "a write to an expired key leaves the old content there",
  "not-swept": "deadlines of keys without content stay",
};

const [runs = "20000", fault = "none"] = process.argv.slice(2);
const is = (name) => fault === name;
if (fault !== "none" && !(fault in faults)) throw new Error(`no fault ${fault}`);

const random = (seed) => () => {
  seed = (seed + 0x6d2b79f5) >>> 0;
  let t = seed;
  t = Math.imul(t ^ (t >>> 15), t | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};

/** Clocks are at most so far apart; a write is good for `lifetime` by its writer's. */
const [bound, lifetime] = [6, 20];
const elements = ["a", "b"];

const at = (vector, actor) => vector.get(actor) ?? 0;
const covers = (outer, inner) => [...inner].every(([actor, n]) => at(outer, actor) >= n);
const copySlots = (slots) => new Map([...slots].map(([name, cells]) => [name, new Map(cells)]));

class Wrong extends Error {}

class Replica {
  constructor(world, skew) {
    Object.assign(this, { world, skew });
    this.vector = new Map();
    /** Slot -> actor -> { n, value }: the cells that nothing seen has replaced. */
    this.slots = new Map();
    /** For the oracle alone. */
    this.seen = new Set();
    /** What each other replica is known to hold. */
    this.acknowledged = new Map();
    this.become();
    this.save();
  }
  become() {
    this.actor = `a${this.world.actors++}`;
    this.mine = new Set([...(this.mine ?? []), this.actor]);
    this.n = 0;
  }
  get now() {
    return this.world.now + this.skew;
  }
  save() {
    this.disk = {
      vector: new Map(this.vector),
      slots: copySlots(this.slots),
      seen: new Set(this.seen),
    };
  }
  crash() {
    const { vector, slots, seen } = this.disk;
    this.vector = new Map(vector);
    this.slots = copySlots(slots);
    this.seen = new Set(seen);
    this.acknowledged = new Map();
    this.become();
    this.save();
  }

  /** One batch: what it sets replaces what is there, `undefined` removes. */
  batch(event, changes) {
    const n = ++this.n;
    const id = `${this.actor}:${n}`;
    const saw = new Set(this.seen);
    this.world.history.set(id, { ...event, id, actor: this.actor, saw });
    this.seen.add(id);
    this.vector.set(this.actor, n);
    for (const [slot, value] of changes) {
      this.slots.set(slot, value === undefined ? new Map() : new Map([[this.actor, { n, value }]]));
    }
  }
  cells(slot) {
    return [...(this.slots.get(slot) ?? [])].map(([actor, cell]) => ({ actor, ...cell }));
  }
  holds(element) {
    return this.cells(element).length > 0;
  }
  /** The latest deadline, and up to where it is expired. */
  life() {
    const life = this.cells("life");
    const largest = (kind) => Math.max(-1, ...life.map(({ value }) => value[kind] ?? -1));
    return { until: largest("until"), expired: largest("expired"), cells: life };
  }
  get isExpired() {
    const { until, expired, cells } = this.life();
    if (is("at-read")) return cells.length > 0 && until <= this.now;
    return cells.length > 0 && until <= expired;
  }
  shown() {
    return elements.filter((element) => this.holds(element) && !this.isExpired);
  }

  // What users do.

  add(element) {
    const isNew = this.isExpired;
    const { until } = this.life();
    const deadline = Math.max(until, this.now + lifetime);
    const cleared = isNew && !is("uncleared") ? elements.map((one) => [one, undefined]) : [];
    const life =
      is("touch-less") && !isNew && until >= deadline ? [] : [["life", { until: deadline }]];
    // Whether what has expired was removed since is what nobody may notice.
    const event = { kind: "add", element, deadline, isNew: this.shown().length === 0 };
    if (is("apart")) {
      this.batch(event, [...cleared, [element, true]]);
      if (this.world.chance(0.9)) this.batch({ kind: "life", deadline }, life);
    } else this.batch(event, [...cleared, [element, true], ...life]);
    this.world.expect(this.shown().includes(element), "a write does not show");
  }
  remove(element) {
    if (this.holds(element) && !this.isExpired)
      this.batch({ kind: "remove", element }, [[element, undefined]]);
  }
  delete() {
    if (this.shown().length === 0) return;
    const all = [...elements, "life"].map((slot) => [slot, undefined]);
    this.batch({ kind: "delete" }, all);
  }
  expireAt(deadline) {
    if (this.shown().length > 0)
      this.batch({ kind: "life", deadline }, [["life", { until: deadline }]]);
  }

  // What replicas do by themselves.

  /** Whose turn it is: the writer of the latest deadline, then anybody. */
  isDue() {
    const { until, cells } = this.life();
    const isMine = cells.some(({ actor, value }) => value.until === until && this.mine.has(actor));
    return until >= 0 && until + (isMine || is("no-grace") ? 0 : bound) <= this.now;
  }
  look() {
    const { until, expired, cells } = this.life();
    if (cells.length === 0) return;
    if (until > expired) {
      if (!this.isDue()) return;
      if (!elements.some((element) => this.holds(element))) {
        // As if somebody had deleted nothing: there is nothing that could come back.
        if (!is("not-swept")) this.batch({ kind: "delete" }, [["life", undefined]]);
        return;
      }
      const owners = cells.filter(({ value }) => value.until === until).map(({ actor }) => actor);
      this.world.expectPassed(owners, until);
      const upTo = is("expire-now") ? this.now : until;
      if (is("one-phase")) this.clear(upTo);
      else this.batch({ kind: "expire", upTo }, [["life", { expired: upTo }]]);
      return;
    }
    if (is("unstable") || this.isStable(cells)) this.clear();
  }
  clear(upTo) {
    const event = upTo === undefined ? { kind: "gone" } : { kind: "expire", upTo };
    const changes = [...elements, "life"].map((slot) => [slot, undefined]);
    this.batch(event, changes);
  }
  /** Everybody has heard, and all that they wrote before they had is here. */
  isStable(cells) {
    return this.world.replicas.every((other) => {
      if (other === this) return true;
      const vector = this.acknowledged.get(other);
      if (vector === undefined || !cells.every(({ actor, n }) => at(vector, actor) >= n))
        return false;
      return is("half-stable") || covers(this.vector, vector);
    });
  }

  // Joining.

  message() {
    return {
      from: this,
      vector: new Map(this.vector),
      slots: copySlots(this.slots),
      seen: new Set(this.seen),
    };
  }
  /** Mine stays unless they know it and lack it; theirs comes unless I know it. */
  receive({ vector, slots, seen }) {
    for (const slot of new Set([...this.slots.keys(), ...slots.keys()])) {
      const [mine, theirs] = [this.slots.get(slot) ?? new Map(), slots.get(slot) ?? new Map()];
      const joined = new Map();
      for (const [actor, cell] of mine) {
        if (at(vector, actor) < cell.n || theirs.get(actor)?.n === cell.n) joined.set(actor, cell);
      }
      for (const [actor, cell] of theirs)
        if (at(this.vector, actor) < cell.n) joined.set(actor, cell);
      this.slots.set(slot, joined);
    }
    for (const [actor, n] of vector) if (at(this.vector, actor) < n) this.vector.set(actor, n);
    for (const id of seen) this.seen.add(id);
  }
  /** What this replica tells others that it has. */
  acknowledgement() {
    return { from: this, vector: new Map(is("ack-memory") ? this.vector : this.disk.vector) };
  }
}

class World {
  constructor(seed) {
    this.random = random(seed);
    Object.assign(this, { now: 100, actors: 0, history: new Map(), flying: [] });
    this.replicas = [0, 1, 2].map(() => new Replica(this, this.below(bound + 1) - bound / 2));
  }
  below(n) {
    return Math.floor(this.random() * n);
  }
  chance(p) {
    return this.random() < p;
  }
  pick(list) {
    return list[this.below(list.length)];
  }
  expect(holds, what) {
    if (!holds) throw new Wrong(what);
  }
  /** A deadline is expired only when it has passed for one that wrote it. */
  expectPassed(owners, deadline) {
    const writers = this.replicas.filter(({ mine }) => owners.some((actor) => mine.has(actor)));
    this.expect(
      writers.some(({ now }) => now >= deadline),
      "expired too early",
    );
  }
  check() {
    for (const replica of this.replicas) {
      const events = [...replica.seen].map((id) => this.history.get(id));
      const { shown: wanted, present, longest } = specification(events, elements);
      const shown = replica.shown().join();
      this.expect(shown === wanted.join(), `shows [${shown}], not [${wanted.join()}]`);
      const isPassed = longest.some(({ actor, deadline }) =>
        this.replicas.every(({ mine, now }) => !mine.has(actor) || now >= deadline),
      );
      this.expect(isPassed || shown === present.join(), "gone before the deadline has passed");
      const hasContent = elements.some((element) => replica.holds(element));
      this.expect(!hasContent || replica.life().cells.length > 0, "content that will never expire");
    }
  }
  step() {
    const [x, y] = [this.pick(this.replicas), this.pick(this.replicas)];
    const something = this.below(20);
    if (something < 3) x.add(this.pick(elements));
    else if (something < 4) x.remove(this.pick(elements));
    else if (something < 5) x.delete();
    else if (something < 6) x.expireAt(x.now - 5 + this.below(2 * lifetime));
    else if (something < 8) this.now += this.below(8);
    else if (something < 10) x.look();
    else if (something < 11) x.save();
    else if (something < 12 && this.chance(0.5)) x.crash();
    else if (something < 13 && this.chance(0.3)) this.meet();
    else if (something > 14) this.deliver();
    else if (x !== y) this.send(x, y);
  }
  send(from, to) {
    this.flying.push({ to, what: this.chance(0.5) ? from.message() : from.acknowledgement() });
  }
  /** Any of what is on the way, mostly what is new; perhaps twice, perhaps never. */
  deliver() {
    if (this.flying.length === 0) return;
    const late = this.flying.length - 1 - this.below(Math.min(3, this.flying.length));
    const i = this.chance(0.7) ? late : this.below(this.flying.length);
    const { to, what } = this.flying[i];
    if (this.chance(0.8)) this.flying.splice(i, 1);
    if (this.chance(0.2)) return;
    if (what.slots) to.receive(what);
    else if (!covers(to.acknowledged.get(what.from) ?? new Map(), what.vector)) {
      to.acknowledged.set(what.from, what.vector);
    }
  }
  /** Everybody hears everything, and that everybody has. */
  meet() {
    const all = this.replicas;
    for (const x of all) for (const y of all) if (x !== y) y.receive(x.message());
    for (const x of all) x.save();
    for (const x of all) for (const y of all) y.acknowledged.set(x, x.acknowledgement().vector);
  }
  /** Every deadline passes; nothing is left. */
  rest() {
    for (let round = 0; round < 8; round++) {
      this.meet();
      this.check();
      const shown = this.replicas.map((replica) => replica.shown().join());
      this.expect(
        shown.every((one) => one === shown[0]),
        "replicas do not agree",
      );
      if (round > 0) for (const replica of this.replicas) replica.look();
      if (round === 1) this.now += 4 * lifetime;
    }
    for (const replica of this.replicas) {
      const cells = [...replica.slots.values()].reduce((sum, slot) => sum + slot.size, 0);
      this.expect(cells === 0, "memory does not return");
    }
  }
}

/** What chance meets too seldom: each step of a scene is followed by a check. */
const scenes = [
  // One looks late and has a fast clock; another, with a slow one, has gone on by a little meanwhile.
  (world, [x, y]) => {
    Object.assign(x, { skew: bound / 2 });
    Object.assign(y, { skew: -bound / 2 });
    x.add("a");
    y.receive(x.message());
    world.now += lifetime - 1;
    y.expireAt(y.now + bound + 3);
    world.now += bound - 1;
    x.look();
    y.receive(x.message());
  },
  // One has gone on, hears of the expiry and says so; what it wrote before is still on the way.
  (world, [x, y, z]) => {
    const heard = () => {
      for (const one of [y, z]) one.receive(x.message());
      world.check();
      for (const one of [y, z]) one.save();
      for (const one of [y, z]) x.acknowledged.set(one, one.acknowledgement().vector);
    };
    x.add("a");
    heard();
    world.now += lifetime;
    y.expireAt(y.now + 2 * lifetime);
    world.now += bound;
    x.look();
    heard();
    x.look();
    x.receive(y.message());
  },
  // One hears of the expiry and says so, but loses it in a crash, and goes on with the key.
  (world, [x, y, z]) => {
    x.add("a");
    for (const one of [y, z]) one.receive(x.message());
    for (const one of [y, z]) one.save();
    world.now += lifetime + bound;
    x.look();
    for (const one of [y, z]) one.receive(x.message());
    for (const one of [y, z]) x.acknowledged.set(one, one.acknowledgement().vector);
    y.crash();
    y.expireAt(y.now + 2 * lifetime);
    x.look();
    x.receive(y.message());
  },
];

function steps(world) {
  for (let i = 0; i < 90; i++) {
    world.step();
    world.check();
  }
}

/** The first seeds are the scenes. */
function run(seed) {
  const world = new World(seed);
  try {
    (scenes[seed - 1] ?? steps)(world, world.replicas);
    world.check();
    world.rest();
    return undefined;
  } catch (error) {
    if (error instanceof Wrong) return error.message;
    throw error;
  }
}

if (runs.startsWith("seed:")) {
  const seed = Number(runs.slice(5));
  console.log(`fault ${fault}, seed ${seed}: ${run(seed) ?? "nothing is wrong"}`);
} else {
  const wrong = new Map();
  for (let seed = 1; seed <= Number(runs); seed++) {
    const found = run(seed);
    if (found === undefined) continue;
    const name = found.replace(/\[.*/u, "what it should not");
    const known = wrong.get(name) ?? { times: 0, seed };
    wrong.set(name, { ...known, times: known.times + 1 });
  }
  const times = [...wrong.values()].map((one) => one.times);
  console.log(`fault ${fault}: wrong in ${times.reduce((sum, one) => sum + one, 0)} of ${runs}`);
  for (const [name, one] of wrong)
    console.log(`  ${name}: ${one.times}, first at seed ${one.seed}`);
}
