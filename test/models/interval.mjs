// An executable model of delta intervals where a slot's content and its place in the change log
// are one thing, the cell: one per actor and slot, live (content and touch) or bare (a removal).
// Its oracle is causal and asked after every step: a replica shows exactly the dots that follow from
// the writes its vector covers. An add is there if and only if no other write of its element saw
// it, a counter is the sum of all that was added to it.
//   node test/models/interval.mjs [runs] [fault]     no fault: 0 wrong in 200,000 runs
//   node test/models/interval.mjs seed:17 [fault]    prints what happened in one run

/** Rules broken on purpose: each must be found wrong, the rarest in a few of 200,000 runs. */
const faults = {
  gap: "a frame that does not connect is applied",
  nofloor: "a complete state leaves the receiver's floor where it was",
  "floor-first": "the floor rises only to the one told in the first piece",
  "join-pieces": "pieces are joined as they come and the vector follows them",
  "no-closing-interval": "the vector moves to that of the last numbers sent",
  "absence-unlisted": "absence counts under the last vector, for nodes of the closing interval too",
  "one-vector": "all pieces are joined under the vector of the last one",
  "late-floor": "a series goes on though the sender's floor has passed it",
  "drop-bare-on-join": "a bare cell that the frame covers and lacks is dropped",
  "forget-live": "forgetting drops live cells too",
  "forget-nofloor": "forgetting does not raise the floor",
  "part-slot": "only the changed cells of an element travel",
  "skip-bare": "a complete state leaves out nodes that have only bare cells",
  renumber: "nodes change their numbers while they have cells",
  "resume-restarted": "a restarted sender goes on with the series of its former process",
  "number-only": "a piece connects by the number of its series and its own alone",
};

/** Rules changed on purpose: each is as right as the rule it stands for. */
const variants = {
  none: "the rules as they are",
  "held-from": "markers stand only for payloads that the vector at the start of the series covers",
  "held-complete": "complete states too have markers, for what the receiver's vector covers",
  "absence-last": "absence counts under the last vector, but not for nodes of the closing interval",
  "floor-last-numbers": "the floor rises to the one told with the last numbers",
  "exact-start": "a piece connects where another ends, unless its vector is older",
  "no-skip": "frames that tell nothing new are joined all the same",
};

const [runs = "20000", fault = "none"] = process.argv.slice(2);
if (!(fault in { ...faults, ...variants })) throw new RangeError(`no such fault: ${fault}`);

const elements = ["e0", "e1", "e2"];
const counters = ["c0", "c1"];
const isCounter = (name) => name.startsWith("c");

const randomFrom = (state) => (below) => {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) % below;
};

const at = (vector, actor) => vector.get(actor) ?? 0;
const joinInto = (vector, other) => {
  for (const [actor, n] of other) if (at(vector, actor) < n) vector.set(actor, n);
};
const covered = (inner, outer) => [...inner].every(([actor, n]) => at(outer, actor) >= n);
const copyState = ({ vector, floor, nodes }) => ({
  vector: new Map(vector),
  floor: new Map(floor),
  nodes: new Map([...nodes].map(([name, cells]) => [name, new Map(cells)])),
});

let issued = 0;
const fresh = (kind) => kind + issued++;

class Replica {
  vector = new Map(); // actor -> n: everything up to it is held, with its causes
  floor = new Map(); // actor -> n: bare cells up to it may be gone
  nodes = new Map(); // node -> Map(actor -> { n, live, sum }); never an empty one
  numbered = []; // number -> node: the order of complete states
  staged = new Map(); // sender's process -> pieces of a series, joined when it is whole
  ahead = new Map(); // peer -> where it is if nothing that was sent to it is lost
  needed = false; // a payload was needed of which only a marker had come

  constructor(label, int) {
    Object.assign(this, { label, int });
    this.save();
    this.restart();
  }

  takeNewActor() {
    [this.actor, this.n] = [fresh(this.label), 0];
  }

  save() {
    this.disk = copyState(this);
  }

  /** Opens again with what the disk holds, perhaps much older than what peers have seen of us. */
  restart() {
    Object.assign(this, copyState(this.disk));
    this.staged.clear();
    this.ahead.clear();
    this.process = fault === "resume-restarted" ? this.label : fresh("p");
    this.takeNewActor();
    this.numbered = [...this.nodes.keys()];
  }

  /** Keeps a node's cells. A node without any loses its number, and others may be given it. */
  put(name, cells) {
    if (cells.size === 0) {
      if (this.nodes.delete(name)) this.numbered[this.numbered.indexOf(name)] = undefined;
      return;
    }
    if (!this.nodes.has(name)) {
      const free = this.int(3) ? this.numbered.indexOf(undefined) : -1;
      this.numbered[free < 0 ? this.numbered.length : free] = name;
    }
    this.nodes.set(name, cells);
  }

  isPresent(name) {
    return [...(this.nodes.get(name)?.values() ?? [])].some((cell) => cell.live);
  }

  /** One batch, one dot: `operations` is node -> "add", "remove" or what is added to a counter. */
  write(operations, history) {
    const real = [...operations].filter(([name, op]) => op !== "remove" || this.isPresent(name));
    if (real.length === 0) return;
    const saw = new Map(this.vector);
    const { actor } = this;
    const n = ++this.n;
    this.vector.set(actor, n);
    for (const [name, op] of real) {
      history.push({ name, op, actor, n, saw });
      const cells = new Map(isCounter(name) ? this.nodes.get(name) : []);
      const sum = isCounter(name) ? (cells.get(actor)?.sum ?? 0) + op : 0;
      this.put(name, cells.set(actor, { n, live: op !== "remove", sum }));
    }
  }

  /** Raises the floor over some bare cells and drops all below it. */
  forget() {
    const floor = new Map(this.floor);
    for (const [actor, { n, live }] of [...this.nodes.values()].flatMap((cells) => [...cells])) {
      if (!live && this.int(3)) floor.set(actor, Math.max(at(floor, actor), n));
    }
    this.dropBareUpTo(floor);
    if (fault !== "forget-nofloor") this.floor = floor;
  }

  dropBareUpTo(floor) {
    for (const [name, cells] of [...this.nodes]) {
      const isFixed = (cell) => cell.live && (fault !== "forget-live" || isCounter(name));
      const isKept = ([actor, cell]) => isFixed(cell) || cell.n > at(floor, actor);
      this.put(name, new Map([...cells].filter(isKept)));
    }
  }

  /** Where this replica is for a sender: its vector, and the last piece it has of a series. */
  cursorFor(sender) {
    return { vector: new Map(this.vector), after: this.staged.get(sender.process)?.at(-1) };
  }

  /** The next frame for a peer at `cursor`, of about `limit` changes or nodes. */
  frame({ vector, after: latest }, limit) {
    const isTooLate = latest && !covered(this.floor, latest.have) && fault !== "late-floor";
    const after = isTooLate ? undefined : latest;
    const isComplete = after ? after.complete && !after.whole : !covered(this.floor, vector);
    const begin = after ?? { index: -1, position: 0, have: vector, held: vector };
    const piece = isComplete ? this.numbers(begin, limit) : this.changes(begin, limit);
    const series = after?.series ?? fresh("s");
    const ids = { id: fresh("f"), after: after?.id, series, index: begin.index + 1 };
    const told = { start: begin.position, held: begin.held, floor: new Map(this.floor) };
    return Object.assign(piece, ids, told, { sender: this.process });
  }

  /** A piece of a complete state: the next nodes in the order of their numbers. */
  numbers(after, limit) {
    if (fault === "renumber") this.numbered.reverse();
    const to = new Map(this.vector);
    const first = after.first ?? to;
    const from = fault === "held-complete" ? after.held : new Map();
    const nodes = [];
    let { position } = after;
    while (position < this.numbered.length && nodes.length < limit) {
      const name = this.numbered[position++];
      if (name === undefined || (fault === "skip-bare" && !this.isPresent(name))) continue;
      nodes.push([name, this.outgoing(name, from, from)]);
    }
    const whole = position >= this.numbered.length;
    const last = whole && (!after.first || fault === "no-closing-interval");
    return { complete: true, from, to, have: first, first, position, whole, last, nodes };
  }

  /** An interval, or as much of it as fits, oldest first per actor and never a part of a dot. */
  changes(after, limit) {
    const from = after.have;
    const to = new Map(this.vector);
    const changes = [];
    for (const [name, cells] of this.nodes)
      for (const [actor, { n }] of cells) if (n > at(from, actor)) changes.push({ name, actor, n });
    changes.sort((x, y) => x.n - y.n || (x.actor < y.actor ? -1 : 1));
    const dotAt = (i) => `${changes[i].actor}:${changes[i].n}`;
    let end = Math.min(limit, changes.length);
    while (end < changes.length && dotAt(end) === dotAt(end - 1)) end++;
    const have = new Map(to);
    for (const { actor: a, n } of changes.slice(end)) have.set(a, Math.min(at(have, a), n - 1));
    const held = fault === "held-from" ? after.held : from;
    const names = [...new Set(changes.slice(0, end).map(({ name }) => name))];
    const nodes = names.map((name) => [name, this.outgoing(name, from, held)]);
    return { from, to, have, first: after.first, position: 0, last: end === changes.length, nodes };
  }

  /** What travels: of a counter what changed, of an element all, markers for what `held` covers. */
  outgoing(name, from, held) {
    const cells = [...this.nodes.get(name)];
    const changed = cells.filter(([actor, { n }]) => n > at(from, actor));
    if (isCounter(name) || fault === "part-slot") return new Map(changed);
    const isHeld = (actor, cell) => cell.live && cell.n <= at(held, actor);
    return new Map(cells.map(([actor, cell]) => [actor, { ...cell, held: isHeld(actor, cell) }]));
  }

  /** Takes a frame if it connects: an old one tells nothing, the last of a series completes it. */
  receive(frame) {
    const staged = this.staged.get(frame.sender);
    const previous = frame.after === undefined ? undefined : staged?.at(-1);
    if (!this.connects(frame, previous)) return;
    const isOld = !frame.complete && covered(frame.to, this.vector) && fault !== "no-skip";
    if (previous && (frame.last || isOld)) this.staged.delete(frame.sender);
    if (isOld) return;
    const pieces = previous ? [...staged, frame] : [frame];
    if (frame.last) this.join(pieces, frame.to);
    else if (fault === "join-pieces") this.join([frame], frame.have);
    else this.staged.set(frame.sender, pieces);
  }

  connects(frame, previous) {
    if (frame.after === undefined) return fault === "gap" || covered(frame.from, this.vector);
    if (previous === undefined) return false;
    const { id, series, index, have, position, to } = previous;
    if (fault === "number-only")
      return series === frame.series && index + 1 === frame.index && covered(frame.from, have);
    if (fault !== "exact-start") return id === frame.after;
    if (series !== frame.series || position !== frame.start || !covered(to, frame.to)) return false;
    return covered(frame.from, have) && (frame.complete || covered(have, frame.from));
  }

  /** Joins a whole series at once: nothing of it is seen, sent on or overwritten before. */
  join(pieces, to) {
    const before = new Map(this.vector);
    for (const piece of pieces) {
      const theirs = fault === "one-vector" ? to : piece.to;
      for (const [name, cells] of piece.nodes) this.joinNode(name, cells, theirs, before);
    }
    if (pieces[0].complete) {
      this.dropAbsent(pieces);
      const isTeller = (piece) => piece.complete || fault !== "floor-last-numbers";
      const told = fault === "floor-first" ? pieces[0] : pieces.findLast(isTeller);
      if (fault !== "nofloor") joinInto(this.floor, told.floor);
    }
    joinInto(this.vector, to);
  }

  /** Mine stays unless they know it and lack it; theirs comes unless I know it. */
  joinNode(name, incoming, theirs, before) {
    const mine = new Map(this.nodes.get(name));
    for (const [actor, cell] of isCounter(name) ? [] : [...mine]) {
      const isKept = at(theirs, actor) < cell.n || incoming.get(actor)?.n === cell.n;
      if (!isKept && (cell.live || fault === "drop-bare-on-join")) mine.delete(actor);
    }
    for (const [actor, { held, ...cell }] of incoming) {
      if (cell.n <= at(before, actor)) continue;
      if (!held) mine.set(actor, cell);
      else if (mine.get(actor)?.n !== cell.n) this.needed = true;
    }
    this.put(name, mine);
  }

  /** What no piece mentions, though the first one's vector covers it, was removed at the sender. */
  dropAbsent(pieces) {
    const isListing = (piece) => piece.complete || fault !== "absence-unlisted";
    const listed = new Set(pieces.filter(isListing).flatMap(({ nodes }) => nodes.map(([n]) => n)));
    const known = fault.startsWith("absence-") ? pieces.at(-1).to : pieces[0].first;
    for (const [name, cells] of [...this.nodes]) {
      if (listed.has(name) || isCounter(name)) continue;
      const isKept = ([actor, cell]) => !cell.live || cell.n > at(known, actor);
      this.put(name, new Map([...cells].filter(isKept)));
    }
  }
}

const text = (v) => JSON.stringify(v, (_, x) => (x instanceof Map ? Object.fromEntries(x) : x));
const byDot = (dots) => String(dots.map(([actor, { n }]) => `${actor}:${n}`).sort());

/** What the writes that `vector` covers mean: the dots of each element, the sum of each counter. */
function specified(vector, history) {
  const writes = history.filter(({ actor, n }) => n <= at(vector, actor));
  const dots = (name) => {
    const ofName = writes.filter((write) => write.name === name);
    const isSeen = ({ actor, n }) => ofName.some(({ saw }) => at(saw, actor) >= n);
    const live = ofName.filter((write) => write.op === "add" && !isSeen(write));
    return byDot(live.map((write) => [write.actor, write]));
  };
  const sum = (name) => writes.reduce((total, w) => total + (w.name === name ? w.op : 0), 0);
  return [...elements.map(dots), ...counters.map(sum)].join(" ");
}

function shown({ nodes }) {
  const live = (name) => [...(nodes.get(name) ?? [])].filter(([, cell]) => cell.live);
  const sum = (name) => live(name).reduce((total, [, cell]) => total + cell.sum, 0);
  return [...elements.map((name) => byDot(live(name))), ...counters.map(sum)].join(" ");
}

/** One run under a seed, which also chooses how often things happen in it. */
function run(seed, trace) {
  const int = randomFrom(seed);
  const pick = (...choices) => choices[int(choices.length)];
  const cluster = ["A", "B", "C", "D"].slice(0, pick(3, 4)).map((l) => new Replica(l, int));
  const pairs = cluster.flatMap((x) => cluster.filter((y) => x !== y).map((y) => [x, y]));
  const names = [...elements.slice(0, pick(1, 2, 3)), ...counters.slice(0, pick(0, 1, 2))];
  const [adds, batch, cut, lost, doubled] = [pick(2, 5, 8), pick(1, 5, 50), int(4), int(6), int(4)];
  const [ahead, anew, direct, phase] = [int(4), pick(4, 12, 40), pick(0, 2, 4), pick(8, 20, 200)];
  const limit = () => (int(3) < cut ? 1 + int(2) : Infinity);
  const history = [];
  const flying = [];
  let links = pairs;
  let early = false;
  const check = (replica, event) => {
    const isWrong = shown(replica) !== specified(replica.vector, history);
    early ||= isWrong;
    if (trace) console.log(replica.label, event, isWrong ? "WRONG" : "", text(copyState(replica)));
  };
  const deliver = (to, frame) => {
    if (trace) console.log(to.label, "receives", text(frame));
    to.receive(frame);
    check(to, "then");
  };
  const steps = {
    write(x) {
      const operations = new Map();
      for (let left = int(batch) ? 1 : 3; left > 0; left--) {
        const name = pick(...names);
        const op = int(10) < adds || (int(2) && !x.isPresent(name)) ? "add" : "remove";
        operations.set(name, isCounter(name) ? 1 + int(4) : op);
      }
      x.write(operations, history);
    },
    send() {
      const open = links.filter(([x, y]) => y.staged.has(x.process));
      const useful = links.filter(([x, y]) => !covered(x.vector, y.vector));
      const [x, y] = pick(...([open, useful].find((some) => some.length > 0 && int(3)) ?? links));
      const known = y.cursorFor(x);
      const cursor = (int(4) < ahead && x.ahead.get(y)) || known;
      const frame = x.frame(int(anew) ? cursor : { vector: known.vector }, limit());
      const vector = new Map(cursor.vector);
      if (frame.last) joinInto(vector, frame.to);
      x.ahead.set(y, { vector, after: frame.last ? undefined : frame });
      if (int(4) < direct) deliver(y, frame);
      else flying.push([y, frame]);
    },
    deliver() {
      if (flying.length === 0) return;
      const j = int(3) ? 0 : int(flying.length);
      const [to, frame] = flying[j];
      if (int(6) >= doubled) flying.splice(j, 1);
      if (int(10) >= lost) deliver(to, frame);
    },
  };
  const weights = { write: pick(1, 2, 4), send: pick(2, 4), deliver: pick(1, 4), forget: int(3) };
  if (int(2)) Object.assign(weights, { save: int(2), restart: int(2), takeNewActor: int(2) });
  const bag = Object.entries(weights).flatMap(([name, times]) => Array(times).fill(name));
  const length = 10 + int(140);
  for (let step = 0; step < length; step++) {
    if (step % phase === 0) links = Array.from({ length: 1 + int(8) }, () => pick(...pairs));
    const [name, x] = [pick(...bag), pick(...cluster)];
    (steps[name] ?? (() => x[name]()))(x);
    if (name !== "send" && name !== "deliver") check(x, name);
  }
  for (const [x, y] of [...pairs, ...pairs, ...pairs])
    for (let i = 0; i < 100 && !covered(x.vector, y.vector); i++)
      deliver(y, x.frame(y.cursorFor(x), limit()));
  const everything = new Map();
  for (const x of cluster) joinInto(everything, x.vector);
  const wanted = specified(everything, history);
  const final = cluster.some((x) => shown(x) !== wanted);
  const hidden = final && cluster.every((x) => shown(x) === shown(cluster[0]));
  const needed = cluster.some((x) => x.needed);
  const stuck = cluster.some((x) => !covered(everything, x.vector));
  for (const x of cluster) x.dropBareUpTo(x.vector);
  const cells = cluster.flatMap((x) => [...x.nodes.values()].flatMap((node) => [...node.values()]));
  const bare = cells.some((cell) => !cell.live);
  const wrong = early || final || needed || stuck || bare;
  return { length, wrong, final, hidden, needed, stuck, bare };
}

const only = runs.startsWith("seed:") ? Number(runs.slice(5)) : undefined;
const counts = { wrong: 0, final: 0, hidden: 0, needed: 0, stuck: 0, bare: 0 };
let shortest;
for (let seed = only ?? 1; seed <= (only ?? Number(runs)); seed++) {
  const found = run(seed, only !== undefined);
  for (const kind of Object.keys(counts)) if (found[kind]) counts[kind]++;
  if (found.wrong && !(shortest?.length <= found.length)) shortest = { seed, length: found.length };
}
const figures = Object.entries(counts).map(([kind, count]) => `${kind} ${count}`);
if (shortest) figures.push(`shortest at seed ${shortest.seed} (${shortest.length} steps)`);
console.log(`${fault}: ${runs} runs, ${figures.join(", ")}`);
process.exitCode = fault in variants === (counts.wrong === 0) ? 0 : 1;
