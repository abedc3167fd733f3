/**
 * Something besides replication that replicas talk about over their links. Its bytes are opaque here, go in
 * order with everything else, and only to peers that have the service, too.
 */
import type { ActorId } from "../crdt/dot.ts";
import type { Link } from "./link.ts";
import { type ServiceMessage, serviceNameBytesMax, servicesMax } from "./message.ts";

/** A peer that has the service, while the link to it stands. */
export interface ServicePeer {
  readonly actor: ActorId;
  /** For people. */
  readonly name: string;
  /** What it understands besides, of the features of this service. */
  readonly features: readonly string[];
  /** At most 16 MiB. False if there is no room, or the link is over: then nothing was sent. */
  send(bytes: Uint8Array): boolean;
}

/** One service. None of its calls may throw, but `received`. */
export interface Service {
  /** The same at both ends. */
  readonly name: string;
  /** What it understands besides what its first version did; peers are told `name/feature`. */
  readonly features?: readonly string[];
  linked(peer: ServicePeer): void;
  unlinked(peer: ServicePeer): void;
  /** The bytes are only there until the next turn. @throws MalformedError for what is not its own: ends the link. */
  received(peer: ServicePeer, bytes: Uint8Array): void;
}

/** The services of one replica, on all its links. */
export class Services {
  readonly #services: ReadonlyMap<string, Service>;
  readonly #peers = new Map<Link, Map<string, ServicePeer>>();
  /** Messages so far, by service. */
  readonly counts: ReadonlyMap<string, { in: number; out: number }>;

  constructor(services: readonly Service[]) {
    this.#services = new Map(services.map((service) => [service.name, service]));
    const { names } = this;
    this.counts = new Map(names.map((name) => [name, { in: 0, out: 0 }]));
    const tooLong = names.find((name) => Buffer.byteLength(name) > serviceNameBytesMax);
    if (tooLong !== undefined || names.length > servicesMax) {
      throw new Error(`assertion: ${names.length} names of services, or a long one`);
    }
  }

  /** What the hello says: services, and behind each its features. Who does not know one passes it over. */
  get names(): string[] {
    return [...this.#services.values()].flatMap(({ name, features = [] }) => [
      name,
      ...features.map((feature) => `${name}/${feature}`),
    ]);
  }

  /** The link streams. */
  started(link: Link): void {
    const { actor, peer: hello } = link;
    if (actor === undefined || hello === undefined || link.isReader) return;
    const peers = new Map<string, ServicePeer>();
    this.#peers.set(link, peers);
    for (const [name, service] of this.#services) {
      if (hello.services?.includes(name) !== true) continue;
      const count = this.counts.get(name);
      const send = (bytes: Uint8Array): boolean => {
        const isSent = link.serve(name, bytes);
        if (isSent && count) count.out++;
        return isSent;
      };
      const features = (service.features ?? []).filter(
        (feature) => hello.services?.includes(`${name}/${feature}`) === true,
      );
      const peer = { actor, name: hello.name, features, send };
      peers.set(name, peer);
      service.linked(peer);
    }
  }

  /** Bytes came. What is for nobody here is passed over. @throws MalformedError */
  served(link: Link, { service, bytes }: ServiceMessage): void {
    const peer = this.#peers.get(link)?.get(service);
    if (peer === undefined) return;
    const count = this.counts.get(service);
    if (count) count.in++;
    this.#services.get(service)?.received(peer, bytes);
  }

  /** The link is over. */
  ended(link: Link): void {
    const peers = this.#peers.get(link);
    this.#peers.delete(link);
    for (const [name, peer] of peers ?? []) this.#services.get(name)?.unlinked(peer);
  }
}
