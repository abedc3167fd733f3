/**
 * The span of a peer's catching up with us, or ours with it: from its hello to the moment when we hold what it
 * held then. It belongs to no call, so it is the root of its trace. Made only if somebody takes spans.
 */
import type { VersionVector } from "../crdt/version-vector.ts";
import type { Span, Tracer } from "../telemetry.ts";
import type { Link } from "./link.ts";
import type { LinkEnd } from "./refusal.ts";

/** A link ended before it was in step. */
class LinkOver extends Error {
  readonly code: string;

  constructor({ code, reason }: LinkEnd) {
    super(reason);
    this.code = code;
  }
}

/** What is asked of a link. */
export type CaughtLink = Pick<Link, "number" | "url" | "target" | "traffic">;

interface CatchingUp {
  readonly span: Span;
  readonly end: () => void;
  readonly fail: (error: Error) => void;
}

/** The links of one replica that are not in step yet. */
export class CatchUps {
  readonly #tracer: Tracer;
  readonly #held: VersionVector;
  /** At most one a link. */
  readonly #links = new Map<CaughtLink, CatchingUp>();

  /** `held` is what this replica holds. */
  constructor(tracer: Tracer, held: VersionVector) {
    this.#tracer = tracer;
    this.#held = held;
  }

  /** The peer's hello is fine. */
  met(link: CaughtLink, peer: { readonly name: string; readonly actor: string }): void {
    const attributes = {
      ...{ "trellis.peer": peer.name, "trellis.actor": peer.actor, "trellis.link": link.number },
      "trellis.dialed": link.url !== undefined,
    };
    const run = (span: Span): Promise<void> =>
      new Promise((end, fail) => {
        this.#links.set(link, { span, end, fail });
      });
    const over = this.#tracer.span("trellis.catch_up", attributes, run, { isRoot: true });
    // The span has the error; the link's end is told elsewhere.
    over.catch(() => undefined);
  }

  /** The two know what they lack. */
  started(link: CaughtLink): void {
    const { target } = link;
    let batches = 0;
    for (const [actor, sequence] of target?.entries() ?? []) {
      batches += Math.max(0, sequence - this.#held.at(actor));
    }
    const catching = this.#links.get(link);
    catching?.span.event("streaming");
    catching?.span.set({ "trellis.batches": batches });
    this.received(link);
  }

  /** There is more than a moment ago. O(actors) until the link is in step, O(1) then. */
  received(link: CaughtLink): void {
    const catching = this.#links.get(link);
    if (!catching || !link.target || !this.#held.covers(link.target)) return;
    this.#close(link, catching);
    catching.end();
  }

  /** The link is over. */
  ended(link: CaughtLink, end: LinkEnd): void {
    const catching = this.#links.get(link);
    if (!catching) return;
    this.#close(link, catching);
    catching.fail(new LinkOver(end));
  }

  #close(link: CaughtLink, { span }: CatchingUp): void {
    this.#links.delete(link);
    const { framesIn, bytesIn, bytesOut } = link.traffic;
    span.set({
      ...{ "trellis.frames_in": framesIn, "trellis.bytes_in": bytesIn },
      "trellis.bytes_out": bytesOut,
    });
  }
}
