/**
 * A peer that runs: opened from its settings, reloaded when its files changed, drained when it is to end.
 * HTTP, metrics and the page come in by `Offer`: this file knows none of them.
 */
import type { Authenticate, ConnectionRequest } from "../../door.ts";
import { UsageError } from "../../errors.ts";
import { embeddedLocks } from "../../escalate/locks/embedded.ts";
import {
  type Grant,
  type ListenOptions,
  type LockBackend,
  openReplica,
  type Replica,
  type Schema,
} from "../../index.ts";
import type { Logger, Telemetry } from "../../telemetry.ts";
import { locksOfUrl } from "../locks-url.ts";
import { type Access, type JoinTarget, openAccess } from "./access.ts";
import { authenticates } from "./check-together.ts";
import { SecretFiles } from "./secret-files.ts";
import { type PeerSettings, settingPaths } from "./settings.ts";

/** What is served at the port besides links. */
export interface Served {
  /** Says that the peer ends soon; requests are taken as before. */
  drain(): void;
  /** Takes nothing new; resolves when what is under way has ended, or has taken `drainMs`. */
  close(): Promise<void>;
}

/** What a peer offers besides links, and where its figures go. */
export interface Offer {
  readonly telemetry?: Telemetry;
  /** Called once the replica is open, if it listens. */
  serve?(replica: Replica<Schema>): Served;
}

/** What changes without a restart. */
const reloaded: ReadonlySet<keyof PeerSettings> = new Set<keyof PeerSettings>([
  ...(["join", "token", "tokenFile", "tokens", "certificates"] as const),
  ...settingPaths.filter((path) => path.startsWith("jwt.") || path.startsWith("dial.")),
]);

/** A peer that runs. */
export class RunningPeer {
  readonly replica: Replica<Schema>;
  readonly #served: Served | undefined;
  readonly #logger: Logger;
  readonly #gate: Gate;
  #settings: PeerSettings;
  #joins: readonly JoinTarget[];
  #draining: Promise<void> | undefined;

  private constructor(parts: Parts) {
    this.replica = parts.replica;
    this.#served = parts.served;
    this.#logger = parts.logger;
    this.#gate = parts.gate;
    this.#settings = parts.settings;
    this.#joins = parts.access.joins;
  }

  /** @throws what `openReplica` throws; UsageError for files that the settings name. Nothing runs then. */
  static async open(
    settings: PeerSettings,
    { logger, offer }: { readonly logger: Logger; readonly offer: Offer },
  ): Promise<RunningPeer> {
    const access = await openAccess(settings, logger);
    for (const warning of access.warnings) logger.warn({}, warning);
    const gate = new Gate(access.authenticate);
    const locks = await locksOf(settings);
    const replica = await openReplica<Schema>({
      schema: settings.collections,
      name: settings.name,
      logger,
      peers: access.joins,
      clockAheadMsMax: settings.clockAheadMsMax,
      retention: {
        logEntriesMax: settings["retention.logEntriesMax"],
        peerSilentMsMax: settings["retention.peerSilentMsMax"],
      },
      ...(offer.telemetry && { telemetry: offer.telemetry }),
      ...(locks && { locks }),
      ...storageOf(settings),
      ...listenOf(settings, gate),
      documents: { yjs: settings["documents.yjs"], automerge: settings["documents.automerge"] },
    });
    replica.on("warning", ({ kind, message }) => logger.warn({ kind }, message));
    try {
      const served = replica.address === undefined ? undefined : offer.serve?.(replica);
      return new RunningPeer({ replica, served, logger, gate, settings, access });
    } catch (error) {
      await replica.close();
      throw error;
    }
  }

  /**
   * Goes on with the tokens, peers and certificates of `next`, whose other changes are only told of.
   * @throws UsageError for what is wrong with them; everything stays as it was then.
   */
  async reload(next: PeerSettings): Promise<void> {
    if (authenticates(next) !== authenticates(this.#settings)) {
      throw new UsageError("whether anybody is authenticated does not change without a restart");
    }
    const access = await openAccess(next, this.#logger);
    for (const warning of access.warnings) this.#logger.warn({}, warning);
    if (this.replica.address) await this.replica.door.reloadCertificates();
    this.#gate.way = access.authenticate;
    this.#redial(access.joins);
    const needRestart = settingPaths.filter(
      (path) => !reloaded.has(path) && !isSame(next[path], this.#settings[path]),
    );
    if (needRestart.length > 0) {
      this.#logger.warn({ settings: needRestart }, "these settings changed and need a restart");
    }
    const kept = Object.fromEntries(needRestart.map((path) => [path, this.#settings[path]]));
    this.#settings = { ...next, ...kept };
  }

  /** Lets what is under way end, hands everything over, says goodbye. Never takes anything new. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  async #drain(): Promise<void> {
    this.#served?.drain();
    if (this.replica.address) this.replica.door.stopListening();
    await this.#served?.close();
    await this.replica.close();
  }

  /** Links to peers that are dialed as before stay. */
  #redial(joins: readonly JoinTarget[]): void {
    const before = new Map(this.#joins.map((join) => [join.url, join]));
    const after = new Map(joins.map((join) => [join.url, join]));
    for (const [url, join] of before) {
      if (!isSame(after.get(url), join)) this.replica.removePeer(url);
    }
    for (const [url, join] of after) {
      if (!isSame(before.get(url), join)) this.replica.addPeer(join);
    }
    this.#joins = joins;
  }
}

interface Parts {
  readonly replica: Replica<Schema>;
  readonly served: Served | undefined;
  readonly logger: Logger;
  readonly gate: Gate;
  readonly settings: PeerSettings;
  readonly access: Access;
}

/** Asks whoever is to be asked now. */
class Gate {
  way: Authenticate | undefined;
  readonly isOpen: boolean;

  constructor(way: Authenticate | undefined) {
    this.way = way;
    this.isOpen = way === undefined;
  }

  readonly authenticate = (
    request: ConnectionRequest,
  ): boolean | Grant | Promise<boolean | Grant> => this.way?.(request) ?? false;
}

const isSame = (left: unknown, right: unknown): boolean =>
  JSON.stringify(left) === JSON.stringify(right);

function storageOf(settings: PeerSettings): {
  storage?: { directory: string; fsync: "always" | "interval" | "never"; intervalMs: number };
} {
  const directory = settings["storage.directory"];
  if (directory === undefined) return {};
  const fsync = settings["storage.fsync"];
  const intervalMs = settings["storage.intervalMs"];
  const exclusive = settings["storage.exclusive"];
  return { storage: { ...{ directory, fsync, intervalMs }, ...(exclusive && { exclusive }) } };
}

function listenOf(settings: PeerSettings, gate: Gate): { listen?: ListenOptions } {
  const port = settings["listen.port"];
  if (port === undefined) return {};
  const certFile = settings["listen.tls.certFile"];
  const keyFile = settings["listen.tls.keyFile"];
  const caFile = settings["listen.tls.caFile"];
  const tls = certFile !== undefined &&
    keyFile !== undefined && {
      ...{ certFile, keyFile },
      ...(caFile !== undefined && { caFile }),
      requireClientCertificate: settings["listen.tls.requireClientCertificate"],
      reloadMs: settings["listen.tls.reloadMs"],
    };
  return {
    listen: {
      port,
      host: settings["listen.host"],
      allowUnauthenticated: settings["listen.allowUnauthenticated"],
      connectionsPerAddressMax: settings["listen.connectionsPerAddressMax"],
      allowedOrigins: settings["listen.allowedOrigins"],
      ...(tls && { tls }),
      ...(!gate.isOpen && { authenticate: gate.authenticate }),
    },
  };
}

async function locksOf(settings: PeerSettings): Promise<LockBackend | undefined> {
  if (settings["locks.host"]) return embeddedLocks({ host: true });
  const urlFile = settings["locks.urlFile"];
  const url =
    urlFile === undefined
      ? settings["locks.url"]
      : await new SecretFiles().read("locks.urlFile", urlFile);
  if (url === undefined) return undefined;
  try {
    return await locksOfUrl(url);
  } catch (error) {
    // The sentence may have the URL in it, which may have a password in it.
    if (!(error instanceof UsageError) || error.cause !== undefined) throw error;
    throw new UsageError("locks.url names no lock backend; see docs/locks.md for the forms");
  }
}
