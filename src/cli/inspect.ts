/**
 * The command `trellis inspect`: what a replica's directory holds. It reads a copy of what may change
 * and writes nothing; a directory that a process has open is refused.
 */
import type { Ending } from "../crdt/ending.ts";
import { stampMs } from "../crdt/hybrid-logical-clock.ts";
import { keysShown } from "../store/expiry/life.ts";
import type { Keyspace } from "../store/keyspace.ts";
import type { KnownPeer } from "../store/known-peer.ts";
import { versionToken } from "../store/version-token.ts";
import { readStoredState } from "./stored-state.ts";
import { shown, table } from "./table.ts";

/** One actor that wrote. */
export interface InspectedActor {
  readonly actor: string;
  /** All its batches up to this one are there. */
  readonly batches: number;
  /** Its removals up to here may be forgotten. */
  readonly floor: number;
  /** Cells that are still its own. */
  readonly cells: number;
  /** When it ended; absent if it may still write, as far as is known here. */
  readonly ended?: Ending;
}

/** One collection. */
export interface InspectedCollection {
  readonly name: string;
  readonly type: string;
  readonly keys: number;
  /** Keys, elements, fields and entries that have a record. */
  readonly names: number;
  readonly cells: number;
}

/** A peer for whom removals are kept. */
export interface InspectedPeer {
  /** The address that was dialed, or the actor that dialed. */
  readonly name: string;
  /** When it was last linked, in ms since the Unix epoch. */
  readonly lastSeenMs: number;
  /** Batches that it has not acknowledged. */
  readonly lagBatches: number;
}

/** What a directory holds. */
export interface Inspection {
  readonly directory: string;
  readonly bytes: number;
  /** Bytes of the last write, which a crash tore; they are not counted in. */
  readonly tornBytes: number;
  /** As `waitFor` takes it. */
  readonly version: string;
  /** No stamp of this replica's is later, in ms since the Unix epoch. */
  readonly clockBoundMs: number;
  readonly removalsKept: number;
  readonly actors: readonly InspectedActor[];
  /** As far as they were when that was last written, at most 10 s before the end. */
  readonly peers: readonly InspectedPeer[];
  readonly collections: readonly InspectedCollection[];
}

/** @throws StorageError, CorruptStorageError */
export async function inspect(directory: string): Promise<Inspection> {
  const { keyspace, peers, location, bytes, tornBytes } = await readStoredState(directory);
  const { clock, retention } = keyspace;
  return {
    ...{ directory: location, bytes, tornBytes },
    version: versionToken(keyspace),
    clockBoundMs: stampMs(clock.last),
    removalsKept: retention.count,
    actors: actorsOf(keyspace),
    peers: peersOf(keyspace, peers),
    collections: collectionsOf(keyspace),
  };
}

/** Prints what a directory holds, as tables or as one JSON object. */
export async function inspectCommand(
  directory: string,
  { json = false }: { readonly json?: boolean },
): Promise<void> {
  const found = await inspect(directory);
  process.stdout.write(`${json ? JSON.stringify(found, undefined, 2) : text(found)}\n`);
}

/** Those with most cells come first. */
function actorsOf({ actors, cells, endings, held, retention }: Keyspace): InspectedActor[] {
  return [...held.entries()]
    .map(([actor, batches]) => {
      const ended = endings.of(actors.name(actor));
      return {
        actor: actors.name(actor),
        batches,
        floor: retention.floor.at(actor),
        cells: cells.log(actor).alive,
        ...(ended ? { ended } : {}),
      };
    })
    .toSorted((one, other) => other.cells - one.cells || (one.actor < other.actor ? -1 : 1));
}

function peersOf({ held }: Keyspace, peers: readonly KnownPeer[]): InspectedPeer[] {
  const lag = ({ acknowledged }: KnownPeer): number =>
    [...held.entries()].reduce(
      (batches, [actor, sequence]) => batches + Math.max(0, sequence - acknowledged.at(actor)),
      0,
    );
  return peers
    .map((peer) => ({ name: peer.name, lastSeenMs: peer.lastSeenMs, lagBatches: lag(peer) }))
    .toSorted((one, other) => other.lastSeenMs - one.lastSeenMs);
}

function collectionsOf(keyspace: Keyspace): InspectedCollection[] {
  const { cells, nodes } = keyspace;
  const names = nodes.roots.map(() => 0);
  const held = nodes.roots.map(() => 0);
  for (let node = 1; node < nodes.limit; node++) {
    if (!nodes.isUsed(node)) continue;
    const { index } = nodes.rootOf(node);
    names[index] = (names[index] ?? 0) + 1;
    if (!nodes.isContainer(node)) held[index] = (held[index] ?? 0) + cells.cellsOf(node).length;
  }
  return nodes.roots
    .map((root) => ({
      name: root.name,
      type: root.tag,
      keys: keysShown(keyspace, root),
      names: names[root.index] ?? 0,
      cells: held[root.index] ?? 0,
    }))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

const rowsShown = 20;

function text(found: Inspection): string {
  const { actors, collections, peers } = found;
  const more = actors.length - rowsShown;
  return [
    `${found.directory}: ${shown(found.bytes)} bytes`,
    ...(found.tornBytes > 0 ? [`the last write was torn: ${shown(found.tornBytes)} bytes`] : []),
    table(
      ["collection", "type", "keys", "names", "cells"],
      collections.map(({ name, type, keys, names, cells }) => [name, type, keys, names, cells]),
    ),
    table(
      ["actor", "batches", "floor", "cells", "ended at"],
      actors
        .slice(0, rowsShown)
        .map(({ actor, batches, floor, cells, ended }) => [
          actor,
          batches,
          floor,
          cells,
          endedAt(ended),
        ]),
    ),
    ...(peers.length > 0
      ? [
          table(
            ["peer", "last linked", "batches it lacks"],
            peers
              .slice(0, rowsShown)
              .map(({ name, lastSeenMs, lagBatches }) => [
                name,
                new Date(lastSeenMs).toISOString(),
                lagBatches,
              ]),
          ),
        ]
      : []),
    ...(more > 0 ? [`and ${shown(more)} more actors; --json has them all`] : []),
    `removals kept for peers: ${shown(found.removalsKept)}`,
    `clock: not beyond ${new Date(found.clockBoundMs).toISOString()}`,
  ].join("\n");
}

const endedAt = (ended: Ending | undefined): string => {
  if (ended === undefined) return "";
  return ended.isFinal ? shown(ended.at) : `${shown(ended.at)} or later`;
};
