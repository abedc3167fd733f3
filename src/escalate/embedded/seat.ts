/**
 * The seat of the lock authority, as one replica sees it: who has it, whether that is this replica, and by
 * which link it is reached if not. What is known of it is on the disk before anything is asked.
 *
 * It is a service of the links (`sync/service.ts` has the same shape) and knows nothing of them but how to
 * send: over a link go standings, requests and answers, also those of others.
 */
import type { Environment, Timer } from "../../environment.ts";
import { UsageError } from "../../errors.ts";
import type { Logger, Telemetry } from "../../telemetry.ts";
import type { TraceContext } from "../../trace-context.ts";
import type { Authority } from "../fence/authority.ts";
import { isCall } from "./authority-codec.ts";
import { answer } from "./authority-host.ts";
import type { Call, Reply } from "./authority-message.ts";
import { type AuthorityRecord, isSeated, keepClaim, readKeptSeat } from "./guard-records.ts";
import { give, take, takePart } from "./handover.ts";
import { type Hosted, hostedAs, type SeatStorage } from "./hosted.ts";
import { type Link, Routes, type SeatPeer, traceFeature } from "./routes.ts";
import { described, unavailable, unreached } from "./refusals.ts";
import {
  type Claim,
  distanceMax,
  isSameClaim,
  isStanding,
  judge,
  readStanding,
  united,
} from "./standing.ts";
import { inItsSpan } from "./traced-call.ts";

/** When a replica claims the seat: at once, when it is asked and has no peers, or never. */
export type Ambition = "at-once" | "alone" | "never";

/** What a seat is made of. */
export interface SeatOptions {
  readonly environment: Environment;
  /** The name of this replica. */
  readonly name: string;
  readonly ambition: Ambition;
  readonly logger: Logger;
  /** Default: silent. */
  readonly telemetry?: Telemetry;
  /** Somebody should see to this. */
  readonly onWarning: (message: string) => void;
}

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

/** How long until a standing is sent again that found no room, in ms. */
const againMs = 1_000;
const howTo =
  "open one replica of the cluster with locks: embeddedLocks({ host: true }), and link this one to it";

/** One replica's part in it. */
export class Seat {
  /** The service's name. */
  readonly name = "locks";
  readonly features: readonly string[] = [traceFeature];
  readonly #options: SeatOptions;
  readonly #routes: Routes;
  readonly #told = new Set<string>();
  #claim: Claim | undefined;
  #rival: Claim | undefined;
  /** What the disk has. */
  #kept: Claim | undefined;
  #keeping: Promise<void> | undefined;
  #hosted: Hosted | undefined;
  /** Why what is hosted here will not serve. */
  #doubt: string | undefined;
  #standing: Promise<void> | undefined;
  #storage: SeatStorage | undefined;
  #again: Timer | undefined;
  #isClosed = false;

  constructor(options: SeatOptions) {
    this.#options = options;
    const { telemetry: { tracer } = {} } = options;
    this.#routes = new Routes(
      (call, hops, from, trace) =>
        inItsSpan(tracer, { call, hops, trace, peer: from.name }, () =>
          this.#asked(call, hops, from, trace),
        ),
      tracer,
    );
  }

  /**
   * Reads what is recorded where this replica is durable, if it is, and claims the seat if that is wanted
   * at once.
   * @throws UsageError the seat is somebody else's; CorruptStorageError; LockUnavailableError when a claim
   * cannot be written.
   */
  async start(storage?: SeatStorage): Promise<void> {
    this.#storage = storage;
    const kept = storage && (await readKeptSeat(storage.engine));
    const { claim, authority } = kept ?? {};
    this.#claim = claim;
    this.#kept = claim;
    if (kept && claim && authority && isSeated(kept)) await this.#return(claim, authority);
    if (this.#options.ambition !== "at-once" || (claim && this.#isOurs(claim))) return;
    if (!claim) return this.#stand();
    throw new UsageError(
      `locks: the lock authority of this cluster is ${described(claim)}; this replica cannot be, ` +
        "too. Open it with embeddedLocks(), without host, or move the part: trellis authority move",
    );
  }

  /** It is here already. A disk that refuses now is no reason not to open. */
  async #return(claim: Claim, { birth, generation, epoch }: AuthorityRecord): Promise<void> {
    const { logger, name: host } = this.#options;
    const hosted = this.#hostedAs(birth, generation);
    this.#hosted = hosted;
    this.#claim = { ...claim, host, generation, epoch: Math.max(claim.epoch, epoch) };
    try {
      this.#doubt = await hosted.doubt();
      // Who answers for it is above every copy before any of them is heard of.
      if (this.#storage?.isExclusive === true) await this.#begin(hosted);
    } catch (error) {
      this.#doubt ??= error instanceof Error ? error.message : String(error);
    }
    if (this.#doubt === undefined) return;
    const fields = { code: "lock-authority", reason: this.#doubt };
    logger.error(fields, "this replica is the lock authority, and does not serve");
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
    const isHost = this.#isOurs(this.#claim);
    const isNear = isHost
      ? this.#doubt === undefined
      : this.#routes.next(this.#claim) !== undefined;
    const isServing = !this.#rival && isNear;
    return { authority, host, isDurable, isHost, isServing };
  }

  /** Whom to ask now. @throws LockUnavailableError */
  async authority(): Promise<Authority> {
    if (!this.#claim && this.#options.ambition === "alone" && this.#routes.size === 0) {
      await this.#stand();
    }
    await this.#recorded();
    const claim = this.#undisputed();
    if (this.#isOurs(claim)) return this.#serving();
    const link = this.#routes.next(claim);
    if (link) return link.remote;
    throw unreached(claim);
  }

  // As a service of the links.

  linked(peer: SeatPeer): void {
    this.#routes.linked(peer);
    this.#tell();
  }

  unlinked(peer: SeatPeer): void {
    this.#routes.unlinked(peer);
    this.#tell();
  }

  /** @throws MalformedError */
  received(peer: SeatPeer, bytes: Uint8Array): void {
    const link = this.#routes.of(peer);
    if (!link) return;
    if (isStanding(bytes)) this.#heard(link, bytes);
    else if (isCall(bytes)) link.host.received(bytes);
    else link.remote.received(bytes);
  }

  /**
   * Takes the part from who has it, over a direct link; again after a crash.
   * @throws UsageError without storage; LockUnavailableError when nobody gives it; StorageError.
   */
  async takeOver(): Promise<Claim> {
    const storage = this.#storage;
    if (!storage) throw new UsageError("only a replica with storage can take the lock authority");
    if (this.#claim && this.#isOurs(this.#claim)) return this.#claim;
    // One that was overruled. Its last write is not to come after what is taken.
    await this.#hosted?.close();
    this.#hosted = undefined;
    const links = this.#routes.links().map(({ remote }) => remote);
    const { environment, name } = this.#options;
    const claim = await takePart(links, { engine: storage.engine, environment, name });
    this.#hosted = this.#hostedAs(claim.authority, claim.generation);
    this.#kept = claim;
    this.#adopt(claim);
    this.#tell();
    return claim;
  }

  /** What it asks who is to have the part. */
  async #handed(call: Extract<Call, { kind: "give" | "take" }>): Promise<Reply> {
    const engine = this.#storage?.engine;
    if (call.kind === "take") return take(call, engine);
    const isOurs = this.#claim !== undefined && this.#isOurs(this.#claim) && !this.#rival;
    const hosted = isOurs ? (await this.#serving(), this.#hosted?.durable) : undefined;
    const given = await give(call, engine, hosted);
    if (isOurs) {
      this.#hosted = undefined;
      this.#kept = given.claim;
      this.#adopt(given.claim);
      this.#tell();
    }
    return given;
  }

  /** What a peer asks: of the authority that is here, or of who is nearer to it. */
  async #asked(
    call: Call,
    hops: number,
    from: SeatPeer,
    trace: TraceContext | undefined,
  ): Promise<Reply> {
    if (call.kind === "give" || call.kind === "take") return this.#handed(call);
    const claim = this.#undisputed();
    if (this.#isOurs(claim)) return answer(await this.#serving(), call);
    const link = this.#routes.next(claim, from);
    if (!link || hops + 1 >= distanceMax) throw unreached(claim);
    return link.remote.ask(call, hops + 1, trace);
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
    const hosted = this.#hosted ?? this.#hostedAs(undefined, 0);
    const authority = await hosted.authority.birth();
    const started = hosted.start() ?? { generation: 0, epoch: 0 };
    this.#hosted = { ...hosted, id: authority, generation: started.generation, hasBegun: true };
    this.#claim ??= {
      ...{ authority, host: this.#options.name, replaces: [] },
      ...started,
      ...{ isDurable: this.#storage !== undefined, isEstablished: false },
    };
    await this.#recorded();
    this.#tell();
  }

  #heard(link: Link, bytes: Uint8Array): void {
    const standing = readStanding(bytes);
    link.standing = standing;
    const { claim, rival, distance } = standing;
    const { name } = link.peer;
    if (claim) this.#judge(claim, name, distance === 0);
    if (rival) this.#judge(rival, name, false);
    if (claim && this.#isOurs(claim) && distance === 0) this.#copied(claim);
    if (claim && rival && judge(claim, rival) === "same") this.#copied(claim);
    this.#tell();
  }

  /** `isHost`: who says so claims the part. */
  #judge(heard: Claim, from: string, isHost: boolean): void {
    const recorded = this.#claim;
    switch (judge(recorded, heard)) {
      case "same":
        if (!recorded) break;
        // An epoch of ours that we have not drawn: somebody goes on from a copy, or we were set back.
        if (this.#isOurs(heard) && heard.epoch > recorded.epoch) this.#copied(recorded);
        else if (!isSameClaim(recorded, united(recorded, heard))) {
          this.#adopt(united(recorded, heard));
        }
        break;
      case "adopt":
        if (recorded && (recorded.authority !== heard.authority || this.#isOurs(recorded))) {
          this.#warn(recorded, heard, from);
        }
        this.#adopt(heard);
        break;
      case "keep":
        // Who only has not heard yet that the part was moved hears it now.
        if (recorded && (isHost || recorded.authority !== heard.authority)) {
          this.#warn(heard, recorded, from);
        }
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
    if (this.#rival || !this.#claim || judge(this.#claim, claim) !== "same") return;
    this.#rival = claim;
    this.#say(
      `the lock authority ${described(claim)} runs twice, from a copy of its directory: none serves`,
    );
  }

  #adopt(claim: Claim): void {
    this.#claim = claim;
    // One that was moved, or put in the place of both, ends their dispute.
    if (this.#rival && judge(claim, this.#rival) === "keep") this.#rival = undefined;
    this.#recorded().catch((error: unknown) => {
      this.#options.logger.error({ err: error }, "who is the lock authority cannot be recorded");
    });
  }

  #warn(refused: Claim, standing: Claim, from: string): void {
    const whose =
      refused.authority === this.#hosted?.id ? "our claim to be" : "another claim to be";
    const which = `${refused.authority} ${refused.generation}`;
    if (this.#told.has(which)) return;
    this.#told.add(which);
    this.#say(
      `${whose} the lock authority is refused (${described(refused)}): it is ${described(standing)} ` +
        `(seen on the link to ${from})`,
    );
  }

  #say(message: string): void {
    const fields = { code: "lock-authority", reason: message };
    this.#options.logger.error(fields, "who is the lock authority is in question");
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

  #hostedAs(id: string | undefined, generation: number): Hosted {
    return hostedAs({ id, generation }, this.#options.environment, this.#storage);
  }

  /** That is what is hosted here. */
  #isOurs({ authority, generation }: Claim): boolean {
    return authority === this.#hosted?.id && generation === this.#hosted.generation;
  }

  /** Ours, if it has the seat. That it was asked is known to all who ask whether another may have it. */
  async #serving(): Promise<Authority> {
    const claim = this.#undisputed();
    if (!this.#hosted || !this.#isOurs(claim)) {
      throw unavailable(`this replica is not the lock authority; it is ${described(claim)}`);
    }
    if (!this.#hosted.hasBegun) {
      await this.#begin(this.#hosted);
      return this.#serving();
    }
    if (!claim.isEstablished) {
      this.#claim = { ...claim, isEstablished: true };
      this.#tell();
    }
    await this.#recorded();
    return this.#isOurs(this.#undisputed()) ? this.#hosted.authority : this.#serving();
  }

  /** Lets it begin, and tells who it is from now on. @throws LockUnavailableError */
  async #begin(hosted: Hosted): Promise<void> {
    await hosted.authority.birth();
    if (this.#hosted !== hosted) return;
    const { generation, epoch } = hosted.start() ?? { generation: hosted.generation, epoch: 0 };
    const claim = this.#claim;
    if (claim && this.#isOurs(claim)) this.#claim = { ...claim, generation, epoch };
    this.#hosted = { ...hosted, generation, hasBegun: true };
    this.#doubt = undefined;
    this.#tell();
  }

  /** Tells all peers what they do not know yet. */
  #tell(): void {
    if (this.#isClosed || !this.#claim) return;
    const [claim, rival] = [this.#claim, this.#rival];
    if (this.#routes.tell({ claim, rival }, this.#isOurs(claim))) return;
    this.#again?.cancel();
    this.#again = this.#options.environment.schedule(againMs, () => this.#tell());
  }
}
