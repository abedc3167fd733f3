/**
 * One link's two directions, as far as the keyspace is concerned: what to send next, and what to do
 * with what came. It knows nothing of sockets, and holds no queue: a peer costs a cursor and a bit or
 * two for each name that was said.
 */
import type { VersionVector } from "../crdt/version-vector.ts";
import { malformed } from "./bytes.ts";
import type { Exchanges } from "./exchanges.ts";
import { flagComplete, flagFirst, flagLast, flagRenumber } from "./frame.ts";
import type { Moves } from "./frame-reader.ts";
import type { Body, Entries } from "./frame-writer.ts";
import type { Join } from "./join.ts";
import type { Keyspace } from "./keyspace.ts";
import { NamedNumbers, NumberSet, NumbersTheyUse } from "./numbering.ts";
import type { Series } from "./series.ts";
import { Rows } from "./rows.ts";
import { Stage, type StagedFrame, type StagePoint } from "./stage.ts";

/** Forgotten names that a peer still keeps for us before we number anew. */
const staleNamesMax = 4096;

/** What both ends know of each other when a link starts. */
export interface ExchangeStart {
  /** Our vector, as the peer was told it. */
  readonly told: VersionVector;
  /** The peer's vector, as we were told it. */
  readonly known: VersionVector;
  /** A series of ours that the peer has the beginning of. */
  readonly resume?: StagePoint | undefined;
  /** The beginning of a series of the peer's that we have. */
  readonly stage?: Stage | undefined;
}

/** What a received frame did. */
export interface Received {
  /** Something was joined. */
  readonly joined: boolean;
  /** Bytes of the series that is being received; 0 for none. */
  readonly stagedBytes: number;
  /** Slots that now hold concurrent stamped writes. */
  readonly concurrent: readonly number[];
  /** Stamps that were held. */
  readonly heldStamps: number;
}

const nothing: Received = { joined: false, stagedBytes: 0, concurrent: [], heldStamps: 0 };

/** Somebody else writes as our actor. */
export class ClonedError extends Error {}

/** One link. */
export class Exchange {
  readonly #shared: Exchanges;
  readonly #keyspace: Keyspace;
  /** The peer's cursor: what it has, or will have of what is on the way. */
  readonly #cursor: VersionVector;
  /** Our vector as this link has told it. */
  readonly #told: VersionVector;
  /** The peer's vector as this link has told us. */
  readonly known: VersionVector;
  /** What the peer has for certain. */
  readonly acknowledged: VersionVector;
  #mark = 0;
  #named: NamedNumbers;
  #startOver = false;
  /** Whether all that `known` covers is joined. */
  #isLevel = false;
  #names = new NumbersTheyUse();
  #series: Series | undefined;
  /** A series whose last frames are on the way. */
  #sentSeries: Series | undefined;
  #stage: Stage | undefined;
  #awaitsResumption: boolean;
  /** Frames on the way, and where each brings the peer; nothing for all but the last of a series. */
  readonly #onTheWay: Moves[] = [];

  constructor(shared: Exchanges, start: ExchangeStart) {
    this.#shared = shared;
    this.#keyspace = shared.keyspace;
    this.#told = start.told.clone();
    this.known = start.known.clone();
    this.#cursor = start.known.clone();
    this.acknowledged = start.known.clone();
    this.#named = new NamedNumbers(this.#forgotten);
    this.#stage = start.stage;
    this.#awaitsResumption = start.stage !== undefined;
    if (start.resume) this.#series = shared.resume(start.resume.series, start.resume.frames);
    this.#keyspace.names.use(this.#named);
    this.#keyspace.names.use(this.#names);
    for (const staged of start.stage?.frames ?? []) this.#keyspace.names.use(staged.names);
  }

  /** The half-received series, to be told to the peer when the link comes again. */
  get stage(): Stage | undefined {
    return this.#stage;
  }

  /** Whether a catch-up is being sent. */
  get isCatchingUp(): boolean {
    return this.#series !== undefined;
  }

  /** Batches of ours and others that the peer has not acknowledged. O(actors changed since). */
  get lagBatches(): number {
    let lag = 0;
    for (const [actor, sequence] of this.#keyspace.held.entries()) {
      lag += Math.max(0, sequence - this.acknowledged.at(actor));
    }
    return lag;
  }

  /** The next frame for the peer, or undefined if it has, or will have, everything. */
  next(): Uint8Array | undefined {
    const keyspace = this.#keyspace;
    if (keyspace.isTransacting) return undefined;
    keyspace.flush();
    if (this.#series) return this.#continueSeries();
    const changed = keyspace.actors.changedSince(this.#mark);
    const behind = changed.filter((actor) => keyspace.held.at(actor) > this.#cursor.at(actor));
    if (behind.length === 0) return undefined;
    if (this.#needsCompleteState()) return this.#startSeries(undefined);
    const body = this.#shared.sharedBody(behind, this.#cursor);
    if (body === undefined) return this.#startSeries(this.#cursor.clone());
    return this.#plainFrame(body, changed);
  }

  /** The peer has joined, or staged, the oldest `frames` frames on the way. */
  acknowledge(frames: number): void {
    if (frames > this.#onTheWay.length) malformed("an acknowledgement of what was not sent");
    for (const moves of this.#onTheWay.splice(0, frames)) raise(this.acknowledged, moves);
    if (this.#onTheWay.length === 0) this.#sentSeries = undefined;
  }

  /** Frames on the way. */
  get unacknowledged(): number {
    return this.#onTheWay.length;
  }

  /**
   * Takes a frame in: joins it, stages it, or passes it over as known.
   * @throws MalformedError, SchemaMismatchError, ProtocolError; then nothing of it was joined, and
   * the link must end.
   */
  receive(bytes: Uint8Array): Received {
    this.#keyspace.flush();
    try {
      return this.#take(bytes);
    } catch (error) {
      // What the frame said of the peer's vector may be believed already; nothing of it was joined.
      this.#isLevel = false;
      throw error;
    } finally {
      this.#keyspace.settleNames();
    }
  }

  #take(bytes: Uint8Array): Received {
    this.#awaitsResumption = false;
    const { reader } = this.#shared;
    const flags = reader.open(bytes);
    if ((flags & flagRenumber) !== 0) this.#renumbered();
    const isFirst = (flags & flagFirst) !== 0;
    const isPlain = isFirst && (flags & (flagLast | flagComplete)) === flagLast;
    const series = isPlain ? 0 : reader.series();
    if (isFirst) this.#dropStage();
    const head = reader.head(flags, this.#names, this.#stage === undefined);
    this.#refuseOwnFuture(head.moves);
    if (!isAhead(head.moves, this.known)) malformed("a vector that moves back");
    raise(this.known, head.moves);
    if (!covers(this.known, head.floor)) malformed("a floor above the vector");
    raise(this.#cursor, head.moves);
    raise(this.acknowledged, head.moves);
    if (isPlain) {
      this.#refuseGap(head.moves);
      return covers(this.#keyspace.held, head.moves) ? nothing : this.#joinPlain(head.moves);
    }
    this.#isLevel = false;
    if (isFirst) this.#stage = new Stage(series, (flags & flagComplete) !== 0, this.#shared.limits);
    const stage = this.#stage;
    if (stage === undefined || stage.series !== series)
      return malformed("a series from its middle");
    const body = reader.rest();
    reader.reopen(body);
    const rows = reader.body(this.#names, this.known);
    stage.add(body, rows, { names: this.#names, theirs: this.known.clone() });
    if ((flags & flagLast) === 0) return { ...nothing, stagedBytes: stage.bytes };
    return this.#joinStage(stage, head.floor);
  }

  /** Who can go on with a series does so first of all. It did not: what we have of it is of no use. */
  notResumed(): void {
    if (!this.#awaitsResumption) return;
    this.#awaitsResumption = false;
    this.#dropStage();
    this.#keyspace.settleNames();
  }

  /** Ends the link. What was half received is returned, to go on with on the next one. */
  close(): Stage | undefined {
    this.#keyspace.names.release(this.#named);
    if (!this.#isStaged(this.#names)) this.#keyspace.names.release(this.#names);
    const series = this.#series ?? this.#sentSeries;
    if (series) this.#shared.suspend(series);
    this.#series = undefined;
    this.#sentSeries = undefined;
    return this.#stage;
  }

  /** Drops a stage that no link will go on with. */
  static discard(keyspace: Keyspace, stage: Stage): void {
    for (const { names } of stage.frames) keyspace.names.release(names);
  }

  // Sending.

  /** Below the floor there is no other way; for who has nothing it is the most compact one. */
  #needsCompleteState(): boolean {
    return !this.#cursor.covers(this.#keyspace.retention.floor) || this.#cursor.isEmpty;
  }

  #startSeries(from: VersionVector | undefined): Uint8Array {
    this.#series = this.#shared.startSeries(from);
    return this.#continueSeries();
  }

  #continueSeries(): Uint8Array {
    const series = this.#series;
    if (series === undefined) throw new Error("assertion: no series");
    const part = this.#startOver ? undefined : series.next();
    this.#startOver = false;
    if (part === undefined) {
      const from = this.#needsCompleteState() ? undefined : this.#cursor.clone();
      return this.#startSeries(from);
    }
    const isFirst = (part.flags & flagFirst) !== 0;
    const isLast = (part.flags & flagLast) !== 0;
    const actors = [...this.#keyspace.held.entries()].map(([actor]) => actor);
    if (isLast) {
      this.#series = undefined;
      this.#sentSeries = series;
    }
    // All of it fitted into one frame after all.
    if (isFirst && isLast && !series.isComplete) return this.#plainFrame(part.body, actors);
    const frame = this.#frame(part.flags, part.body, this.#movesOf(actors), series);
    this.#sent(isLast ? actors.flatMap((actor) => [actor, this.#keyspace.held.at(actor)]) : []);
    return frame;
  }

  /**
   * A frame that stands alone. Where our vector moved since the handshake is said, and also where the
   * peer is behind: it joins just what a frame says.
   */
  #plainFrame(body: Body, actors: readonly number[]): Uint8Array {
    const moves = this.#movesOf(actors);
    const frame = this.#frame(flagFirst | flagLast, body, moves);
    this.#sent(moves.flat());
    return frame;
  }

  #movesOf(actors: readonly number[]): (readonly [actor: number, sequence: number])[] {
    const { held } = this.#keyspace;
    const moves: (readonly [number, number])[] = [];
    for (const actor of actors) {
      const sequence = held.at(actor);
      if (sequence > this.#told.at(actor) || sequence > this.#cursor.at(actor)) {
        moves.push([actor, sequence]);
      }
    }
    return moves;
  }

  #frame(flags: number, body: Body, vector: Entries, series?: Series): Uint8Array {
    // What a series stages is read again when it is whole: its numbers must mean one thing throughout.
    const staleMax = series ? 0 : staleNamesMax;
    const renumber = (flags & flagFirst) !== 0 && this.#named.stale > staleMax;
    if (renumber) this.#renumber();
    for (const [actor, sequence] of vector) this.#told.raise(actor, sequence);
    const ends = series?.isComplete === true && (flags & flagLast) !== 0;
    return this.#shared.writer.frame(flags | (renumber ? flagRenumber : 0), body, {
      named: this.#named,
      vector,
      ...(series ? { series: series.number } : {}),
      ...(ends ? { floor: this.#keyspace.retention.floor } : {}),
    });
  }

  #renumber(): void {
    this.#keyspace.names.release(this.#named);
    this.#named = new NamedNumbers(this.#forgotten);
    this.#keyspace.names.use(this.#named);
  }

  /** A number may come to mean another node, which a half-sent series must not meet. */
  readonly #forgotten = (): void => {
    if (this.#series) this.#startOver = true;
  };

  /** A frame is on its way that brings the peer along `moves`. */
  #sent(moves: Moves): void {
    raise(this.#cursor, moves);
    this.#onTheWay.push(moves);
    this.#mark = this.#keyspace.actors.changes;
  }

  // Receiving.

  #renumbered(): void {
    // Staged frames may still use the old numbers, which stay with them.
    if (!this.#isStaged(this.#names)) this.#keyspace.names.release(this.#names);
    this.#names = new NumbersTheyUse();
    this.#keyspace.names.use(this.#names);
  }

  /**
   * All that we were told of the peer's vector must be joined by now, or with this frame. After that
   * it holds from frame to frame, so it is looked at once a link, and after a series that did not end.
   */
  #refuseGap(moves: Moves): void {
    if (this.#isLevel) return;
    const { held } = this.#keyspace;
    for (const [actor, sequence] of this.known.entries()) {
      if (held.at(actor) >= sequence || moves.some((a, i) => i % 2 === 0 && a === actor)) continue;
      malformed("a frame that does not begin where we are");
    }
    this.#isLevel = true;
  }

  #isStaged(names: NumbersTheyUse): boolean {
    return this.#stage?.frames.some((frame) => frame.names === names) === true;
  }

  #dropStage(): void {
    if (this.#stage) this.#forgetNames(this.#stage);
    this.#stage = undefined;
  }

  /** The numbers of earlier links, which only the stage still needed. */
  #forgetNames(stage: Stage): void {
    for (const { names } of stage.frames) {
      if (names !== this.#names) this.#keyspace.names.release(names);
    }
  }

  #refuseOwnFuture(moves: Moves): void {
    const { held, me, actor } = this.#keyspace;
    for (let i = 0; i < moves.length; i += 2) {
      if (moves[i] === me && (moves[i + 1] as number) > held.at(me)) {
        const seen = `batch ${moves[i + 1]} of our actor ${actor}, which is at ${held.at(me)}`;
        throw new ClonedError(`it knows ${seen}`);
      }
    }
  }

  #joinPlain(moves: Moves): Received {
    const rows = this.#shared.reader.body(this.#names, this.known);
    const { join } = this.#shared;
    join.begin(this.known, rows.ordered);
    join.rows(rows);
    join.end(this.known);
    return this.#finish(join, moves);
  }

  #joinStage(stage: Stage, floor: Moves): Received {
    const { join } = this.#shared;
    this.#stage = undefined;
    const [first] = stage.frames;
    if (first === undefined) throw new Error("assertion: an empty stage");
    const theirs = first.theirs.clone();
    join.begin(theirs, false);
    const seen = stage.isComplete ? new NumberSet() : undefined;
    for (const frame of stage.frames) {
      theirs.join(frame.theirs);
      join.rows(this.#rowsOf(frame, theirs), seen);
    }
    if (seen) join.absent(seen, first.theirs);
    join.end(this.known);
    raise(this.#keyspace.retention.floor, floor);
    this.#forgetNames(stage);
    return this.#finish(join, [...this.known.entries()].flat());
  }

  #rowsOf({ content, names }: StagedFrame, theirs: VersionVector): Rows {
    if (content instanceof Rows) return content;
    const { reader } = this.#shared;
    reader.reopen(content);
    return reader.body(names, theirs);
  }

  #finish(join: Join, moves: Moves): Received {
    const { held, actors, cells, listeners } = this.#keyspace;
    for (let i = 0; i < moves.length; i += 2) {
      const actor = moves[i] as number;
      if (held.at(actor) >= (moves[i + 1] as number)) continue;
      held.raise(actor, moves[i + 1] as number);
      actors.changed(actor);
      cells.tidy(actor);
    }
    for (const listener of listeners) listener.joined(join.touched);
    join.release();
    return { joined: true, stagedBytes: 0, concurrent: join.concurrent, heldStamps: join.held };
  }
}

function raise(vector: VersionVector, moves: Moves): void {
  for (let i = 0; i < moves.length; i += 2)
    vector.raise(moves[i] as number, moves[i + 1] as number);
}

function isAhead(moves: Moves, vector: VersionVector): boolean {
  for (let i = 0; i < moves.length; i += 2) {
    if (vector.at(moves[i] as number) > (moves[i + 1] as number)) return false;
  }
  return true;
}

function covers(vector: VersionVector, moves: Moves): boolean {
  for (let i = 0; i < moves.length; i += 2) {
    if (vector.at(moves[i] as number) < (moves[i + 1] as number)) return false;
  }
  return true;
}
