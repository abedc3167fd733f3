/**
 * The command `trellis peer`: a replica that is run as a service. It stores, joins and relays whatever
 * collections its peers have, so it gives services a place to meet that is always up.
 */
import { destination, type Logger as Pino, pino } from "pino";
import { explainFailure } from "./exit-status.ts";
import { peerStatusOf, peerStatus } from "./peer/exit-status.ts";
import { Life, within } from "./peer/life.ts";
import { offerOf } from "./peer/offer.ts";
import { machineWarnings, readMachine } from "./peer/machine.ts";
import { type Resolved, resolve, type Sources } from "./peer/resolve.ts";
import { RunningPeer } from "./peer/running.ts";
import type { PeerSettings } from "./peer/settings.ts";
import { printed } from "./peer/show.ts";

/** What the command line says, besides settings. */
export interface PeerCommandOptions {
  readonly sources: Sources;
  /** Prints the settings, with where each comes from, and ends. */
  readonly printConfig: boolean;
  /** Of the package. */
  readonly version: string;
}

/** Links and storage are closed within that, in ms, after requests have ended. */
const closeMsMax = 10_000;
/** Timers of Node end there. */
const timerMsMax = 2 ** 31 - 1;

/**
 * Runs a peer until a signal asks for its end. Its address goes to standard output as one line, its log to
 * standard error as JSON lines. Returns the status of the process; never rejects.
 */
export async function peerCommand(options: PeerCommandOptions): Promise<number> {
  try {
    const resolved = await resolve(options.sources);
    if (options.printConfig) {
      process.stdout.write(printed(resolved));
      for (const warning of resolved.warnings) process.stderr.write(`warning: ${warning}\n`);
      return peerStatus.ok;
    }
    return await runPeer(resolved, options);
  } catch (error) {
    explainFailure(error);
    return peerStatusOf(error);
  }
}

async function runPeer(
  resolved: Resolved,
  { sources, version }: PeerCommandOptions,
): Promise<number> {
  const { settings } = resolved;
  // Written at once, so that the last lines before the end are not lost.
  const to = destination({ dest: 2, sync: true });
  const logger = pino({ name: settings.name, level: settings["log.level"] }, to);
  const running: { peer?: RunningPeer } = {};
  const life = new Life({
    reload: async () => {
      if (running.peer) await reload(running.peer, { sources, logger });
    },
    onUncaught: (error) =>
      logger.fatal({ err: error }, "an error that nobody caught: a fault of ours"),
  });
  sayStart(resolved, { sources, version, logger });
  const peer = await RunningPeer.open(settings, { logger, offer: offerOf(settings, logger) });
  running.peer = peer;
  const { address } = peer.replica;
  if (address !== undefined) {
    const scheme = settings["listen.tls.certFile"] === undefined ? "ws" : "wss";
    const url = `${scheme}://${hostInUrl(address.host)}:${address.port}`;
    // Whoever started us may read no more; the log has the address as well.
    process.stdout.on("error", (error) => logger.warn({ err: error }, "nobody reads the address"));
    process.stdout.write(`${url}\n`);
    logger.info({ url, join: settings.join.map((join) => join.url) }, "the peer listens");
  }
  // A promise does not keep the process alive, and a peer may have nothing else to do.
  const alive = setInterval(() => undefined, timerMsMax);
  const reason = await life.stopped;
  logger.info({ reason }, "the peer closes");
  clearInterval(alive);
  const drainMs = Math.min(settings.drainMs + closeMsMax, timerMsMax);
  await within(drainMs, peer.drain(), () => {
    logger.fatal({ drainMs }, "the peer did not end in time; it is ended as it stands");
  });
  logger.info({}, "the peer has ended");
  return peerStatus.ok;
}

function sayStart(
  { settings, origins, warnings }: Resolved,
  { sources, version, logger }: { sources: Sources; version: string; logger: Pino },
): void {
  const machine = readMachine();
  const given = [...origins].filter(([, origin]) => origin !== "default");
  const fields = {
    version,
    node: process.version,
    config: sources.config,
    settings: Object.fromEntries(given),
    limits: machine,
  };
  logger.info(fields, "the peer starts");
  const unwise = [...warnings, ...machineWarnings(machine, Date.now()), ...unwiseIn(settings)];
  for (const warning of unwise) logger.warn({}, warning);
}

function unwiseIn(settings: PeerSettings): string[] {
  const warnings: string[] = [];
  if (settings["storage.directory"] === undefined && settings["locks.host"]) {
    warnings.push("the lock authority has no storage: its guards are gone when it ends");
  }
  const isShown = settings.token !== undefined || settings.tokenFile !== undefined;
  const plain = settings.join.filter(({ url }) => url.startsWith("ws:") && !isLoopbackUrl(url));
  if (isShown && plain.length > 0) {
    warnings.push(`the token travels unencrypted to ${plain.map(({ url }) => url).join(", ")}`);
  }
  return warnings;
}

const isLoopbackUrl = (url: string): boolean =>
  /^(?:localhost|127\.[\d.]+|\[::1\])$/u.test(new URL(url).hostname);

async function reload(
  peer: RunningPeer,
  { sources, logger }: { sources: Sources; logger: Pino },
): Promise<void> {
  try {
    const { settings, warnings } = await resolve(sources);
    for (const warning of warnings) logger.warn({}, warning);
    await peer.reload(settings);
    logger.info({}, "the settings were read again");
  } catch (error) {
    logger.error({ err: error }, "the settings cannot be read again; the old ones stay");
  }
}

const hostInUrl = (host: string): string => (host.includes(":") ? `[${host}]` : host);
