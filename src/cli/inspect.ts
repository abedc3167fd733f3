/**
 * The command `trellis inspect`: what a replica's directory holds. It reads a copy of what may change
 * and writes nothing; a directory that a process has open is refused.
 */
import { stampMs } from "../crdt/hybrid-logical-clock.ts";
import { systemEnvironment } from "../environment.ts";
import { Keyspace } from "../store/keyspace.ts";
import { restore } from "../store/restore.ts";
import { levelStorage } from "../store/storage/level.ts";
import { versionToken } from "../store/version-token.ts";
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
  readonly collections: readonly InspectedCollection[];
}

/** @throws StorageError, CorruptStorageError */
export async function inspect(directory: string): Promise<Inspection> {
  const engine = await levelStorage(directory).open({ readOnly: true });
  try {
    const keyspace = new Keyspace({ schema: {}, environment: systemEnvironment });
    await restore({ keyspace, engine, environment: systemEnvironment });
    const { clock, retention } = keyspace;
    return {
      directory: engine.location,
      bytes: await engine.size(),
      tornBytes: engine.tornBytes,
      version: versionToken(keyspace),
      clockBoundMs: stampMs(clock.last),
      removalsKept: retention.count,
      actors: actorsOf(keyspace),
      collections: collectionsOf(keyspace),
    };
  } finally {
    await engine.close();
  }
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
function actorsOf({ actors, cells, held, retention }: Keyspace): InspectedActor[] {
  return [...held.entries()]
    .map(([actor, batches]) => ({
      actor: actors.name(actor),
      batches,
      floor: retention.floor.at(actor),
      cells: cells.log(actor).alive,
    }))
    .toSorted((one, other) => other.cells - one.cells || (one.actor < other.actor ? -1 : 1));
}

function collectionsOf({ cells, nodes }: Keyspace): InspectedCollection[] {
  const names = nodes.roots.map(() => 0);
  const held = nodes.roots.map(() => 0);
  for (let node = 1; node < nodes.limit; node++) {
    if (!nodes.isUsed(node)) continue;
    const { index } = nodes.rootOf(node);
    names[index] = (names[index] ?? 0) + 1;
    if (!nodes.isContainer(node)) held[index] = (held[index] ?? 0) + cells.cellsOf(node).length;
  }
  return nodes.roots
    .map(({ index, name, tag, live }) => ({
      name,
      type: tag,
      keys: live,
      names: names[index] ?? 0,
      cells: held[index] ?? 0,
    }))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

const actorsShown = 20;

function text(found: Inspection): string {
  const { actors, collections } = found;
  const more = actors.length - actorsShown;
  return [
    `${found.directory}: ${shown(found.bytes)} bytes`,
    ...(found.tornBytes > 0 ? [`the last write was torn: ${shown(found.tornBytes)} bytes`] : []),
    table(
      ["collection", "type", "keys", "names", "cells"],
      collections.map(({ name, type, keys, names, cells }) => [name, type, keys, names, cells]),
    ),
    table(
      ["actor", "batches", "floor", "cells"],
      actors
        .slice(0, actorsShown)
        .map(({ actor, batches, floor, cells }) => [actor, batches, floor, cells]),
    ),
    ...(more > 0 ? [`and ${shown(more)} more actors; --json has them all`] : []),
    `removals kept for peers: ${shown(found.removalsKept)}`,
    `clock: not beyond ${new Date(found.clockBoundMs).toISOString()}`,
  ].join("\n");
}
