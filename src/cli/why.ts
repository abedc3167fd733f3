/**
 * The command `trellis why`: which writes make up a value, from whom, and who has seen them. Read from a
 * directory, or asked of a live peer, which keeps nothing of it.
 */
import type { Name } from "../crdt/data-type.ts";
import { isDocumentTag } from "../crdt/document.ts";
import { stampMs } from "../crdt/hybrid-logical-clock.ts";
import { systemEnvironment } from "../environment.ts";
import { UsageError } from "../errors.ts";
import { Pace } from "../store/compare/pace.ts";
import {
  type Provenance,
  type ProvenancePlace,
  provenanceOf,
  type ToldCell,
} from "../store/provenance.ts";
import { checkElement, checkKey, elementBytesMax } from "../store/values.ts";
import { PeerWitness } from "../sync/peer-witness.ts";
import type { SeenActor, SeenBy } from "../sync/question.ts";
import { webSocketTransport } from "../sync/transport/websocket.ts";
import { type DialOptions, dialTarget } from "./dialing.ts";
import { shortType } from "./export.ts";
import { isUrl } from "./flags.ts";
import { readStoredState } from "./stored-state.ts";
import { quoted, shown, table } from "./table.ts";
import { documentWriters } from "./why/document.ts";
import { type KeyLife, keyLife, lifeSentences, lifeWords } from "./why/key-life.ts";

/** The options of `trellis why`. */
export interface WhyCommandOptions extends DialOptions {
  readonly json?: boolean;
}

/** What makes up a value, as one replica has it. */
export interface Why {
  readonly place: string;
  /** The replica that was asked; absent for a directory. */
  readonly replica?: { readonly name: string; readonly actor: string };
  readonly found: Provenance | undefined;
  readonly actors: readonly SeenActor[];
  readonly members: readonly SeenBy[];
}

/** A name below a key as the command line spells it. @throws UsageError */
export function nameOf(text: string): Name {
  if (!text.startsWith("json:")) return text;
  try {
    return checkElement(JSON.parse(text.slice("json:".length)));
  } catch (cause) {
    throw new UsageError(`${text} is no JSON of an element: ${String(cause)}`);
  }
}

/**
 * Prints what makes up a value; returns whether there is anything.
 * @throws UsageError, UnauthorizedError, ProtocolError of a peer; StorageError, CorruptStorageError of a
 * directory; InvalidValueError for a key that cannot be.
 */
export async function whyCommand(
  place: string,
  asked: ProvenancePlace,
  options: WhyCommandOptions,
): Promise<boolean> {
  checkKey(asked.collection, "the collection");
  checkKey(asked.key);
  const namesBytes = asked.path.reduce<number>(
    (sum, name) => sum + Buffer.byteLength(String(name)),
    0,
  );
  if (namesBytes > elementBytesMax) throw new UsageError("the names below the key are too long");
  const why = isUrl(place)
    ? await askPeer(place, asked, options)
    : await readDirectory(place, asked);
  const text = options.json ? JSON.stringify(why, orNull, 2) : described(why, asked);
  process.stdout.write(`${text}\n`);
  return why.found !== undefined;
}

const orNull = (_: string, value: unknown): unknown => value ?? null;

async function askPeer(url: string, asked: ProvenancePlace, options: DialOptions): Promise<Why> {
  const peer = await PeerWitness.open({
    target: dialTarget(url, options),
    transport: webSocketTransport(systemEnvironment),
    environment: systemEnvironment,
  });
  try {
    const { found, actors, members } = await peer.provenance(asked);
    const { name, actor } = peer.hello;
    return { place: url, replica: { name, actor }, found, actors, members };
  } finally {
    await peer.close();
  }
}

async function readDirectory(place: string, asked: ProvenancePlace): Promise<Why> {
  const { keyspace, peers } = await readStoredState(place);
  const { actors, held, endings } = keyspace;
  const found = await provenanceOf(keyspace, asked, new Pace(systemEnvironment));
  const names = [...new Set((found?.cells ?? []).map(({ actor }) => actor))];
  const known = names.map((actor) => ({ actor, number: actors.find(actor) ?? -1 }));
  return {
    ...{ place, found },
    actors: known.map(({ actor, number }) => ({
      ...{ actor, held: held.at(number), ending: endings.of(actor) },
    })),
    members: peers.map(({ name, lastSeenMs, acknowledged }) => ({
      ...{ name: "", address: name, actor: undefined, lastSeenMs },
      acknowledged: known.map(({ number }) => acknowledged.at(number)),
    })),
  };
}

// What is printed.

const nameLengthShown = 60;

function described(why: Why, { collection, key, path }: ProvenancePlace): string {
  const { place, found, replica } = why;
  const of = [collection, key, ...path]
    .map((name) => quoted(String(name), nameLengthShown))
    .join(" ");
  if (found === undefined) return `${place} has nothing of ${of}: no value, and no removal`;
  const { content, life } = keyLife(found);
  const { tag } = content;
  const { count } = found;
  const at = replica ? `${replica.name} at ${place}` : place;
  const more = count - found.cells.length;
  return [
    `${of}, ${shortType(found.tag)}, at ${at}: ${shown(count)} ${count === 1 ? "write makes" : "writes make"} it up`,
    isDocumentTag(tag) ? documentTable(why, content) : writesTable(why, { content, life }),
    ...(more > 0
      ? [
          `and ${shown(more)} more writes${isDocumentTag(tag) ? "" : ": name what is below the key to see those"}`,
        ]
      : []),
    ...membersText(why),
    ...lifeSentences(life),
    ...notes(tag),
  ].join("\n");
}

function writesTable(why: Why, { content, life }: KeyLife): string {
  const { cells, tag } = content;
  return table(
    ["part", "what", "value", "written by", "batch", "stamp", "seen by"],
    [
      ...(life ?? []).map((cell) => {
        const { what, says } = lifeWords(cell);
        return ["(life)", what, says, ...originOf(why, cell)];
      }),
      ...cells.map((cell, i) => [
        cell.path.map(printable).join(" "),
        standing(content, i),
        valueOf(tag, cell),
        ...originOf(why, cell),
      ]),
    ],
  );
}

/** A row for each writer. */
const documentTable = (why: Why, content: Provenance): string =>
  table(
    ["written by", "updates", "last batch", "stamp", "seen by"],
    documentWriters(content).map(({ updates, latest }) => {
      const [by = "", ...rest] = originOf(why, latest);
      return [by, updates, ...rest];
    }),
  );

const originOf = (why: Why, cell: ToldCell): (string | number)[] => [
  writer(why, cell),
  cell.sequence,
  hasStamp(cell) ? new Date(stampMs(cell.number)).toISOString() : "",
  seenBy(why, cell),
];

/** It came as JSON, so only what a terminal might act on is left out. */
const printable = (text: string): string => text.replaceAll(/\p{C}/gu, "\uFFFD");

const hasStamp = ({ value }: ToldCell): boolean => value !== "";

/** Only last-writer-wins slots have losers. */
function standing({ tag, cells }: Provenance, at: number): string {
  const cell = cells[at];
  if (cell === undefined) return "";
  if (!cell.isLive) return "removal";
  const before = cells[at - 1];
  const isFirst = !before || JSON.stringify(before.path) !== JSON.stringify(cell.path);
  const holds = cell.isHeld ? ", stamp held: in the future" : "";
  if (!hasStamp(cell) || isCounted(tag)) return "counts";
  if (tag.startsWith("mv-register/")) return `one of the values${holds}`;
  if (tag.startsWith("or-map/")) return isFirst ? `counts${holds}` : `beside it${holds}`;
  if (isFenced(tag)) return isFirst ? "copy" : "another copy";
  return isFirst ? `wins${holds}` : `lost${holds}`;
}

const isCounted = (tag: string): boolean =>
  tag.startsWith("bounded-counter/") || tag.startsWith("rate-window/");

const isFenced = (tag: string): boolean =>
  tag.startsWith("fenced-register/") || tag.startsWith("unique-claims/");

function valueOf(tag: string, { value, number, isLive }: ToldCell): string {
  if (tag.startsWith("counter/")) return shown(number);
  if (!isLive || value === "") return "";
  const copy = isFenced(tag) ? /^\[(\d+),(\d+)(?:,(.*?))?\]?…?$/su.exec(value) : null;
  if (copy) {
    const [, lineage = "", version = "", held] = copy;
    return printable(`version ${version} of lineage ${lineage}: ${held ?? "deleted"}`);
  }
  const figures = tag.startsWith("bounded-counter/") ? /^\[(\d+),(\d+),/u.exec(value) : null;
  if (figures) return `created ${figures[1] ?? ""}, spent ${figures[2] ?? ""}`;
  return printable(value);
}

const actorLengthShown = 8;

function writer({ replica, members, actors }: Why, { actor }: ToldCell): string {
  const short = actor.slice(0, actorLengthShown);
  if (replica?.actor === actor) return `${quoted(replica.name, 30)} (${short})`;
  const member = members.find((one) => one.actor === actor);
  if (member) return `${quoted(member.name, 30)} (${short})`;
  const hasEnded = actors.find((one) => one.actor === actor)?.ending !== undefined;
  return hasEnded ? `${short}, which has ended` : short;
}

/** How many of the known members have it. */
function seenBy({ actors, members }: Why, { actor, sequence }: ToldCell): string {
  const at = actors.findIndex((one) => one.actor === actor);
  const have = members.filter(
    (member) => member.actor === actor || (member.acknowledged[at] ?? 0) >= sequence,
  );
  if (members.length === 0) return "nobody else is known";
  if (have.length === members.length) return `${have.length} of ${members.length}`;
  const lacking = members.flatMap((member, i) => (have.includes(member) ? [] : [`#${i + 1}`]));
  return `${have.length} of ${members.length}; not ${lacking.join(" ")}`;
}

function membersText({ members }: Why): string[] {
  if (members.length === 0) return [];
  const rows = members.map(({ name, address, actor, lastSeenMs }, i) => [
    `#${i + 1}`,
    ...[name === "" ? "" : quoted(name, 30), quoted(address, nameLengthShown)],
    actor === undefined ? `away since ${new Date(lastSeenMs).toISOString()}` : "linked",
  ]);
  return [table(["", "member", "address", ""], rows)];
}

function notes(tag: string): string[] {
  if (tag.startsWith("rate-window/")) {
    return [
      "One row for each writer: a bucket of time and its hits, and so on. Old ones count no more.",
    ];
  }
  if (isDocumentTag(tag)) {
    return [
      "Updates are merged now and then, by whoever writes: that a name is missing does not say that nothing is of it.",
    ];
  }
  if (isFenced(tag)) {
    return ["These are copies: the value stands in its guard, in the lock store; read it there."];
  }
  if (!tag.startsWith("bounded-counter/")) return [];
  return ["One row for each holder of rights; trellis rights shows what the pool has of them."];
}
