/** What we say of ourselves, and what we judge others by. */
import type { Environment } from "../environment.ts";
import { frameVersion } from "../store/frame.ts";
import type { Keyspace } from "../store/keyspace.ts";
import { digest, type DigestedVector, type Entry, inActorOrder } from "./digest.ts";
import { type Greeting, type Hello, nonceBytes, protocolVersions } from "./message.ts";
import { questionsKnown } from "./question.ts";
import type { Acquaintance } from "./refusal.ts";

/** Nonces that are remembered. */
const noncesMax = 4_096;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** Who greets. */
export interface GreeterOptions {
  readonly keyspace: Keyspace;
  readonly environment: Environment;
  readonly name: string;
  readonly isDurable: boolean;
  readonly skewMsMax: number;
  /** Names of our services. */
  readonly services: readonly string[];
}

interface Snapshot extends DigestedVector {
  readonly changes: number;
}

/** Says hello for one replica. */
export class Greeter {
  readonly #options: GreeterOptions;
  /** The nonces that we drew, the latest ones: so we know ourselves when we meet. */
  readonly #nonces = new Set<string>();
  #snapshot: Snapshot | undefined;

  constructor(options: GreeterOptions) {
    this.#options = options;
  }

  /**
   * A hello for one of our links, and the vector that it speaks of; to one who may only read we offer
   * no services. O(actors) when that moved.
   */
  greet({
    number: link,
    isReader,
  }: {
    readonly number: number;
    readonly isReader: boolean;
  }): Greeting {
    const { keyspace, environment, name, isDurable, services } = this.#options;
    const nonce = environment.randomBytes(nonceBytes);
    this.#nonces.add(hex(nonce));
    for (const oldest of this.#nonces) {
      if (this.#nonces.size <= noncesMax) break;
      this.#nonces.delete(oldest);
    }
    const { entries, digest: ofEntries } = this.vector();
    return {
      entries,
      hello: {
        kind: "hello",
        versions: protocolVersions,
        frameVersion,
        actor: keyspace.actor,
        name,
        nonce,
        wallMs: Math.max(0, Math.floor(environment.now())),
        isDurable,
        link,
        collections: keyspace.nodes.roots.map((root) => ({ name: root.name, tag: root.tag })),
        actors: entries.length,
        digest: ofEntries,
        ...(services.length > 0 && !isReader ? { services } : {}),
        ...(isReader ? { takesNothing: true } : {}),
        questions: questionsKnown,
      },
    };
  }

  acquaintance(hello: Hello): Acquaintance {
    const { environment, skewMsMax } = this.#options;
    const isOurNonce = this.#nonces.has(hex(hello.nonce));
    return { wallMs: environment.now(), skewMsMax, isOurNonce };
  }

  /** What is held. O(actors) when that moved: who asks one after the other is told the same. */
  vector(): DigestedVector {
    const { held, actors, endings } = this.#options.keyspace;
    if (this.#snapshot?.changes === actors.changes) return this.#snapshot;
    const entries: Entry[] = [];
    for (const [number, sequence] of held.entries()) {
      const actor = actors.name(number);
      entries.push({ actor, sequence, ending: endings.of(actor) });
    }
    inActorOrder(entries);
    this.#snapshot = { changes: actors.changes, entries, digest: digest(entries) };
    return this.#snapshot;
  }
}
