/**
 * How those of one client who stand in line hear of their turn. Who gives a resource back locks it, on
 * each master, for the first of the line there, and the master tells that one what it would have answered
 * to a lock of its own: the first phase is over when word has come from a majority. Word may be lost, and
 * masters may have different ones first; then who waits locks by itself.
 */
import type { Environment, Timer } from "../../../environment.ts";

/** What one master told to one in line. */
export interface Hand {
  readonly nonce: string;
  readonly vote: HandedVote;
}

/** The number of the lock, and the rest of what a lock is answered. */
export type HandedVote = readonly (Uint8Array | null)[];

interface Standing {
  readonly hands: Map<number, HandedVote>;
  /** It is time to ask, and nobody has been told. */
  isTold: boolean;
  tell: (() => void) | undefined;
  timer: Timer | undefined;
}

/** When a majority has told, the others get so long, in ms. */
const graceMs = 10;
/** And a majority so long after the first. */
const gatheringMs = 50;
/** Nonce, number, and what is told of what was accepted; without a state if none was. */
const fieldsMin = 6;
const fieldsMax = 7;

/** Those of one client who stand in line, at all masters. */
export class RedlockLine {
  readonly #count: number;
  readonly #majority: number;
  readonly #environment: Environment;
  readonly #standing = new Map<string, Standing>();

  constructor(count: number, majority: number, environment: Environment) {
    this.#count = count;
    this.#majority = majority;
    this.#environment = environment;
  }

  /** From now on word to this one is kept. */
  stand(nonce: string): void {
    if (this.#standing.has(nonce)) return;
    const [isTold, tell, timer] = [false, undefined, undefined];
    this.#standing.set(nonce, { hands: new Map(), isTold, tell, timer });
  }

  leave(nonce: string): void {
    this.#standing.get(nonce)?.timer?.cancel();
    this.#standing.delete(nonce);
  }

  /** Resolves when word came since the last call; at once for one who does not stand here. */
  turn(nonce: string): Promise<void> {
    const standing = this.#standing.get(nonce);
    if (!standing || standing.isTold) {
      if (standing) standing.isTold = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      standing.tell = resolve;
    });
  }

  /** What was told by each master since this was asked; nothing unless a majority has. */
  take(nonce: string): ReadonlyMap<number, HandedVote> | undefined {
    const standing = this.#standing.get(nonce);
    if (!standing) return undefined;
    const hands = new Map(standing.hands);
    standing.hands.clear();
    standing.timer?.cancel();
    standing.timer = undefined;
    return hands.size >= this.#majority ? hands : undefined;
  }

  /** A master has published something. */
  hear(master: number, word: Uint8Array): void {
    const hand = handIn(word);
    const standing = hand && this.#standing.get(hand.nonce);
    if (!standing) return;
    standing.hands.set(master, hand.vote);
    const { size } = standing.hands;
    if (size > 1 && size !== this.#majority && size !== this.#count) return;
    standing.timer?.cancel();
    const tell = (): void => this.#tell(standing);
    if (size === this.#count) tell();
    else {
      const delayMs = size < this.#majority ? gatheringMs : graceMs;
      standing.timer = this.#environment.schedule(delayMs, tell);
    }
  }

  /** What a master told meanwhile is not known: all ask. */
  deaf(): void {
    for (const standing of this.#standing.values()) this.#tell(standing);
  }

  #tell(standing: Standing): void {
    standing.timer?.cancel();
    standing.timer = undefined;
    standing.isTold = standing.tell === undefined;
    standing.tell?.();
    standing.tell = undefined;
  }
}

/** A word is its fields, each after its length and a colon. Nothing if it is none. */
function handIn(word: Uint8Array): Hand | undefined {
  const bytes = Buffer.from(word.buffer, word.byteOffset, word.length);
  const fields: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const colon = bytes.indexOf(":", at);
    const length = colon < 0 ? Number.NaN : Number(bytes.toString("latin1", at, colon));
    const end = colon + 1 + length;
    if (!Number.isSafeInteger(length) || length < 0 || end > bytes.length) return undefined;
    fields.push(Uint8Array.prototype.slice.call(bytes, colon + 1, end));
    at = end;
  }
  if (fields.length < fieldsMin || fields.length > fieldsMax) return undefined;
  const [nonce = new Uint8Array(0), ...vote] = fields;
  return {
    nonce: Buffer.from(nonce).toString(),
    vote: fields.length === fieldsMax ? vote : [...vote, null],
  };
}
