/**
 * Who may do what? A token, or a certificate, stands for a grant. Peers replicate everything or only
 * read everything: a peer that was sent a part would claim by its vector to have the whole. Clients
 * (HTTP) read and write by collection and prefix of the key.
 */
import { InvalidValueError } from "./errors.ts";

/** The keys of one collection, or of all, that begin with a prefix. */
export interface Scope {
  /** Of every collection: undefined. */
  readonly collection: string | undefined;
  readonly prefix: string;
}

/** What somebody may do. */
export interface Grant {
  /** Who it is, for logs: never the token. */
  readonly subject: string;
  /** On whose behalf, for logs. */
  readonly tenant?: string;
  /** As a peer. */
  readonly replicate: "nothing" | "read" | "write";
  /** As a client. */
  readonly read: readonly Scope[];
  readonly write: readonly Scope[];
  /** Status, metrics, the dashboard: names and figures, and hot keys among them. */
  readonly observe: boolean;
}

const everywhere: readonly Scope[] = [{ collection: undefined, prefix: "" }];

/** All there is: what a bare `true` of an `Authenticate` stands for. */
export const fullGrant: Grant = {
  subject: "anybody",
  replicate: "write",
  read: everywhere,
  write: everywhere,
  observe: true,
};

/** Rights of one grant, at most. */
export const rightsMax = 256;

/**
 * A grant from rights as tokens and files spell them: `replicate`, `replicate-read`, `observe`, and
 * `read:` or `write:` with `*`, a collection, or a collection and a prefix of keys after a slash
 * (`write:stock/eu:`). The collection is percent-encoded where it has a slash or a percent sign.
 * @throws InvalidValueError naming the right that is none.
 */
export function grantOf(
  who: { readonly subject: string; readonly tenant?: string },
  rights: readonly string[],
): Grant {
  if (rights.length > rightsMax) throw noRight("the rights", `are more than ${rightsMax}`);
  const read: Scope[] = [];
  const write: Scope[] = [];
  const plain = new Set<string>();
  for (const right of rights) {
    const [kind, scope] = split(right, ":");
    if (scope === undefined) {
      if (!plainRights.has(kind)) throw noRight(right);
      plain.add(kind);
    } else if (kind === "read") read.push(scopeOf(right, scope));
    else if (kind === "write") write.push(scopeOf(right, scope));
    else throw noRight(right);
  }
  const reads = plain.has("replicate-read") ? "read" : "nothing";
  const replicate = plain.has("replicate") ? "write" : reads;
  return { ...who, replicate, read, write, observe: plain.has("observe") };
}

const plainRights = new Set(["replicate", "replicate-read", "observe"]);

function scopeOf(right: string, text: string): Scope {
  const [name, prefix = ""] = split(text, "/");
  if (name === "*") {
    if (prefix !== "") throw noRight(right, "has a prefix of keys, but no collection");
    return { collection: undefined, prefix: "" };
  }
  try {
    return { collection: decodeURIComponent(name), prefix };
  } catch {
    throw noRight(right);
  }
}

/** The text before and after the first `mark`; the latter undefined if there is none. */
function split(text: string, mark: string): readonly [string, string | undefined] {
  const at = text.indexOf(mark);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + mark.length)];
}

const noRight = (right: string, why = "is none"): InvalidValueError =>
  new InvalidValueError(
    `${JSON.stringify(right)} ${why}; rights are replicate, replicate-read, observe, ` +
      "read:<collection>[/<prefix>] and write:<collection>[/<prefix>], with * for all collections",
    { path: "rights", reason: why },
  );

/** Whether one of the scopes has that key; of a prefix: all keys that begin with it. O(scopes). */
export const covers = (scopes: readonly Scope[], collection: string, key: string): boolean =>
  scopes.some(
    (scope) =>
      (scope.collection === undefined || scope.collection === collection) &&
      key.startsWith(scope.prefix),
  );
