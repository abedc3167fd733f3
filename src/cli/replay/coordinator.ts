/**
 * Runs a log through replicas in processes of their own.
 *
 * Requests are spread over the replicas as a load balancer would. For the middle third the last
 * replica has no links: they are taken away at the ends that dial them, and the run goes on only
 * when no end carries one. Then the links come back, the last third is replayed while the replicas
 * catch up, and once all of them hold every write they are compared with the tally.
 */
import { Agreement, type Verdict } from "./agreement.ts";
import { ReplayError } from "./failure.ts";
import type { Entry, Figures } from "./messages.ts";
import { type Bounds, ReplicaProcess } from "./process.ts";
import { seededRandom } from "./random.ts";
import type { SiteCollection, Visit } from "./site.ts";
import { tally } from "./tally.ts";

/** Who is linked with whom: everybody with everybody, or everybody with the first. */
export type Topology = "mesh" | "star";

/** What a replay is made of. */
export interface ReplayOptions extends Bounds {
  readonly visits: readonly Visit[];
  readonly replicas: number;
  readonly topology: Topology;
  /** Cuts the last replica off for the middle third. One replica has nothing to be cut from. */
  readonly cut: boolean;
  /** Decides which replica takes which request. */
  readonly seed: number;
  readonly logLevel: string;
  /** Told how many requests were taken so far. */
  onProgress(taken: number): void;
}

/** What is known of one replica afterwards. */
export interface ReplicaResult {
  readonly name: string;
  readonly figures: Figures;
  /** From the heal until it held all that anybody had written before; undefined without a cut. */
  readonly caughtUpMs: number | undefined;
  /** From the last request until it held all that anybody wrote; undefined when it never did. */
  readonly settledMs: number | undefined;
  /** SHA-256 of its final content, in hexadecimal. */
  readonly digest: string;
}

/** What the cut did. */
export interface CutResult {
  readonly replica: string;
  readonly requests: number;
  /** At the heal: requests of others that it did not know. */
  readonly lacked: number;
  /** At the heal: requests of its own that the others did not know. */
  readonly lackedByOthers: number;
}

/** What came of a replay. */
export interface ReplayResult {
  readonly replicas: readonly ReplicaResult[];
  readonly cut: CutResult | undefined;
  readonly verdict: Verdict;
  /** Whether every replica came to hold everything, as the tally has it. */
  readonly agrees: boolean;
  /** From the first request until the last was taken. */
  readonly takenMs: number;
  /** From the first request until every replica held everything; undefined when one never did. */
  readonly convergedMs: number | undefined;
}

/** Requests in one message to a replica's process. */
const visitsPerMessage = 256;

interface Member {
  readonly process: ReplicaProcess;
  readonly url: string;
}

/** `from` dials `to`. */
interface Link {
  readonly from: Member;
  readonly to: Member;
}

interface Run {
  readonly options: ReplayOptions;
  readonly members: readonly Member[];
  readonly links: readonly Link[];
  /** The member that takes each visit, by the visit's index. */
  readonly shares: readonly Member[];
}

/**
 * Replays `options.visits`. Every process that it started has ended when it returns or throws.
 * @throws ReplayError when a process failed or did not answer in time; the signal's reason.
 */
export async function replay(options: ReplayOptions): Promise<ReplayResult> {
  const names = Array.from({ length: options.replicas }, (_, index) => `replica-${index + 1}`);
  const processes = names.map((name) => new ReplicaProcess(name, options));
  try {
    const members = await Promise.all(
      processes.map((process) => openMember(process, options.logLevel)),
    );
    const links = linksOf(members, options.topology);
    const result = await carryOut({ options, members, links, shares: share(members, options) });
    await Promise.all(processes.map((process) => process.ask({ kind: "close" }, "done")));
    return result;
  } finally {
    await Promise.all(processes.map((process) => process[Symbol.asyncDispose]()));
  }
}

async function openMember(process: ReplicaProcess, logLevel: string): Promise<Member> {
  const command = { kind: "open", name: process.name, logLevel } as const;
  const { url } = await process.ask(command, "opened");
  return { process, url };
}

const linksOf = (members: readonly Member[], topology: Topology): Link[] =>
  members.flatMap((from, index) =>
    members.slice(0, topology === "mesh" ? index : Math.min(index, 1)).map((to) => ({ from, to })),
  );

function share(members: readonly Member[], { visits, seed }: ReplayOptions): Member[] {
  const random = seededRandom(seed);
  return visits.flatMap(() => members[Math.floor(random() * members.length)] ?? []);
}

async function carryOut(run: Run): Promise<ReplayResult> {
  const { options, members, links } = run;
  const isolated = options.cut && members.length > 1 ? members.at(-1) : undefined;
  const cutAt = Math.floor(options.visits.length / 3);
  const healAt = Math.floor((options.visits.length * 2) / 3);

  await changeLinks(run, { add: links, carrying: links });
  const startedAt = performance.now();
  await take(run, 0, cutAt);
  const known = isolated && (await cutOff(run, isolated));
  await take(run, cutAt, healAt);
  const cut = isolated && (await examineCut(run, { isolated, known: known ?? 0, cutAt, healAt }));
  const healedAt = performance.now();
  const before = cut && (await versions(members));
  if (isolated) await changeLinks(run, { add: linksAt(links, isolated), carrying: undefined });
  const [{ takenAt, settledMs }, caughtUpMs] = await Promise.all([
    takeRest(run, healAt),
    Promise.all(members.map(async (member) => before && (await reachMs(member, before, healedAt)))),
  ]);
  const compared = await compareAll(run, { caughtUpMs, settledMs });
  const slowestMs = settledMs.reduce<number | undefined>(
    (slowest, ms) =>
      slowest === undefined || ms === undefined ? undefined : Math.max(slowest, ms),
    0,
  );
  return {
    ...compared,
    agrees: compared.verdict.agrees && slowestMs !== undefined,
    cut,
    takenMs: takenAt - startedAt,
    convergedMs: slowestMs === undefined ? undefined : takenAt - startedAt + slowestMs,
  };
}

/** Lets every member write its share of some visits. Resolves with the time when all were taken. */
async function take({ options, members, shares }: Run, from: number, to: number): Promise<number> {
  const visits = (member: Member): readonly Visit[] =>
    options.visits.slice(from, to).filter((_, index) => shares[from + index] === member);
  let taken = from;
  await Promise.all(
    members.map(async (member) => {
      const own = visits(member);
      for (let start = 0; start < own.length; start += visitsPerMessage) {
        const part = own.slice(start, start + visitsPerMessage);
        await member.process.ask({ kind: "apply", visits: part }, "done");
        taken += part.length;
        options.onProgress(taken);
      }
    }),
  );
  return performance.now();
}

interface Ending {
  readonly takenAt: number;
  readonly settledMs: readonly (number | undefined)[];
}

/** Takes what is left; resolves when every member holds everything, or has failed to. */
async function takeRest(run: Run, from: number): Promise<Ending> {
  const takenAt = await take(run, from, run.options.visits.length);
  const all = await versions(run.members);
  const settledMs = await Promise.all(run.members.map((member) => reachMs(member, all, takenAt)));
  return { takenAt, settledMs };
}

interface LinkChange {
  readonly add?: readonly Link[];
  readonly remove?: readonly Link[];
  /** The links that are to carry changes before this resolves; undefined does not wait. */
  readonly carrying: readonly Link[] | undefined;
}

async function changeLinks({ members }: Run, change: LinkChange): Promise<void> {
  const { add = [], remove = [], carrying } = change;
  await Promise.all([
    ...add.map(({ from, to }) => from.process.ask({ kind: "dial", url: to.url }, "done")),
    ...remove.map(({ from, to }) => from.process.ask({ kind: "hang-up", url: to.url }, "done")),
  ]);
  if (carrying === undefined) return;
  await Promise.all(
    members.map((member) => {
      const links = linksAt(carrying, member).length;
      return member.process.ask({ kind: "await-links", links }, "done");
    }),
  );
}

const linksAt = (links: readonly Link[], member: Member): Link[] =>
  links.filter(({ from, to }) => from === member || to === member);

/** Resolves, with how many requests the member knows, when neither end of any link has it. */
async function cutOff(run: Run, isolated: Member): Promise<number> {
  const remove = linksAt(run.links, isolated);
  const carrying = run.links.filter((link) => !remove.includes(link));
  await changeLinks(run, { remove, carrying });
  return (await figuresOf(isolated)).requestsKnown;
}

interface Cut {
  readonly isolated: Member;
  /** Requests that it knew when it was cut off. */
  readonly known: number;
  readonly cutAt: number;
  readonly healAt: number;
}

/** @throws ReplayError when the replica learned of others' requests while it was cut off. */
async function examineCut(run: Run, { isolated, known, cutAt, healAt }: Cut): Promise<CutResult> {
  const own = run.shares.slice(cutAt, healAt).filter((member) => member === isolated).length;
  const { requestsKnown } = await figuresOf(isolated);
  if (requestsKnown !== known + own) {
    throw new ReplayError(
      `${isolated.process.name} was cut off knowing ${known} requests, took ${own} and knows ` +
        `${requestsKnown}: the cut was none`,
    );
  }
  const replica = isolated.process.name;
  return { replica, requests: healAt - cutAt, lacked: healAt - requestsKnown, lackedByOthers: own };
}

const figuresOf = async ({ process }: Member): Promise<Figures> =>
  (await process.ask({ kind: "figures" }, "figures")).figures;

const versions = (members: readonly Member[]): Promise<string[]> =>
  Promise.all(
    members.map(async ({ process }) => (await process.ask({ kind: "version" }, "version")).version),
  );

/** The time since `sinceMs` when the member holds the versions; undefined when it never did. */
async function reachMs(
  { process }: Member,
  awaited: readonly string[],
  sinceMs: number,
): Promise<number | undefined> {
  try {
    await process.ask({ kind: "await-versions", versions: awaited }, "done");
    return performance.now() - sinceMs;
  } catch (error) {
    // What it lacks is told by the comparison. A process that is gone fails at the next question.
    if (error instanceof ReplayError) return undefined;
    throw error;
  }
}

interface Times {
  readonly caughtUpMs: readonly (number | undefined)[];
  readonly settledMs: readonly (number | undefined)[];
}

async function compareAll(
  { options, members }: Run,
  { caughtUpMs, settledMs }: Times,
): Promise<Pick<ReplayResult, "replicas" | "verdict">> {
  const agreement = new Agreement(tally(options.visits));
  const replicas: ReplicaResult[] = [];
  for (const [index, member] of members.entries()) {
    const { name } = member.process;
    const digest = await agreement.compare(name, (collection) => entriesOf(member, collection));
    replicas.push({
      name,
      figures: await figuresOf(member),
      caughtUpMs: caughtUpMs[index],
      settledMs: settledMs[index],
      digest,
    });
  }
  return { replicas, verdict: agreement.verdict() };
}

async function* entriesOf({ process }: Member, collection: SiteCollection): AsyncGenerator<Entry> {
  for (let offset: number | undefined = 0; offset !== undefined;) {
    const page: { readonly entries: readonly Entry[]; readonly next?: number } = await process.ask(
      { kind: "read", collection, offset },
      "page",
    );
    yield* page.entries;
    offset = page.next;
  }
}
