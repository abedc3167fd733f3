/**
 * Somebody else writes as our actor: a machine was copied with its memory, or went on from a snapshot.
 *
 * From then on we are another actor, and what was not published yet was written by that one all along,
 * so both histories are kept and no dot has two meanings. What had been published already cannot be
 * taken back; that is why links compare actors before they bring anything.
 */
import { noCell } from "../crdt/cells.ts";
import type { ActorId } from "../crdt/dot.ts";
import type { Keyspace } from "./keyspace.ts";
import type { PublishedTotal } from "./publication.ts";

/** What of our actor's history nobody knows. */
interface Unpublished {
  /** The number of our actor until now. */
  readonly from: number;
  /** Its batches up to this one are public. */
  readonly after: number;
  readonly totals: readonly PublishedTotal[];
}

/** Goes on as actor `to`, and gives it all that is not public yet. O(nodes) if there is such. */
export function fork(keyspace: Keyspace, to: ActorId): void {
  keyspace.flush();
  const { actors, held, publication, me: from } = keyspace;
  const after = publication.upTo(held.at(from));
  if (after === 0) {
    // Nobody knows the old name, so all that has it can have another.
    actors.rename(from, to);
    actors.changed(from);
    keyspace.become(from);
    return;
  }
  const into = actors.intern(to);
  if (after < held.at(from)) {
    giveAway(keyspace, into, { from, after, totals: publication.totals });
  }
  publication.publish(0);
  keyspace.become(into);
}

/** Gives what is unpublished to actor `into`, whose batches begin at 1. O(nodes). */
function giveAway(keyspace: Keyspace, into: number, what: Unpublished): void {
  const { actors, cells, nodes, retention, held } = keyspace;
  const { from, after, totals } = what;
  const published = new Map(totals.map((total) => [total.node, total]));
  for (const { cell, sequence } of touchesAfter(keyspace, from, after)) {
    const node = cells.slot(cell);
    const total = nodes.isSum(node) ? published.get(node) : undefined;
    if (total) split(keyspace, { cell, into, at: sequence - after, total });
    else {
      const isBare = !cells.isLive(cell);
      if (isBare) retention.unkeep();
      cells.give(cell, into, sequence - after);
      if (isBare) retention.keep(cell, sequence - after);
    }
  }
  restoreLog(keyspace, from);
  held.raise(into, held.at(from) - after);
  held.lower(from, after);
  const { floor } = retention;
  floor.raise(into, floor.at(from) - after);
  floor.lower(from, after);
  actors.changed(from);
  actors.changed(into);
}

interface Touch {
  readonly cell: number;
  readonly sequence: number;
}

/** What an actor touched after a batch and not since, oldest first. */
function touchesAfter({ cells }: Keyspace, actor: number, after: number): Touch[] {
  const log = cells.log(actor);
  const touches: Touch[] = [];
  for (let batch = log.batchAfter(after); batch < log.batches; batch++) {
    const sequence = log.sequence(batch);
    for (let entry = log.start(batch); entry < log.end(batch); entry++) {
      const cell = log.cell(entry);
      if (cells.isAt(cell, actor, sequence)) touches.push({ cell, sequence });
    }
  }
  return touches;
}

/** The cell is what it was when it was public, and what was added since is a cell of the other actor. */
function split(
  { cells }: Keyspace,
  how: { cell: number; into: number; at: number; total: PublishedTotal },
): void {
  const { cell, into, at, total } = how;
  const added = cells.value(cell) - total.total;
  cells.setValue(cell, total.total);
  cells.setSequence(cell, total.sequence);
  const node = cells.slot(cell);
  const theirs = cells.find(node, into);
  const fresh = theirs === noCell ? cells.add(node, into, true) : theirs;
  cells.setValue(fresh, added);
  cells.touch(fresh, at);
}

/** The log of what is left to our former actor: some entries had been swept as stale, and count again. */
function restoreLog({ cells, nodes }: Keyspace, actor: number): void {
  const touches: Touch[] = [];
  for (let node = 1; node < nodes.limit; node++) {
    const cell = nodes.isUsed(node) ? cells.find(node, actor) : noCell;
    if (cell !== noCell) touches.push({ cell, sequence: cells.sequence(cell) });
  }
  touches.sort((one, other) => one.sequence - other.sequence);
  const log = cells.log(actor);
  log.truncate(0);
  for (const { cell, sequence } of touches) log.append(cell, sequence);
}
