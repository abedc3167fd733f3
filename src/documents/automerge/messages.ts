/**
 * The messages of automerge-repo's WebSocket protocol, version 1.
 *
 * @see https://github.com/automerge/automerge-repo, `automerge-repo-network-websocket`.
 */
import { malformed } from "../../store/bytes.ts";
import { type CborFields, type CborValue, readCbor, writeCbor } from "./cbor.ts";
import { isDocumentId } from "./document-id.ts";

/** The one version there is. */
export const protocolVersion = "1";
/** Names of clients and of their sessions, in UTF-16 units. */
const nameLengthMax = 256;

/** What its author says of a word to whoever has the document open. */
export interface Ephemeral {
  /** The client that said it first. */
  readonly senderId: string;
  readonly sessionId: string;
  /** Grows with each word of a session. */
  readonly count: number;
  readonly data: Uint8Array;
}

/** What comes from a client. */
export type Received =
  | {
      readonly kind: "join";
      readonly senderId: string;
      /** Undefined: whatever version. */
      readonly versions: readonly string[] | undefined;
    }
  | {
      /** A message of Automerge's own sync protocol. */
      readonly kind: "sync";
      readonly senderId: string;
      readonly documentId: string;
      readonly data: Uint8Array;
    }
  | { readonly kind: "ephemeral"; readonly documentId: string; readonly word: Ephemeral }
  | { readonly kind: "leave" }
  /** It does not have the document that we told it of, or says what we have no use for. */
  | { readonly kind: "other" };

/** Reads what a client sent. @throws MalformedError */
export function readMessage(bytes: Uint8Array): Received {
  const fields = readCbor(bytes);
  if (!(fields instanceof Map)) malformed("a message that is no map");
  switch (fields.get("type")) {
    case "join":
      return { kind: "join", senderId: nameIn(fields, "senderId"), versions: versionsIn(fields) };
    case "sync":
    case "request":
      return {
        kind: "sync",
        senderId: nameIn(fields, "senderId"),
        documentId: documentIdIn(fields),
        data: bytesIn(fields),
      };
    case "ephemeral":
      return { kind: "ephemeral", documentId: documentIdIn(fields), word: ephemeralIn(fields) };
    case "leave":
      return { kind: "leave" };
    default:
      return { kind: "other" };
  }
}

/** What goes to a client. `type` says which message it is. */
export const writeMessage = (fields: CborFields & { readonly type: string }): Uint8Array =>
  writeCbor(fields);

/** A word as peers tell it each other. */
export const writeEphemeral = ({ senderId, sessionId, count, data }: Ephemeral): Uint8Array =>
  writeCbor({ senderId, sessionId, count, data });

/** @throws MalformedError */
export function readEphemeral(bytes: Uint8Array): Ephemeral {
  const fields = readCbor(bytes);
  return fields instanceof Map ? ephemeralIn(fields) : malformed("a word that is no map");
}

type Fields = ReadonlyMap<string, CborValue>;

function ephemeralIn(fields: Fields): Ephemeral {
  const count = fields.get("count");
  if (typeof count !== "number" || !Number.isSafeInteger(count)) malformed("a count that is none");
  return {
    senderId: nameIn(fields, "senderId"),
    sessionId: nameIn(fields, "sessionId"),
    count,
    data: bytesIn(fields),
  };
}

function nameIn(fields: Fields, field: string): string {
  const name = fields.get(field);
  if (typeof name === "string" && name.length > 0 && name.length <= nameLengthMax) return name;
  return malformed(`no ${field}, or too long a one`);
}

function documentIdIn(fields: Fields): string {
  const id = fields.get("documentId");
  return typeof id === "string" && isDocumentId(id) ? id : malformed("no name of a document");
}

function bytesIn(fields: Fields): Uint8Array {
  const data = fields.get("data");
  return data instanceof Uint8Array ? data : malformed("no bytes");
}

function versionsIn(fields: Fields): string[] | undefined {
  const versions = fields.get("supportedProtocolVersions");
  if (versions === undefined || versions === null) return undefined;
  if (!Array.isArray(versions)) malformed("versions that are no list");
  return versions.filter((version) => typeof version === "string");
}
