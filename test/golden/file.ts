/**
 * Golden files: bytes as they were when a version was released, with what they mean.
 *
 *   # …             what it is about
 *   link {…}        a new link begins; the sender told this vector
 *   frame HEX       the next frame on the link
 *   shows {…}       what whoever took all of this in shows now
 *   refused HEX     a frame that must be refused
 *   message HEX     a message of a link
 *   means {…}       what the message before says
 *   newer HEX       a message as a later version may write it: read by this one, not written
 *   record HEX HEX  a record of a store: its key, its value
 *   holds …         what the records say, one after the other
 *   authority …     a message about the lock authority: says HEX, or the kind of request that HEX answers
 *   kept HEX HEX    a record of the lock authority; those of the first form begin with first
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const words = [
  "#",
  "link",
  "frame",
  "shows",
  "refused",
  "message",
  "means",
  "newer",
  "record",
  "holds",
  "authority",
  "kept",
] as const;

export type Word = (typeof words)[number];

/** One line: what it is, and the rest. */
export interface GoldenLine {
  readonly word: Word;
  readonly text: string;
}

/** A file's name, without its folder, and its lines. */
export interface Golden {
  readonly name: string;
  readonly lines: readonly GoldenLine[];
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** The bytes of a line that has them. */
export const bytesOf = ({ text }: GoldenLine): Uint8Array =>
  Uint8Array.from(Buffer.from(text, "hex"));

/** The text of a file. */
export const formatGolden = ({ lines }: Golden): string =>
  lines.map(({ word, text }) => `${word} ${text}\n`).join("");

/** Reads what `formatGolden` wrote. */
export function parseGolden(name: string, file: string): Golden {
  const lines = file.split("\n").slice(0, -1);
  return {
    name,
    lines: lines.map((line) => {
      const [first = "", ...rest] = line.split(" ");
      const word = words.find((known) => known === first);
      if (word === undefined) throw new Error(`${name}: no line begins with ${first}`);
      return { word, text: rest.join(" ") };
    }),
  };
}

/** The versions that have files below `folder`. */
export const goldenVersions = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted();

/** The files of one version. */
export const readGoldens = (folder: string, version: string): Golden[] =>
  readdirSync(join(folder, version))
    .filter((name) => name.endsWith(".hex"))
    .toSorted()
    .map((name) => parseGolden(name, readFileSync(join(folder, version, name), "utf8")));
