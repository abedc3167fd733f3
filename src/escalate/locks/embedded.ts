/**
 * Guards that one replica of the cluster keeps for all, where its own state is: on its disk if it has one.
 * The others reach it over the sync links. It is one node: while it is away escalated operations fail, and
 * all others go on.
 */
import { type Environment, systemEnvironment } from "../../environment.ts";
import { LockUnavailableError, UsageError } from "../../errors.ts";
import type { Seat } from "../embedded/seat.ts";
import type { Claim } from "../embedded/standing.ts";
import type { Authority } from "../fence/authority.ts";
import { AuthorityClient } from "../fence/authority-client.ts";
import type { LockBackend, LockGuarantees } from "../locks.ts";

/** How to open. */
export interface EmbeddedLocksOptions {
  /** Makes the replica that this is given to the lock authority of its cluster. There may be one. */
  readonly host?: boolean;
  /** Before every resource. Default `trellis/`. */
  readonly prefix?: string;
  /** Clocks, timers and randomness, for tests: those of the replica. */
  readonly environment?: Environment;
  /** How long one answer of the authority may take, in ms. Default 2,000. */
  readonly answerMs?: number;
}

/** The authority that has the seat now, whoever that is. */
class Seated implements Authority {
  seat: Seat | undefined;
  /** Guards that may be forgotten are not enough. */
  needsDurable = false;

  readonly birth: Authority["birth"] = async () => (await this.#now()).birth();
  readonly open: Authority["open"] = async (request) => (await this.#now()).open(request);
  readonly turn: Authority["turn"] = async (request) => (await this.#now()).turn(request);
  readonly cancel: Authority["cancel"] = async (request) => (await this.#now()).cancel(request);
  readonly renew: Authority["renew"] = async (request) => (await this.#now()).renew(request);
  readonly read: Authority["read"] = async (request) => (await this.#now()).read(request);
  readonly commit: Authority["commit"] = async (request) => (await this.#now()).commit(request);
  readonly compareAndSet: Authority["compareAndSet"] = async (request) =>
    (await this.#now()).compareAndSet(request);
  readonly operate: NonNullable<Authority["operate"]> = async (request) => {
    const authority = await this.#now();
    if (!authority.operate) throw unavailable("this lock authority cannot operate");
    return authority.operate(request);
  };

  async #now(): Promise<Authority> {
    if (!this.seat) throw unavailable("these locks were not given to a replica yet");
    const authority = await this.seat.authority();
    if (this.needsDurable && this.seat.fencing !== "durable") {
      throw unavailable(
        "the lock authority keeps its guards in memory only, and this schema has rules that must always " +
          "hold: open its replica with storage, or accept it with weakFence: true; nothing was done",
      );
    }
    return authority;
  }
}

/** What `embeddedLocks` returns: for the replica that takes it. */
export class EmbeddedLocks extends AuthorityClient {
  /** This replica is to be the authority. */
  readonly isHost: boolean;
  readonly #seated: Seated;

  constructor(options: EmbeddedLocksOptions) {
    const { prefix = "trellis/", environment = systemEnvironment, answerMs = 2_000 } = options;
    const seated = new Seated();
    const guarantees: LockGuarantees = {
      /** As far as it is known who the authority is. */
      get fencing() {
        return seated.seat?.fencing ?? "until-restart";
      },
      faultTolerant: false,
      atomicCommits: true,
    };
    super({ name: "embedded", guarantees, authority: seated, environment, prefix, answerMs });
    this.isHost = options.host === true;
    this.#seated = seated;
  }

  /** Takes the part of the lock authority from who has it. @throws see `Seat.takeOver` */
  async takeOver(): Promise<Claim> {
    if (!this.#seated.seat) throw unavailable("these locks were not given to a replica yet");
    return this.#seated.seat.takeOver();
  }

  /**
   * A replica took them. `needsDurable`: it has rules that do not rest on what may be forgotten.
   * @throws UsageError if another one has them.
   */
  attach(seat: Seat, needsDurable: boolean): void {
    if (this.#seated.seat) throw new UsageError("locks: another replica has these embeddedLocks()");
    this.#seated.seat = seat;
    this.#seated.needsDurable = needsDurable;
  }

  /** From now on there are such rules, though the schema had none. */
  needDurable(): void {
    this.#seated.needsDurable = true;
  }
}

/**
 * A lock backend whose store is a replica. It works once a replica was opened with it as `locks`, and is
 * disposed of when that closes.
 */
export const embeddedLocks = (options: EmbeddedLocksOptions = {}): LockBackend =>
  new EmbeddedLocks(options);

const unavailable = (why: string): LockUnavailableError =>
  new LockUnavailableError(why, { backend: "embedded" });
