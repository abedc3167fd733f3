/** What a directory has of earlier openings, and what may be done about it. */
import type { Environment } from "../../environment.ts";
import type { StorageEngine } from "../../store/storage.ts";
import { objection, type Stand, type Witness } from "../witness.ts";
import type { HoldingState } from "./holding.ts";
import { type DirectoryRecord, type FoundHolding, readRights } from "./rights-records.ts";

/** Where rights are kept. */
export interface EscrowStorage {
  readonly engine: StorageEngine;
  readonly witness: Witness;
  /** Somebody answers for it that no copy of the storage runs, and that it is the newest there ever was. */
  readonly isExclusive?: boolean;
}

/** A holding of an earlier opening, with the state that it is to have. */
export interface JudgedHolding extends FoundHolding {
  /** The disk says otherwise yet. */
  readonly isChanged: boolean;
}

/** The directory, for this opening. */
export interface JudgedDirectory extends DirectoryRecord {
  readonly found: readonly JudgedHolding[];
  readonly stand: Stand | undefined;
  /** Why something is held; undefined if nothing has to be. */
  readonly why: string | undefined;
}

const directoryIdBytes = 16;

/** For the witness, which knows other states, too. */
const stateName = (id: string): string => `rights-${id}`;

/**
 * An opening that ended cleanly has retired all of its holdings; one that did not is believed only if the
 * witness agrees, or an operator answers for it. Who is not believed goes on as another directory, so that
 * whoever is can be told from it.
 * @throws CorruptStorageError
 */
export async function judgeDirectory(
  environment: Environment,
  storage: EscrowStorage | undefined,
): Promise<JudgedDirectory> {
  const newId = (): string =>
    Buffer.from(environment.randomBytes(directoryIdBytes)).toString("hex");
  const stranger = { id: newId(), serial: 0, found: [], stand: undefined, why: undefined };
  if (!storage) return stranger;
  const { engine, witness, isExclusive = false } = storage;
  const { directory, holdings } = await readRights(engine);
  if (!directory) return { ...stranger, stand: await takeNew(storage, stranger.id) };
  const { id, serial } = directory;
  const isClosed = holdings.every(({ kept }) => kept.state !== "open");
  const testimony = await witness.recall(stateName(id));
  let why = objection({ serial, isClosed }, testimony, isExclusive);
  let stand: Stand | undefined;
  if (why === undefined && testimony.kind !== "in-use") {
    stand = await witness.take(stateName(id), testimony.turn, serial).catch(() => undefined);
    if (!stand) why = "the witness outside of it gave its place to somebody else";
  }
  const mayRetire = why === undefined;
  const found = holdings.map((holding) => {
    const { state } = holding.kept;
    const next = nextState(state, mayRetire, isExclusive);
    return { ...holding, kept: { ...holding.kept, state: next }, isChanged: state !== next };
  });
  if (stand) return { id, serial, found, stand, why };
  return { ...stranger, found, why, stand: await takeNew(storage, stranger.id) };
}

function nextState(state: HoldingState, mayRetire: boolean, isExclusive: boolean): HoldingState {
  switch (state) {
    case "retired":
      return "retired";
    case "open":
      return mayRetire ? "retired" : "held";
    case "held":
      return mayRetire && isExclusive ? "retired" : "held";
  }
}

/** Where nobody can be told, what is not closed as it should be is not believed later. */
const takeNew = ({ witness }: EscrowStorage, id: string): Promise<Stand | undefined> =>
  witness.take(stateName(id), 0, 0).catch(() => undefined);
