/**
 * The seat of the lock authority, as one replica sees it: who has it, whether that is this replica, and by
 * which link it is reached if not. What is known of it is on the disk before anything is asked.
 *
 * It is a service of the links (`sync/service.ts` has the same shape) and knows nothing of them but how to
 * send: over a link go standings, requests and answers. Only a direct link to the host counts.
 */
import type { Environment, Timer } from "../../environment.ts";
import { LockUnavailableError, UsageError } from "../../errors.ts";
import type { Logger } from "../../telemetry.ts";
import type { Authority } from "../fence/authority.ts";
import { GuardTable } from "../fence/guard-table.ts";
import { isCall } from "./authority-codec.ts";
import { AuthorityHost } from "./authority-host.ts";
import { DurableAuthority, type DurableAuthorityOptions } from "./durable-authority.ts";
import { keepClaim, readKeptSeat } from "./guard-records.ts";
import { RemoteAuthority } from "./remote-authority.ts";
import { type Claim, isStanding, judge, readStanding, writeStanding } from "./standing.ts";

/** A peer at the other end of a link that stands. */
export interface SeatPeer {
  readonly name: string;
  /** False if nothing was sent. */
  send(bytes: Uint8Array): boolean;
}

/** When a replica claims the seat: at once, when it is asked and has no peers, or never. */
export type Ambition = "at-once" | "alone" | "never";

/** What a seat is made of. */
export interface SeatOptions {
  readonly environment: Environment;
  /** The name of this replica. */
  readonly name: string;
  readonly ambition: Ambition;
  readonly logger: Logger;
  /** Somebody should see to this. */
  readonly onWarning: (message: string) => void;
}

/** Where the replica is durable, and who else knows how new that is. */
export type SeatStorage = Omit<DurableAuthorityOptions, "environment">;

/** What is known of the authority. */
export interface SeatStatus {
  /** The birth id of its store. */
  readonly authority: string;
  /** The name of the replica that hosts it. */
  readonly host: string;
  readonly isDurable: boolean;
  /** That is this replica. */
  readonly isHost: boolean;
  /** It can be asked from here, and no other claims the part. */
  readonly isServing: boolean;
}

interface Link {
  readonly peer: SeatPeer;
  readonly host: AuthorityHost;
  readonly remote: RemoteAuthority;
  /** The authority that is hosted at the other end. */
  hosts: string | undefined;
}

/** An authority of this process. */
interface Hosted {
  readonly authority: Authority;
  readonly id: string | undefined;
  readonly close: () => Promise<void>;
}

/** How long until a standing is sent again that found no room, in ms. */
const againMs = 1_000;
const howTo =
  "open one replica of the cluster with locks: embeddedLocks({ host: true }), and link this one to it";

/** One replica's part in it. */
export class Seat {
  /** The service's name. */
  readonly name = "locks";
  readonly #options: SeatOptions;
  readonly #links = new Map<SeatPeer, Link>();
  readonly #told = new Set<string>();
  #claim: Claim | undefined;
  #rival: Claim | undefined;
  /** What the disk has. */
  #kept: Claim | undefined;
  #keeping: Promise<void> | undefined;
  #hosted: Hosted | undefined;
  #standing: Promise<void> | undefined;
  #storage: SeatStorage | undefined;
  #again: Timer | undefined;
  #isClosed = false;

  constructor(options: SeatOptions) {
    this.#options = options;
  }

  /**
   * Reads what is recorded where this replica is durable, if it is, and claims the seat if that is wanted
   * at once.
   * @throws UsageError the seat is somebody else's; CorruptStorageError; LockUnavailableError when a claim
   * cannot be written.
   */
  async start(storage?: SeatStorage): Promise<void> {
    const { ambition } = this.#options;
    this.#storage = storage;
    const { claim, authority } = storage ? await readKeptSeat(storage.engine) : {};
    const birth = authority?.birth;
    this.#claim = claim;
    this.#kept = claim;
    // A disk that refuses now is no reason not to open.
    if (claim && claim.authority === birth) this.#hosted = this.#hostedAs(birth);
    else if (claim && ambition === "at-once") {
      throw new UsageError(
        `locks: the lock authority of this cluster is ${described(claim)}; this replica cannot be, ` +
          "too. Open it with embeddedLocks(), without host",
      );
    }
    if (!claim && ambition === "at-once") await this.#stand();
  }

  /** What the authority in reach promises; the least, while none is known. */
  get fencing(): "durable" | "until-restart" {
    const mayHost = this.#options.ambition !== "never";
    const isDurable = this.#claim?.isDurable ?? (mayHost && this.#storage !== undefined);
    return isDurable ? "durable" : "until-restart";
  }

  /** What to show; undefined while no authority is known. */
  get status(): SeatStatus | undefined {
    if (!this.#claim) return undefined;
    const { authority, host, isDurable } = this.#claim;
    const isHost = authority === this.#hosted?.id;
    const isLinked = [...this.#links.values()].some(({ hosts }) => hosts === authority);
    const isServing = !this.#rival && (isHost || isLinked);
    return { authority, host, isDurable, isHost, isServing };
  }

  /** Whom to ask now. @throws LockUnavailableError */
  async authority(): Promise<Authority> {
    if (!this.#claim && this.#options.ambition === "alone" && this.#links.size === 0) {
      await this.#stand();
    }
    await this.#recorded();
    const claim = this.#undisputed();
    if (claim.authority === this.#hosted?.id) return this.#serving();
    for (const { hosts, remote } of this.#links.values()) {
      if (hosts === claim.authority) return remote;
    }
    throw unavailable(`the lock authority is ${described(claim)}, and no link to it stands`);
  }

  // As a service of the links.

  linked(peer: SeatPeer): void {
    const send = (bytes: Uint8Array): boolean => peer.send(bytes);
    const host = new AuthorityHost(() => this.#serving(), send);
    this.#links.set(peer, { peer, host, remote: new RemoteAuthority(send), hosts: undefined });
    this.#tell(peer);
  }

  unlinked(peer: SeatPeer): void {
    const link = this.#links.get(peer);
    this.#links.delete(peer);
    link?.remote.end();
  }

  /** @throws MalformedError */
  received(peer: SeatPeer, bytes: Uint8Array): void {
    const link = this.#links.get(peer);
    if (!link) return;
    if (isStanding(bytes)) this.#heard(link, bytes);
    else if (isCall(bytes)) link.host.received(bytes);
    else link.remote.received(bytes);
  }

  /** Resolves when what is hosted here is at rest. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#again?.cancel();
    await this.#standing?.catch(() => undefined);
    await this.#hosted?.close();
    await this.#keeping?.catch(() => undefined);
  }

  // Claims.

  /** Claims the seat. @throws LockUnavailableError, and may be called again. */
  #stand(): Promise<void> {
    this.#standing ??= this.#standUp().finally(() => {
      this.#standing = undefined;
    });
    return this.#standing;
  }

  async #standUp(): Promise<void> {
    const hosted = this.#hosted ?? this.#hostedAs(undefined);
    const authority = await hosted.authority.birth();
    this.#hosted = { ...hosted, id: authority };
    this.#claim ??= {
      ...{ authority, host: this.#options.name },
      ...{ isDurable: this.#storage !== undefined, isEstablished: false },
    };
    await this.#recorded();
    this.#tellAll();
  }

  #heard(link: Link, bytes: Uint8Array): void {
    const { claim, rival, isHost } = readStanding(bytes);
    link.hosts = isHost ? claim?.authority : undefined;
    const before = [this.#claim, this.#rival];
    if (claim) this.#judge(claim, link.peer.name);
    if (rival) this.#judge(rival, link.peer.name);
    const isOurs = claim !== undefined && claim.authority === this.#hosted?.id;
    if (claim && ((isHost && isOurs) || rival?.authority === claim.authority)) this.#copied(claim);
    if (before[0] === this.#claim && before[1] === this.#rival) return;
    this.#tellAll();
  }

  #judge(heard: Claim, from: string): void {
    const recorded = this.#claim;
    switch (judge(recorded, heard)) {
      case "same":
        if (heard.isEstablished && recorded?.isEstablished !== true) this.#adopt(heard);
        break;
      case "adopt":
        this.#adopt(heard);
        if (recorded) this.#warn(recorded, heard, from);
        break;
      case "keep":
        if (recorded) this.#warn(heard, recorded, from);
        break;
      case "dispute":
        if (this.#rival || !recorded) break;
        this.#rival = heard;
        this.#say(
          `two lock authorities were asked in one cluster, ${described(recorded)} and ` +
            `${described(heard)} (${from} says): none of them serves until one is gone`,
        );
        break;
    }
  }

  /** Two processes have one store: a directory was copied. */
  #copied(claim: Claim): void {
    if (this.#rival || claim.authority !== this.#claim?.authority) return;
    this.#rival = claim;
    this.#say(
      `the lock authority ${described(claim)} runs twice, from a copy of its directory: none serves`,
    );
  }

  #adopt(claim: Claim): void {
    this.#claim = claim;
    this.#recorded().catch((error: unknown) => {
      this.#options.logger.error({ err: error }, "who is the lock authority cannot be recorded");
    });
  }

  #warn(refused: Claim, standing: Claim, from: string): void {
    const whose =
      refused.authority === this.#hosted?.id ? "our claim to be" : "another claim to be";
    if (this.#told.has(refused.authority)) return;
    this.#told.add(refused.authority);
    this.#say(
      `${whose} the lock authority is refused (${described(refused)}): it is ${described(standing)} ` +
        `(seen on the link to ${from})`,
    );
  }

  #say(message: string): void {
    this.#options.logger.error({}, message);
    this.#options.onWarning(message);
  }

  /** Resolves when what is known is on the disk. @throws LockUnavailableError */
  async #recorded(): Promise<void> {
    const storage = this.#storage;
    if (!storage) return;
    while (this.#claim && this.#kept !== this.#claim) {
      this.#keeping ??= this.#keep(storage, this.#claim).finally(() => {
        this.#keeping = undefined;
      });
      await this.#keeping;
    }
  }

  async #keep({ engine }: SeatStorage, claim: Claim): Promise<void> {
    try {
      await keepClaim(engine, claim);
      this.#kept = claim;
    } catch (error) {
      throw unavailable("who is the lock authority could not be recorded", error);
    }
  }

  #undisputed(): Claim {
    if (this.#isClosed) throw unavailable("the replica is closed");
    if (!this.#claim) throw unavailable(`no lock authority is known: ${howTo}`);
    if (!this.#rival) return this.#claim;
    const both = `${described(this.#claim)} and ${described(this.#rival)}`;
    throw unavailable(`two lock authorities claim the cluster, ${both}; none of them serves`);
  }

  // The authority of this process.

  /** Of the id that is on the disk; it is drawn when it is asked for, if there is none. */
  #hostedAs(id: string | undefined): Hosted {
    const { environment } = this.#options;
    if (this.#storage) {
      const authority = new DurableAuthority({ ...this.#storage, environment });
      return { authority, id, close: () => authority.close() };
    }
    const table = new GuardTable(environment);
    return { authority: table, id, close: async () => table.stop() };
  }

  /** Ours, if it has the seat. That it was asked is known to all who ask whether another may have it. */
  async #serving(): Promise<Authority> {
    const hosted = this.#hosted;
    const claim = this.#undisputed();
    if (claim.authority !== hosted?.id) {
      throw unavailable(`this replica is not the lock authority; it is ${described(claim)}`);
    }
    if (!claim.isEstablished) {
      this.#claim = { ...claim, isEstablished: true };
      this.#tellAll();
    }
    await this.#recorded();
    if (this.#undisputed().authority !== hosted.id) return this.#serving();
    return hosted.authority;
  }

  // Telling.

  #tellAll(): void {
    for (const { peer } of this.#links.values()) this.#tell(peer);
  }

  #tell(peer: SeatPeer): void {
    if (this.#isClosed || !this.#claim) return;
    const [claim, rival] = [this.#claim, this.#rival];
    const isHost = claim !== undefined && claim.authority === this.#hosted?.id;
    if (peer.send(writeStanding({ claim, rival, isHost }))) return;
    this.#again?.cancel();
    this.#again = this.#options.environment.schedule(againMs, () => this.#tellAll());
  }
}

const described = ({ host, authority }: Claim): string => `${host} (${authority.slice(0, 8)})`;

const unavailable = (why: string, cause?: unknown): LockUnavailableError =>
  new LockUnavailableError(why, {
    backend: "embedded",
    ...(cause === undefined ? {} : { cause }),
  });
