/**
 * Somebody writes a text: the edits, one after the other, out of a seed. They have the shape of the traces that editors
 * recorded (automerge-perf): characters typed one by one, every fifth edit takes one back, nearly always where the last
 * edit was, now and then somewhere else.
 */
import { randomSequence } from "../crdt/workload.mjs";

/** @typedef {readonly [at: number, removed: number, inserted: string]} Edit */

const letters = "etaoinshrdlucmfwypvbgkqjxz";
/** Edits in a run, drawn evenly up to twice the mean; and of 100 runs, how many are what. */
const typedMax = 59;
const erasedMax = 27;
const pastedMax = 120;
const runsErasing = 35;
const runsPasting = 2;
const jumpsFar = 15;
const jumpsNear = 40;
const nearCharacters = 300;
/** The last edit is a paste longer than all others, so that the final length is not reached before. */
const lastPaste = 500;

/**
 * Edits, and the text they come to.
 * @param {number} count
 * @returns {{ edits: Edit[], text: string }}
 */
export function editingTrace(count, seed = 8) {
  const draw = drawing(count, seed);
  const edits = [];
  let cursor = 0;
  let length = 0;
  const push = (at, removed, inserted) => {
    edits.push([at, removed, inserted]);
    length += inserted.length - removed;
    cursor = at + inserted.length;
  };
  while (edits.length < count - 1) {
    cursor = jump(draw, cursor, length);
    const kind = draw(100);
    const left = count - 1 - edits.length;
    if (kind < runsPasting) push(cursor, 0, words(draw, 1 + draw(pastedMax)));
    else if (kind < runsPasting + runsErasing) {
      const erased = Math.min(left, cursor, 1 + draw(erasedMax));
      for (let i = 0; i < erased; i++) push(cursor - 1, 1, "");
    } else {
      const typed = words(draw, Math.min(left, 1 + draw(typedMax)));
      for (const character of typed) push(cursor, 0, character);
    }
  }
  push(length, 0, words(draw, lastPaste));
  return { edits, text: replay(edits) };
}

/** Where the next run is: in most cases where the last one ended. */
function jump(draw, cursor, length) {
  const kind = draw(100);
  if (kind < jumpsFar) return draw(length + 1);
  if (kind >= jumpsFar + jumpsNear) return cursor;
  const at = cursor + draw(2 * nearCharacters + 1) - nearCharacters;
  return Math.max(0, Math.min(length, at));
}

const words = (draw, length) => {
  let text = "";
  // Squared, so that the first letters are the common ones.
  while (text.length < length) {
    text += draw(6) === 0 ? " " : letters[Math.floor((draw(1_000) ** 2 / 1e6) * letters.length)];
  }
  return text;
};

/** Numbers below a bound; the sequence goes round. */
function drawing(count, seed) {
  const sequence = randomSequence(4 * count + 10_000, 0x7fff_ffff, seed);
  let at = 0;
  return (bound) => sequence[at++ % sequence.length] % bound;
}

/** The plain text, by pieces: inserting into one long string 100,000 times takes a while. */
function replay(edits) {
  const characters = [];
  for (const [at, removed, inserted] of edits) characters.splice(at, removed, ...inserted);
  return characters.join("");
}
