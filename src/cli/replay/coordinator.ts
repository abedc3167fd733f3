/**
 * Runs a log through replicas in processes of their own.
 *
 * Requests are spread over the replicas as a load balancer would. For the middle third the last
 * replica has no links: they are taken away at the ends that dial them, and the run goes on only
 * when no end carries one. Then the links come back, the last third is replayed while the replicas
 * catch up, and once all of them hold every write they are compared with the tally. If the replicas
 * are durable, the last one is killed in the middle of the run, too: while nobody else has its writes.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agreement, type Verdict } from "./agreement.ts";
import { type Bounds, WorkerError } from "../worker-process.ts";
import { killAndRestart, type KillResult } from "./kill.ts";
import {
  changeLinks,
  type Link,
  linksAt,
  linksOf,
  type Member,
  openMember,
  type Topology,
  versions,
} from "./members.ts";
import type { Entry, Figures } from "./messages.ts";
import { type ReplicaProcess, startReplicaProcess } from "./process.ts";
import { seededRandom } from "./random.ts";
import { type ShopOptions, type ShopResult, ShopRun } from "./shop-run.ts";
import type { SiteCollection, Visit } from "./site.ts";
import { tally } from "./tally.ts";

/** What a replay is made of. */
export interface ReplayOptions extends Bounds {
  readonly visits: readonly Visit[];
  readonly replicas: number;
  readonly topology: Topology;
  /** Cuts the last replica off for the middle third. One replica has nothing to be cut from. */
  readonly cut: boolean;
  /** Gives each replica a directory, kills the last one in the middle, and starts it again. */
  readonly durable: boolean;
  /** Sells something meanwhile; the replicas are durable then. */
  readonly shop?: ShopOptions;
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
  /** Undefined if the replicas are not durable. */
  readonly killed: KillResult | undefined;
  /** Undefined if nothing was sold. */
  readonly shop: ShopResult | undefined;
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

interface Run {
  readonly options: ReplayOptions;
  readonly members: readonly Member[];
  readonly links: readonly Link[];
  readonly shop: ShopRun | undefined;
  /** The member that takes each visit, by the visit's index. */
  readonly shares: readonly Member[];
  /** A replica was started again. */
  readonly onProcess: (process: ReplicaProcess) => void;
}

/**
 * Replays `options.visits`. Every process that it started has ended, and their directories are gone,
 * when it returns or throws.
 * @throws WorkerError when a process failed or did not answer in time; the signal's reason.
 */
export async function replay(options: ReplayOptions): Promise<ReplayResult> {
  if (!options.durable) return await replayIn(undefined, options);
  const directory = await mkdtemp(join(tmpdir(), "trellis-replay-"));
  try {
    return await replayIn(directory, options);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function replayIn(
  directory: string | undefined,
  options: ReplayOptions,
): Promise<ReplayResult> {
  const processes: ReplicaProcess[] = [];
  const onProcess = (process: ReplicaProcess): void => void processes.push(process);
  const members = Array.from({ length: options.replicas }, (_, index): Member => {
    const name = `replica-${index + 1}`;
    const process = startReplicaProcess(name, options);
    onProcess(process);
    const own = directory === undefined ? undefined : join(directory, name);
    const locks = options.shop?.locks(index);
    return { name, directory: own, locks, process, url: "", taken: 0 };
  });
  try {
    await Promise.all(members.map((member) => openMember(member, options.logLevel)));
    const links = linksOf(members, options.topology);
    const shares = share(members, options);
    const shop =
      directory !== undefined && options.shop
        ? new ShopRun(members, directory, options.shop)
        : undefined;
    const result = await carryOut({ options, members, links, shop, shares, onProcess });
    await Promise.all(members.map(({ process }) => process.ask({ kind: "close" }, "done")));
    return result;
  } finally {
    await Promise.all(processes.map((process) => process[Symbol.asyncDispose]()));
  }
}

function share(members: readonly Member[], { visits, seed }: ReplayOptions): Member[] {
  const random = seededRandom(seed);
  return visits.flatMap(() => members[Math.floor(random() * members.length)] ?? []);
}

async function carryOut(run: Run): Promise<ReplayResult> {
  const { options, members, links, shop } = run;
  const isolated = options.cut && members.length > 1 ? members.at(-1) : undefined;
  const cutAt = Math.floor(options.visits.length / 3);
  const killAt = Math.floor(options.visits.length / 2);
  const healAt = Math.floor((options.visits.length * 2) / 3);

  await changeLinks(members, { add: links, carrying: links });
  await shop?.open();
  const startedAt = performance.now();
  await Promise.all([take(run, 0, cutAt), shop?.sellSome(), shop?.contest()]);
  const known = isolated && (await cutOff(run, isolated));
  const except = options.durable ? victimOf(run, isolated) : undefined;
  const selling = shop?.sellSome({ cutOff: isolated, except });
  await take(run, cutAt, killAt);
  const killed = await takeKilling(run, { from: killAt, to: healAt, isolated });
  await selling;
  const cut = isolated && (await examineCut(run, { isolated, known: known ?? 0, cutAt, healAt }));
  const healedAt = performance.now();
  const before = cut && (await versions(members));
  if (isolated) await changeLinks(members, { add: linksAt(links, isolated), carrying: undefined });
  // Before all is compared, so that what the sale wrote is waited for, too.
  const sellingOut = shop?.sellOut();
  const [{ takenAt, settledMs }, caughtUpMs] = await Promise.all([
    takeRest(run, healAt, sellingOut),
    Promise.all(members.map(async (member) => before && (await reachMs(member, before, healedAt)))),
  ]);
  const sold = shop && (await shop.result((await sellingOut) ?? []));
  const compared = await compareAll(run, { caughtUpMs, settledMs });
  const takenMs = takenAt - startedAt;
  const convergedMs = lastOf(settledMs, takenMs);
  const holds = sold === undefined || sold.faults.length === 0;
  const agrees = compared.verdict.agrees && convergedMs !== undefined && holds;
  return { ...compared, agrees, cut, killed, shop: sold, takenMs, convergedMs };
}

/** When the last of them had settled; undefined when one never did. */
const lastOf = (settledMs: readonly (number | undefined)[], sinceMs: number): number | undefined =>
  settledMs.reduce<number | undefined>(
    (last, ms) =>
      last === undefined || ms === undefined ? undefined : Math.max(last, sinceMs + ms),
    sinceMs,
  );

/** Gives a member its first visits in another way; resolves with how many of them it took. */
interface Exception {
  readonly member: Member;
  give(visits: readonly Visit[]): Promise<number>;
}

/** Lets every member write its share of some visits. Resolves with the time when all were taken. */
async function take(
  { options, members, shares }: Run,
  from: number,
  to: number,
  exception?: Exception,
): Promise<number> {
  const visits = (member: Member): readonly Visit[] =>
    options.visits.slice(from, to).filter((_, index) => shares[from + index] === member);
  const give = async (member: Member, part: readonly Visit[]): Promise<number> => {
    await member.process.ask({ kind: "apply", visits: part, before: member.taken }, "done");
    member.taken += part.length;
    return part.length;
  };
  let taken = from;
  await Promise.all(
    members.map(async (member) => {
      const own = visits(member);
      let isException = member === exception?.member;
      for (let start = 0; start < own.length || isException; isException = false) {
        const part = own.slice(start, start + visitsPerMessage);
        const count = await (isException && exception ? exception.give(part) : give(member, part));
        start += count;
        taken += count;
        options.onProgress(taken);
      }
    }),
  );
  return performance.now();
}

interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly isolated: Member | undefined;
}

/** As `take`; if the replicas are durable, the last one is killed while it takes its first visits. */
async function takeKilling(
  run: Run,
  { from, to, isolated }: Stretch,
): Promise<KillResult | undefined> {
  const { options, members, onProcess } = run;
  const member = options.durable ? victimOf(run, isolated) : undefined;
  if (member === undefined) {
    await take(run, from, to);
    return undefined;
  }
  const cutLinks = isolated ? linksAt(run.links, isolated) : [];
  const links = run.links.filter((link) => !cutLinks.includes(link));
  const { logLevel } = options;
  const results: KillResult[] = [];
  const give = async (visits: readonly Visit[]): Promise<number> => {
    const killing = { member, members, links, visits, bounds: options, logLevel, onProcess };
    const selling = run.shop?.sellUntilKilled(member);
    const result = await killAndRestart(killing);
    await selling;
    results.push(result);
    return visits.length - result.unanswered + result.held;
  };
  await take(run, from, to, { member, give });
  return results[0];
}

/**
 * Who is killed: the one that is cut off, since nobody else has what it wrote; in a shop another one that is
 * not the first, so that both troubles are there at once and the authority of the locks is left.
 */
const victimOf = ({ members, shop }: Run, isolated: Member | undefined): Member | undefined =>
  shop && isolated && members.length > 2 ? members.at(-2) : members.at(-1);

interface Ending {
  readonly takenAt: number;
  readonly settledMs: readonly (number | undefined)[];
}

/** Takes what is left; resolves when every member holds everything, or has failed to. */
async function takeRest(run: Run, from: number, selling?: Promise<unknown>): Promise<Ending> {
  const takenAt = await take(run, from, run.options.visits.length);
  await selling;
  const all = await versions(run.members);
  const settledMs = await Promise.all(run.members.map((member) => reachMs(member, all, takenAt)));
  return { takenAt, settledMs };
}

/** Resolves, with how many requests the member knows, when neither end of any link has it. */
async function cutOff(run: Run, isolated: Member): Promise<number> {
  const remove = linksAt(run.links, isolated);
  const carrying = run.links.filter((link) => !remove.includes(link));
  await changeLinks(run.members, { remove, carrying });
  return (await figuresOf(isolated)).requestsKnown;
}

interface Cut {
  readonly isolated: Member;
  /** Requests that it knew when it was cut off. */
  readonly known: number;
  readonly cutAt: number;
  readonly healAt: number;
}

/** @throws WorkerError when the replica learned of others' requests while it was cut off. */
async function examineCut(run: Run, { isolated, known, cutAt, healAt }: Cut): Promise<CutResult> {
  const own = run.shares.slice(cutAt, healAt).filter((member) => member === isolated).length;
  const { requestsKnown } = await figuresOf(isolated);
  if (requestsKnown !== known + own) {
    throw new WorkerError(
      `${isolated.name} was cut off knowing ${known} requests, took ${own} and knows ` +
        `${requestsKnown}: ${run.options.durable ? "a request counts twice, or " : ""}the cut was none`,
    );
  }
  const replica = isolated.name;
  return { replica, requests: healAt - cutAt, lacked: healAt - requestsKnown, lackedByOthers: own };
}

const figuresOf = async ({ process }: Member): Promise<Figures> =>
  (await process.ask({ kind: "figures" }, "figures")).figures;

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
    if (error instanceof WorkerError) return undefined;
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
    const { name } = member;
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
