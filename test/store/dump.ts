/** What a keyspace holds, in plain sorted form, and whether all its lists and counts agree. */
import { noCell } from "../../src/crdt/cells.ts";
import type { Keyspace } from "../../src/store/keyspace.ts";

/** One cell: who wrote it, when, and what. */
export interface DumpedCell {
  readonly actor: string;
  readonly sequence: number;
  readonly live: boolean;
  readonly value: number;
  readonly payload: unknown;
}

/** Slots by path, and the vector by actor. */
export interface Dump {
  readonly slots: Readonly<Record<string, readonly DumpedCell[]>>;
  readonly held: Readonly<Record<string, number>>;
}

/** `live`: what all replicas must agree on; `all`: bare cells too. */
export function dump(keyspace: Keyspace, cells: "live" | "all" = "live"): Dump {
  const slots: [string, DumpedCell[]][] = [];
  for (const node of leaves(keyspace)) {
    const chain = chainOf(keyspace, node)
      .map((cell) => dumpCell(keyspace, cell))
      .filter(({ live }) => live || cells === "all")
      .toSorted((one, other) => (one.actor < other.actor ? -1 : 1));
    if (chain.length > 0) slots.push([pathOf(keyspace, node), chain]);
  }
  return { slots: sortedRecord(slots), held: sortedRecord(vectorOf(keyspace)) };
}

/** Everything that a transaction must put back: all cells, the order of the logs, counts, floor. */
export function dumpWhole(keyspace: Keyspace): unknown {
  const { actors, cells, retention, nodes } = keyspace;
  const logs: [string, string[]][] = [];
  for (let actor = 0; actor < actors.count; actor++) {
    const log = logOf(keyspace, actor).map(
      (cell) => `${pathOf(keyspace, cells.slot(cell))}@${cells.sequence(cell)}`,
    );
    if (log.length > 0) logs.push([actors.name(actor), log]);
  }
  return {
    ...dump(keyspace, "all"),
    logs: sortedRecord(logs),
    totals: sortedRecord(
      [...allNodes(keyspace)]
        .filter((node) => nodes.total(node) !== 0)
        .map((node) => [pathOf(keyspace, node), nodes.total(node)] as const),
    ),
    live: nodes.roots.map(({ live }) => live),
    cells: cells.count,
    bare: retention.count,
    floor: [...retention.floor.entries()],
  };
}

/** The vector by actor. */
export const vectorOf = (keyspace: Keyspace): [string, number][] =>
  [...keyspace.held.entries()].map(([actor, sequence]) => [keyspace.actors.name(actor), sequence]);

/** Throws unless every list, count and total is what the cells say. */
export function assertWhole(keyspace: Keyspace): void {
  const { cells, nodes, retention } = keyspace;
  const seen = new Set<number>();
  let bare = 0;
  const expected = new Map<number, number>();
  const rootLive = nodes.roots.map(() => 0);
  for (const node of leaves(keyspace)) {
    const chain = chainOf(keyspace, node);
    const live = chain.filter((cell) => cells.isLive(cell));
    bare += chain.length - live.length;
    for (const cell of chain) {
      check(!seen.has(cell), () => `cell ${cell} hangs in two slots`);
      check(
        cells.slot(cell) === node,
        () => `cell ${cell} finds slot ${cells.slot(cell)}, not ${node}`,
      );
      seen.add(cell);
    }
    const actors = new Set(chain.map((cell) => cells.actor(cell)));
    check(
      actors.size === chain.length,
      () => `an actor has two cells in ${pathOf(keyspace, node)}`,
    );
    const total = nodes.isSum(node) ? sumOf(keyspace, chain) : live.length;
    const told = nodes.total(node);
    check(told === total, () => `${pathOf(keyspace, node)} says ${told}, its cells ${total}`);
    if (live.length > 0 && !nodes.isAside(node)) countUp(keyspace, node, expected, rootLive);
  }
  check(seen.size === cells.count, () => `${cells.count} cells counted, ${seen.size} found`);
  check(bare === retention.count, () => `${retention.count} bare cells counted, ${bare} found`);
  for (const node of allNodes(keyspace)) {
    if (!nodes.isContainer(node)) continue;
    const told = nodes.total(node);
    const live = expected.get(node) ?? 0;
    check(
      told === live,
      () => `${pathOf(keyspace, node)} counts ${told} live children, has ${live}`,
    );
  }
  nodes.roots.forEach((root, index) => {
    check(
      root.live === rootLive[index],
      () => `${root.name} counts ${root.live}, has ${rootLive[index]}`,
    );
  });
  assertLogs(keyspace, seen);
}

/** Every cell is in its actor's log under its batch; batches ascend and are not ahead of the vector. */
function assertLogs(keyspace: Keyspace, seen: ReadonlySet<number>): void {
  const { actors, cells, held } = keyspace;
  const logged = new Set<number>();
  for (let actor = 0; actor < actors.count; actor++) {
    const name = actors.name(actor);
    let before = 0;
    const log = cells.log(actor);
    for (let batch = log.batchAfter(0); batch < log.batches; batch++) {
      const sequence = log.sequence(batch);
      check(sequence > before, () => `the log of ${name} goes ${before}, ${sequence}`);
      before = sequence;
    }
    const most = held.at(actor) + (actor === keyspace.me ? 1 : 0);
    check(before <= most, () => `${name} is at ${most}, but its log at ${before}`);
    const current = logOf(keyspace, actor);
    for (const cell of current) logged.add(cell);
    check(
      log.alive === current.length,
      () => `the log of ${name} counts ${log.alive} cells, has ${current.length}`,
    );
  }
  for (const cell of seen) {
    check(
      logged.has(cell),
      () => `cell ${cell} of ${pathOf(keyspace, cells.slot(cell))} is in no log`,
    );
  }
  check(logged.size === seen.size, () => `${logged.size} cells in logs, ${seen.size} in slots`);
}

/** The live children of containers and the live keys of collections, from a live leaf upwards. */
function countUp(
  keyspace: Keyspace,
  leaf: number,
  expected: Map<number, number>,
  rootLive: number[],
): void {
  const { nodes } = keyspace;
  let parent = nodes.parent(leaf);
  while (parent >= 0) {
    const before = expected.get(parent) ?? 0;
    expected.set(parent, before + 1);
    if (before > 0) return;
    parent = nodes.parent(parent);
  }
  rootLive[~parent] = (rootLive[~parent] ?? 0) + 1;
}

function sumOf(keyspace: Keyspace, chain: readonly number[]): number {
  let sum = 0n;
  for (const cell of chain) sum += BigInt(keyspace.cells.value(cell));
  return Number(sum);
}

function check(holds: boolean, otherwise: () => string): void {
  if (!holds) throw new Error(`not whole: ${otherwise()}`);
}

function dumpCell({ cells, actors }: Keyspace, cell: number): DumpedCell {
  return {
    actor: actors.name(cells.actor(cell)),
    sequence: cells.sequence(cell),
    live: cells.isLive(cell),
    value: cells.isLive(cell) ? cells.value(cell) : 0,
    payload: cells.payload(cell),
  };
}

function chainOf({ cells, nodes }: Keyspace, node: number): number[] {
  const chain: number[] = [];
  for (let cell = nodes.head(node); cell !== noCell; cell = cells.next(cell)) {
    chain.push(cell);
    if (chain.length > cells.count) throw new Error("not whole: a chain has a circle");
  }
  return chain;
}

/** The cells in an actor's log, oldest touch first, without stale entries. */
function logOf({ cells }: Keyspace, actor: number): number[] {
  const log = cells.log(actor);
  const current = new Set<number>();
  for (let batch = log.batchAfter(0); batch < log.batches; batch++) {
    for (let entry = log.start(batch); entry < log.end(batch); entry++) {
      if (cells.isAt(log.cell(entry), actor, log.sequence(batch))) current.add(log.cell(entry));
    }
  }
  return [...current];
}

function* allNodes({ nodes }: Keyspace): Generator<number> {
  for (let node = 0; node < nodes.limit; node++) {
    if (nodes.isUsed(node)) yield node;
  }
}

function* leaves(keyspace: Keyspace): Generator<number> {
  for (const node of allNodes(keyspace)) {
    if (!keyspace.nodes.isContainer(node)) yield node;
  }
}

function pathOf({ nodes }: Keyspace, node: number): string {
  const names: string[] = [];
  let at = node;
  for (; at >= 0; at = nodes.parent(at)) names.unshift(JSON.stringify(nodes.name(at)));
  return [nodes.roots[~at]?.name, ...names].join("/");
}

const sortedRecord = <T>(entries: readonly (readonly [string, T])[]): Record<string, T> =>
  Object.fromEntries(entries.toSorted(([one], [other]) => (one < other ? -1 : 1)));
