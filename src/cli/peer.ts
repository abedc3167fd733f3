/**
 * The command `trellis peer`: a replica without a schema. It stores, joins and relays whatever
 * collections its peers have, so it gives services a place to meet that is always up.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { destination, pino } from "pino";
import { UsageError } from "../errors.ts";
import {
  type Authenticate,
  type FsyncPolicy,
  type Logger,
  openReplica,
  type Replica,
  type Schema,
} from "../index.ts";
import { checkToken } from "./flags.ts";

/** The options of `trellis peer`, as the command line gives them. */
export interface PeerCommandOptions {
  readonly listen?: number;
  readonly host: string;
  readonly join?: readonly string[];
  readonly storage?: string;
  readonly fsync: FsyncPolicy;
  readonly name: string;
  readonly token?: string;
  readonly allowUnauthenticated?: boolean;
  readonly logLevel: string;
}

/**
 * Runs a peer until `signal` aborts, then closes it. Its address goes to standard output as one
 * line, its log to standard error as JSON lines.
 * @throws UsageError for what cannot be done, what `openReplica` throws otherwise.
 */
export async function peerCommand(options: PeerCommandOptions, signal: AbortSignal): Promise<void> {
  const { listen, join = [], name, token, logLevel } = options;
  if (listen === undefined && join.length === 0) {
    throw new UsageError("a peer needs --listen PORT, or somebody to --join, or both");
  }
  if (token !== undefined) checkToken(token);
  // Written at once, so that the last lines before the end are not lost.
  const logger = pino({ name, level: logLevel }, destination({ dest: 2, sync: true }));
  await using replica = await openPeer(options, logger);
  if (replica.address !== undefined) {
    const url = `ws://${hostInUrl(replica.address.host)}:${replica.address.port}`;
    process.stdout.write(`${url}\n`);
    logger.info({ url, join }, "the peer listens");
  }
  await aborted(signal);
  logger.info({ reason: String(signal.reason) }, "the peer closes");
}

async function openPeer(options: PeerCommandOptions, logger: Logger): Promise<Replica<Schema>> {
  const { listen: port, host, join = [], name, token, allowUnauthenticated = false } = options;
  const { storage: directory, fsync } = options;
  const authenticate = token === undefined ? undefined : knows(token);
  try {
    return await openReplica<Schema>({
      schema: {},
      name,
      logger,
      peers: join.map((url) => (token === undefined ? url : { url, token })),
      ...(directory !== undefined && { storage: { directory, fsync } }),
      ...(port !== undefined && {
        listen: { port, host, allowUnauthenticated, ...(authenticate && { authenticate }) },
      }),
    });
  } catch (error) {
    if (!(error instanceof UsageError) || error.cause !== undefined) throw error;
    // The sentence names the options of the library.
    const flags = "on the command line: --token TOKEN or TRELLIS_TOKEN, or --allow-unauthenticated";
    throw new UsageError(`${error.message} (${flags})`);
  }
}

/** Accepts who shows the same token; the comparison takes as long for every wrong one. */
function knows(expected: string): Authenticate {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  const wanted = digest(expected);
  return ({ token }) => token !== undefined && timingSafeEqual(digest(token), wanted);
}

const hostInUrl = (host: string): string => (host.includes(":") ? `[${host}]` : host);

/** A pending listener does not keep the process alive, so something that does stands beside it. */
async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const alive = setInterval(() => undefined, 60_000);
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  clearInterval(alive);
}
