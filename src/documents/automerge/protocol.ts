/**
 * The protocol of automerge-repo's WebSocket adapter: `/automerge`, as its clients speak it unchanged.
 *
 * One connection carries any number of documents, each under its documentId. A document that a client may not read
 * is unavailable to it; one that it may only read it gets, and what it writes is not taken. A document that is not
 * here is unavailable after a moment, and sent when it comes.
 */
import { covers, type Grant } from "../../access.ts";
import { documentBytesMax } from "../../store/documents/written-updates.ts";
import type { Client, ClientProtocol, ClientReceiver } from "../client.ts";
import type { ProtocolOptions } from "../protocol-options.ts";
import { type AnyDoc, ServedDocument } from "./served-document.ts";
import { documentsMax, Session, type SessionHost } from "./session.ts";
import { Words } from "./words.ts";

/** A document is one message, and has its names before it. */
const messageBytesMax = documentBytesMax + 64 * 1024;

/** With `automergeDoc()` as the type of the collection. */
export type AutomergeProtocolOptions = ProtocolOptions<AnyDoc, Record<string, unknown>>;

/** Serves the documents of one collection to clients of automerge-repo. */
export const automergeProtocol = (options: AutomergeProtocolOptions): ClientProtocol =>
  new AutomergeProtocol(options);

class AutomergeProtocol implements ClientProtocol {
  readonly segment = "automerge";
  readonly messageBytesMax: number = messageBytesMax;
  readonly #options: AutomergeProtocolOptions;
  readonly #peerId: string;
  readonly #served = new Map<string, ServedDocument>();
  readonly #sessions = new Set<Session>();
  readonly #words: Words;

  constructor(options: AutomergeProtocolOptions) {
    this.#options = options;
    const { environment, gossip } = options;
    this.#peerId = `trellis-${Buffer.from(environment.randomBytes(12)).toString("hex")}`;
    this.#words = new Words({
      gossip,
      show: (documentId, word) => {
        for (const watcher of this.#served.get(documentId)?.watchers ?? [])
          if (watcher instanceof Session) watcher.show(documentId, word);
      },
    });
  }

  judge(path: string, grant: Grant): "admitted" | "forbidden" | "not-found" {
    if (path !== "") return "not-found";
    const { collection } = this.#options;
    const reads = grant.read.some(
      (scope) => scope.collection === undefined || scope.collection === collection,
    );
    return reads ? "admitted" : "forbidden";
  }

  accept(client: Client): ClientReceiver {
    const session = new Session(client, this.#hostOf(client.grant));
    this.#sessions.add(session);
    return session;
  }

  close(): void {
    for (const session of [...this.#sessions]) session.closed();
  }

  #hostOf(grant: Grant): SessionHost {
    const { collection, logger } = this.#options;
    return {
      peerId: this.#peerId,
      mayRead: (documentId) => covers(grant.read, collection, documentId),
      mayWrite: (documentId) => covers(grant.write, collection, documentId),
      open: (documentId) => this.#open(documentId),
      left: (document) => this.#left(document),
      say: (documentId, word) => this.#words.say(documentId, word),
      over: (session) => void this.#sessions.delete(session),
      crowded: () =>
        logger.warn(
          { subject: grant.subject, documentsMax },
          "a client of automerge-repo has too many documents open: further ones are unavailable to it, and not kept",
        ),
      failed: (error) =>
        logger.warn({ err: error, subject: grant.subject }, "a client of automerge-repo was ended"),
    };
  }

  #open(documentId: string): ServedDocument {
    const { documents, environment, logger } = this.#options;
    let served = this.#served.get(documentId);
    if (served === undefined) {
      served = new ServedDocument(documentId, {
        documents,
        environment,
        full: (error) => logger.warn({ err: error }, "a document of automerge-repo is full"),
      });
      this.#served.set(documentId, served);
    }
    return served;
  }

  #left(document: ServedDocument): void {
    if (document.isWatched || this.#served.get(document.id) !== document) return;
    document.close();
    this.#served.delete(document.id);
  }
}
