/** The ways in for connections that ask to be upgraded: that of links, and routes. Each has places of its own. */
import type { Duplex } from "node:stream";
import type { Route } from "../door.ts";
import { UsageError } from "../errors.ts";

/** One way in. */
export class Way {
  /** Undefined: that of links. */
  readonly route: Route | undefined;
  readonly #left: () => number;
  /** Who is not decided upon yet. */
  readonly #deciding = new Set<Duplex>();
  /** Who came in by the route. */
  readonly #inside = new Set<Duplex>();

  /** `left` says how many more may come in besides those who are not decided upon. */
  constructor(route: Route | undefined, left?: () => number) {
    this.route = route;
    this.#left = left ?? (() => (route?.connectionsMax ?? 0) - this.#inside.size);
  }

  get hasRoom(): boolean {
    return this.#left() > this.#deciding.size;
  }

  /** One is being judged, until `decided`. */
  deciding(socket: Duplex): void {
    this.#deciding.add(socket);
  }

  decided(socket: Duplex): void {
    this.#deciding.delete(socket);
  }

  /** Holds a place until it is over. */
  entered(socket: Duplex): void {
    this.#inside.add(socket);
    socket.once("close", () => this.#inside.delete(socket));
  }

  destroy(): void {
    for (const socket of [...this.#deciding, ...this.#inside]) socket.destroy();
  }
}

/** Where a URL leads. */
export interface Destination {
  readonly way: Way;
  /** Undefined: it cannot be decoded. */
  readonly path: string | undefined;
}

/** All ways of one door. */
export class Ways {
  readonly #links: Way;
  readonly #routes = new Map<string, Way>();

  /** `linksLeft` says how many more links may come in. */
  constructor(linksLeft: () => number) {
    this.#links = new Way(undefined, linksLeft);
  }

  /** @throws UsageError for a segment that has a way */
  add(route: Route): void {
    if (this.#routes.has(route.segment)) {
      throw new UsageError(`there is a route for /${route.segment} already`);
    }
    this.#routes.set(route.segment, new Way(route));
  }

  /** Whatever leads nowhere else is for links. */
  of(url: string): Destination {
    const [, segment = "", rest = ""] = /^\/([^/?#]*)(?:\/([^?#]*))?/u.exec(url) ?? [];
    const way = this.#routes.get(segment);
    return way ? { way, path: decoded(rest) } : { way: this.#links, path: "" };
  }

  destroy(): void {
    this.#links.destroy();
    for (const way of this.#routes.values()) way.destroy();
  }
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
