/**
 * Links to those who only ask: they take no part in anything, and nothing of them is remembered. Nobody
 * waits for them, and no removal is kept for them.
 */
import type { Environment } from "../environment.ts";
import type { Keyspace } from "../store/keyspace.ts";
import { Acquaintances } from "./acquaintances.ts";
import { Attendant } from "./attendant.ts";
import type { DigestedVector } from "./digest.ts";
import type { Greeter } from "./greeter.ts";
import type { Link } from "./link.ts";
import type { Admission } from "./link-owner.ts";
import type { Members } from "./members.ts";
import type { PeerMemory } from "./peer-memory.ts";
import { broken } from "./refusal.ts";

/** Observers at a time: each may have the keys of a collection sorted in memory. */
export const observersMax = 4;

/** Who is observed. */
export interface ObserversOptions {
  readonly keyspace: Keyspace;
  readonly environment: Environment;
  readonly greeter: Greeter;
  readonly members: Members;
  readonly memory: PeerMemory;
}

/** The observers of one replica. */
export class Observers {
  readonly #options: ObserversOptions;
  readonly #links = new Set<Link>();

  constructor(options: ObserversOptions) {
    this.#options = options;
  }

  /** Whether a link to one may go on; then it is none of `links` any more. */
  admit(link: Link, links: Set<Link>): Admission {
    if (link.url !== undefined) {
      return { kind: "refused", end: broken("who is dialed is to be a replica") };
    }
    if (this.#links.size >= observersMax) {
      const reason = `${observersMax} others observe already`;
      return { kind: "refused", end: { code: "overloaded", reason, by: "us" } };
    }
    links.delete(link);
    this.#links.add(link);
    return { kind: "admitted", stage: undefined, attendant: this.#attendant() };
  }

  /** Says goodbye to all. */
  leave(): void {
    for (const link of [...this.#links]) link.endWhenDone();
  }

  /** The link is over. Returns whether it was to an observer. */
  ended(link: Link): boolean {
    return this.#links.delete(link);
  }

  #attendant(): Attendant {
    const { keyspace, environment, greeter } = this.#options;
    const acquaintances = new Acquaintances(this.#options);
    const vector = (): DigestedVector => {
      keyspace.flush();
      return greeter.vector();
    };
    return new Attendant({ keyspace, environment, acquaintances, vector });
  }
}
