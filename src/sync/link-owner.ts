/** Who a link belongs to, and what the two say to each other. */
import type { Received } from "../store/exchange.ts";
import type { Stage } from "../store/stage.ts";
import type { Attendant } from "./attendant.ts";
import type { Link } from "./link.ts";
import type { Greeting, Hello, ServiceMessage } from "./message.ts";
import type { Acquaintance, LinkEnd } from "./refusal.ts";

/** What a link asks and tells. None of these may throw, but `served`. */
export interface LinkOwner {
  /** What to tell of ourselves, now. */
  greeting(link: Link): Greeting;
  /** What to judge a hello by. */
  acquaintance(hello: Hello): Acquaintance;
  /** Whether the link may go on with this peer, and what was staged of its series before. */
  meet(link: Link, hello: Hello): Admission;
  /** The link streams now. */
  started(link: Link): void;
  /** Frames were acknowledged. */
  acknowledgedMore(link: Link): void;
  /** A frame was taken in. */
  received(link: Link, received: Received): void;
  /** Bytes of a service came. @throws MalformedError for what is none: that ends the link. */
  served(link: Link, message: ServiceMessage): void;
  /** The link is over; called once. `stage` is what it leaves of a series of the peer's. */
  ended(link: Link, end: LinkEnd, stage: Stage | undefined): void;
  /** The connection under an ended link is gone, too; called once. */
  gone(link: Link): void;
}

/** Whether a link may go on. */
export type Admission =
  | {
      readonly kind: "admitted";
      readonly stage: Stage | undefined;
      /** Who answers the peer, if it only observes. */
      readonly attendant?: Attendant;
    }
  | { readonly kind: "refused"; readonly end: LinkEnd };
