/**
 * A soak of a deployment: `npm run soak:peers -- [--seconds 900] [--per-second 60] [--pictures DIR]`. Three
 * peers over TLS with tokens, each with a service beside it that reads and writes over HTTP. One peer is
 * killed and started again, one is stopped for a while, one is cut off from the others. The status is 1 if
 * anything was lost or done twice, the peers do not come to hold the same, memory grows, or the metrics
 * did not show what happened.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Books } from "./peers/books.ts";
import { Deployment, type PeerProcess, serviceToken } from "./peers/deployment.ts";
import { HttpClient } from "./peers/http-client.ts";
import { Service } from "./peers/service.ts";
import { OperatorWatch } from "./peers/watch.ts";
import { conclude, print } from "./command.ts";
import { seededRandom } from "../../src/cli/replay/random.ts";

const initialStock = 50_000;
const settleMsMax = 120_000;
/** What memory may be more at the end than it was early on. */
const growthMax = 1.2;
const growthBytesMax = 32 * 1024 * 1024;
/** In less time a process that was started anew is still growing into its heap. */
const warmSeconds = 600;

const { values: given } = parseArgs({
  options: {
    seconds: { type: "string", default: "900" },
    "per-second": { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    pictures: { type: "string" },
  },
});
const seconds = Number(given.seconds);
const perSecond = Number(given["per-second"]);
const seed = Number(given.seed);
if (!(seconds >= 120) || !(perSecond > 0) || !Number.isSafeInteger(seed)) {
  throw new Error("--seconds is at least 120, --per-second positive, --seed an integer");
}
const directory = mkdtempSync(join(tmpdir(), "trellis-peers-"));
const pictures = given.pictures ?? directory;

/** Something that happens to a peer, and back. */
interface Event {
  readonly name: string;
  readonly atShare: number;
  readonly forMs: number;
  begin(): Promise<void> | void;
  end(): Promise<void> | void;
  /** Shown by a figure of the first peer: what is looked for while it lasts. */
  readonly figure: RegExp;
  readonly isShown: (values: readonly number[]) => boolean;
}

function events([, second, third]: readonly PeerProcess[], deployment: Deployment): Event[] {
  if (second === undefined || third === undefined) throw new Error("assertion: three peers");
  // A link whose other end is silent ends after 15 s or so.
  const away = Math.max(25_000, Math.min(45_000, (seconds * 1_000) / 12));
  const lagsBehind = (peer: PeerProcess): RegExp =>
    new RegExp(`^trellis_peer_lag_ms\\{.*${peer.name}`, "u");
  return [
    {
      ...{ name: "killed", atShare: 0.2, forMs: away },
      begin: async () => void (await third.end("SIGKILL")),
      end: () => third.start(),
      figure: /^trellis_peers\{.*streaming/u,
      isShown: (values) => values.some((value) => value < 2),
    },
    {
      ...{ name: "stalled", atShare: 0.45, forMs: Math.min(away, 25_000) },
      begin: () => second.signal("SIGSTOP"),
      end: () => second.signal("SIGCONT"),
      figure: lagsBehind(second),
      isShown: (values) => Math.max(...values) > 3_000,
    },
    {
      ...{ name: "cut-off", atShare: 0.7, forMs: away },
      begin: () => deployment.connect(third, false),
      end: () => deployment.connect(third, true),
      figure: /^trellis_peers\{.*streaming/u,
      isShown: (values) => values.some((value) => value < 2),
    },
  ];
}

const faults: string[] = [];
const books = new Books();
await using deployment = await Deployment.start(directory);
await using watch = new OperatorWatch(deployment);
await watch.look();
print(`three peers in ${directory}: ${deployment.peers.map(({ port }) => port).join(", ")}`);

const random = seededRandom(seed);
const services = deployment.peers.map(
  ({ name, port }) =>
    new Service({
      ...{ name: `service-of-${name}`, port, ca: deployment.ca, token: serviceToken },
      ...{ perSecond, books, random },
    }),
);
const running = Promise.all(services.map((service) => service.run()));

for (const event of events(deployment.peers, deployment)) {
  await sleep(Math.max(0, event.atShare * seconds * 1_000 - watch.nowMs));
  const fromMs = watch.nowMs;
  await event.begin();
  print(`${(fromMs / 1_000).toFixed(0)} s: a peer is ${event.name}`);
  await sleep(event.forMs);
  const picture = await watch.picture(pictures, event.name);
  const shown = watch.seen("peer-1", event.figure, fromMs);
  await event.end();
  print(`${(watch.nowMs / 1_000).toFixed(0)} s: it is back${picture ? `; see ${picture}` : ""}`);
  if (!event.isShown(shown)) faults.push(`${event.name}: not shown by ${event.figure}`);
}

await sleep(Math.max(0, seconds * 1_000 - watch.nowMs));
for (const service of services) service.stop();
await running;
await watch.picture(pictures, "after");
for (const service of services) faults.push(...service.faults);
faults.push(...watch.complaints.map((complaint) => `the page: ${complaint}`));

faults.push(...(await unlike()));
faults.push(...grown());

const took = books.tookMs.toSorted((left, right) => left - right);
const percentile = (share: number): string =>
  (took[Math.floor(took.length * share)] ?? 0).toFixed(1);
print(
  `answers: ${[...books.statuses].map(([status, count]) => `${count} of ${status}`).join(", ")}`,
);
print(`${books.lost} without an answer, ${books.replays} replays`);
print(`p50 ${percentile(0.5)} ms, p99 ${percentile(0.99)} ms; ${books.sold} sold`);
const flat = seconds < warmSeconds ? "" : " memory flat,";
const good = `nothing lost, nothing twice,${flat} and the metrics showed each event`;
if (!conclude(faults, good, `see ${directory}`)) process.exitCode = 1;

/** What the peers hold, against each other and against the books, once they have settled. */
async function unlike(): Promise<string[]> {
  const clients = deployment.peers.map(
    ({ port }) =>
      new HttpClient({
        ...{ port, ca: deployment.ca, token: serviceToken, timeoutMs: 10_000, connectionsMax: 4 },
      }),
  );
  const endMs = performance.now() + settleMsMax;
  try {
    let found: string[] = [];
    do {
      found = [];
      const held = await Promise.all(clients.map(valuesAt));
      for (const [index, one] of held.entries()) {
        const read = (collection: string, key: string): number =>
          one.get(`${collection}/${key}`) ?? 0;
        const wrong = books.faults(read, initialStock);
        found.push(...wrong.map((fault) => `peer-${index + 1}: ${fault}`));
      }
      if (found.length > 0) await sleep(1_000);
    } while (found.length > 0 && performance.now() < endMs);
    return found;
  } finally {
    for (const client of clients) client.close();
  }
}

async function valuesAt(client: HttpClient): Promise<Map<string, number>> {
  const held = new Map<string, number>();
  for (const [collection, key] of books.keys()) {
    const { status, text } = await client.ask(`/v1/collections/${collection}/${key}`);
    const { value } = (status === 200 ? JSON.parse(text) : {}) as { readonly value?: number };
    held.set(`${collection}/${key}`, value ?? 0);
  }
  return held;
}

/** Whose memory is more at the end than it was once it had warmed up. */
function grown(): string[] {
  const lengthMs = watch.nowMs;
  return deployment.peers.flatMap(({ name }) => {
    const of = (fromShare: number, toShare: number): number => {
      const within = watch.samples.filter(
        ({ peer, atMs }) =>
          peer === name && atMs >= fromShare * lengthMs && atMs <= toShare * lengthMs,
      );
      const bytes = within.map(({ residentBytes }) => residentBytes).toSorted((a, b) => a - b);
      return bytes[Math.floor(bytes.length / 2)] ?? 0;
    };
    // The killed one starts anew: what it had before says nothing of it.
    const early = of(0.3, 0.45);
    const late = of(0.85, 1);
    const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
    print(`${name}: ${mebibytes(early)} early, ${mebibytes(late)} late`);
    const isFlat =
      seconds < warmSeconds || late <= Math.max(early * growthMax, early + growthBytesMax);
    return isFlat ? [] : [`${name} grew from ${mebibytes(early)} to ${mebibytes(late)}`];
  });
}
