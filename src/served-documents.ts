/**
 * Documents that clients of other libraries edit through our port. Only who asks for a library has it loaded: they are
 * optional peer dependencies.
 */
import type { AnyCollection } from "./any-collection.ts";
import type { DataType } from "./crdt/data-type.ts";
import type { DocumentType } from "./crdt/document.ts";
import { ClientSockets } from "./documents/client-sockets.ts";
import type { ClientProtocol } from "./documents/client.ts";
import { Gossip } from "./documents/gossip-service.ts";
import type { ProtocolOptions } from "./documents/protocol-options.ts";
import type { Door } from "./door.ts";
import type { Environment } from "./environment.ts";
import { SchemaMismatchError, UsageError } from "./errors.ts";
import type { DocumentsOptions } from "./replica-options.ts";
import type { DocumentCollection } from "./store/collections/documents.ts";
import type { Service } from "./sync/service.ts";
import type { Logger, Telemetry } from "./telemetry.ts";

type Library = keyof DocumentsOptions;
/** The collection of those documents, with what a protocol needs besides. */
type Opening = <D, C>(type: DocumentType<D, C>) => ProtocolOptions<D, C>;

/** What the package of a library gives us. */
interface Loader {
  /** What has to be installed for it. */
  readonly packages: string;
  readonly load: () => Promise<(open: Opening) => readonly ClientProtocol[]>;
}

const loaders: { readonly [L in Library]-?: Loader } = {
  yjs: {
    packages: "yjs",
    load: async () => {
      const { yDoc } = await import("./bridge/yjs.ts");
      const { yjsProtocols } = await import("./documents/yjs/protocol.ts");
      return (open) => yjsProtocols(open(yDoc()));
    },
  },
  automerge: {
    packages: "@automerge/automerge",
    load: async () => {
      const { automergeDoc } = await import("./bridge/automerge.ts");
      const { automergeProtocol } = await import("./documents/automerge/protocol.ts");
      return (open) => [automergeProtocol(open(automergeDoc()))];
    },
  },
};

const libraries: readonly Library[] = ["yjs", "automerge"];

/** What serving needs. */
export interface ServedDocumentsOptions {
  readonly environment: Environment;
  readonly telemetry: Telemetry;
  readonly logger: Logger;
}

/** Opens a collection, as `AnyCollections.open` does. */
type OpenAny = (name: string, type: DataType) => AnyCollection | undefined;

/** The documents of one replica that are served. */
export class ServedDocuments {
  readonly #options: ServedDocumentsOptions;
  /** The collection of each library that was asked for. */
  readonly #asked: readonly (readonly [Library, string])[];
  readonly #gossip = new Gossip();
  #sockets: readonly ClientSockets[] = [];

  constructor(asked: DocumentsOptions = {}, options: ServedDocumentsOptions) {
    this.#options = options;
    this.#asked = libraries.flatMap((library) => {
      const { [library]: given = false } = asked;
      return given === false ? [] : [[library, given === true ? library : given] as const];
    });
  }

  /** What is talked about with peers: nothing if nobody asked for documents. */
  get services(): readonly Service[] {
    return this.#asked.length === 0 ? [] : [this.#gossip];
  }

  /**
   * Loads the libraries and opens the collections, before anybody comes.
   * @throws UsageError a package is not installed; SchemaMismatchError a collection is of another type
   */
  async load(openAny: OpenAny): Promise<void> {
    const protocols: ClientProtocol[] = [];
    for (const [library, collection] of this.#asked) {
      // One after the other: in parallel the error of the second would go unheard.
      const make = await loaded(library);
      protocols.push(...make((type) => this.#opened({ library, collection }, openAny, type)));
    }
    this.#sockets = protocols.map((protocol) => new ClientSockets(protocol, this.#options));
  }

  /** Lets clients in; a simulated network has no port, and no clients. */
  serve(door: Door | undefined): void {
    for (const { route } of this.#sockets) door?.route(route);
  }

  /** Nothing is taken from clients any more; resolves when they have gone. Harmless twice. */
  async close(): Promise<void> {
    await Promise.all(this.#sockets.map((sockets) => sockets.close()));
  }

  #opened<D, C>(
    { library, collection: name }: { readonly library: Library; readonly collection: string },
    openAny: OpenAny,
    type: DocumentType<D, C>,
  ): ProtocolOptions<D, C> {
    const found = opened(openAny, { library, name, type });
    if (found?.kind !== "document") {
      throw new UsageError(`documents.${library}: ${name} is no collection of ${type.tag}`);
    }
    const { environment, telemetry, logger } = this.#options;
    return {
      // Its tag says that it is of this type.
      documents: found.collection as DocumentCollection<D, C>,
      ...{ collection: name, environment, telemetry, logger },
      gossip: (listener) => this.#gossip.topic(`${library}/${name}`, listener),
    };
  }
}

function opened(
  openAny: OpenAny,
  what: { readonly library: Library; readonly name: string; readonly type: DataType },
): AnyCollection | undefined {
  try {
    return openAny(what.name, what.type);
  } catch (cause) {
    if (!(cause instanceof SchemaMismatchError)) throw cause;
    const { collection, ours, theirs } = cause;
    throw new SchemaMismatchError(
      `documents.${what.library}: the collection ${JSON.stringify(collection)} is ${ours}, and has to be ` +
        `${theirs} for that; name another one`,
      { collection, ours, theirs, cause },
    );
  }
}

async function loaded(library: Library): Promise<(open: Opening) => readonly ClientProtocol[]> {
  const { load, packages } = loaders[library];
  try {
    return await load();
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
    throw new UsageError(
      `documents.${library}: a package is not installed: npm install ${packages}`,
      { cause },
    );
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND";
