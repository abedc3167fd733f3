/** The replicas that this one knows: itself, those it was told to dial, and those that are connected. */
import type { ActorId } from "../crdt/dot.ts";
import type { VersionVector } from "../crdt/version-vector.ts";
import type { Dialer } from "./dialer.ts";
import type { Link } from "./link.ts";
import type { Stranger } from "./peer-memory.ts";
import { type PeerView, peerView, strangerView } from "./peer-view.ts";

/** Who there is besides us, as the links and dialers of one replica tell. */
export class Members {
  readonly #held: VersionVector;
  readonly #links: ReadonlySet<Link>;
  readonly #dialers: ReadonlyMap<string, Dialer>;

  /** `held` is our vector; links that are over are not in `links`. */
  constructor(held: VersionVector, links: ReadonlySet<Link>, dialers: ReadonlyMap<string, Dialer>) {
    this.#held = held;
    this.#links = links;
    this.#dialers = dialers;
  }

  /** The link to that peer that is past its hello. O(links). */
  link(actor: ActorId): Link | undefined {
    for (const link of this.#links) if (link.actor === actor) return link;
    return undefined;
  }

  /** The link to a configured peer, whoever dialed. */
  linkOf(dialer: Dialer): Link | undefined {
    return dialer.link ?? (dialer.actor && this.link(dialer.actor));
  }

  /** This replica, its configured peers, and those that are connected and may write, each once. */
  get count(): number {
    const actors = new Set<ActorId>();
    let unknown = 0;
    for (const dialer of this.#configured()) {
      if (dialer.actor === undefined) unknown++;
      else actors.add(dialer.actor);
    }
    for (const link of this.#links) {
      if (link.acknowledged && link.actor && !link.isReader) actors.add(link.actor);
    }
    return 1 + unknown + actors.size;
  }

  /** Whether anybody hears of what is written. */
  get isLinked(): boolean {
    for (const { known } of this.#links) if (known) return true;
    return false;
  }

  /**
   * Configured peers first, in their order, then those that dialed us, then `strangers` that were refused
   * lately. O(peers x actors).
   */
  views(strangers: readonly Stranger[]): PeerView[] {
    const shown = new Set<Link>();
    const views: PeerView[] = [];
    for (const dialer of this.#dialers.values()) {
      const link = this.linkOf(dialer);
      if (link) shown.add(link);
      views.push(peerView(link, dialer));
    }
    for (const link of this.#links) if (!shown.has(link)) views.push(peerView(link, undefined));
    return [...views, ...strangers.map(strangerView)];
  }

  /** Whether every configured peer has brought us to what it held when its link began. */
  get isSynced(): boolean {
    for (const dialer of this.#configured()) {
      const reached = this.linkOf(dialer)?.target ?? dialer.reached;
      if (reached === undefined || !this.#held.covers(reached)) return false;
    }
    return true;
  }

  /** What each connected peer has as safely as it can: on its disk if it has one. O(links). */
  kept(): VersionVector[] {
    return [...this.#links].flatMap(({ kept }) => kept ?? []);
  }

  /** What each connected peer holds for certain. O(links). */
  held(): VersionVector[] {
    return [...this.#links].flatMap(({ acknowledged }) => acknowledged ?? []);
  }

  /**
   * Whether a batch may still come of an actor that writes no more: somebody says that it has it, or is
   * away. `actor` is undefined for one that nobody has named. O(links).
   */
  mayBring(actor: number | undefined, sequence: number): boolean {
    for (const dialer of this.#configured()) {
      if (this.linkOf(dialer)?.known === undefined) return true;
    }
    if (actor === undefined) return false;
    return [...this.#links].some(
      ({ known, isReader }) => !isReader && known !== undefined && known.at(actor) >= sequence,
    );
  }

  *#configured(): Generator<Dialer> {
    for (const dialer of this.#dialers.values()) if (!dialer.isSelf) yield dialer;
  }
}
