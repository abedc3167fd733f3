/**
 * What the client of a lock store asks of it, one round trip a call: who keeps the records decides in
 * one atomic step and answers with data. A server's script, another replica over a link, and a table in
 * this process all are one; deadlines, lost replies and what they mean are the client's.
 *
 * A rejection says how sure it is: `LockUnavailableError` surely did nothing; any other error, and an
 * answer that does not come, may have had its effect. Asking again is harmless for every call, but what
 * carries a request must not do so by itself: `compareAndSet` and `operate` may be refused because of a
 * lease or a bound, and who is told so must know whether another copy of it is still on its way.
 */
import type { Operation } from "../locks.ts";
import type { Fence, Present, Refusal } from "./guard.ts";

export type { Present, Refusal as Refused } from "./guard.ts";

/** What every request says. */
export interface Request {
  /** The birth that the client knows; a store of another one refuses. `undefined`: it knows none yet. */
  readonly birth: string | undefined;
}

/** One resource is meant. */
export interface ResourceRequest extends Request {
  readonly resource: string;
}

/** Asks to be the holder. Again with the same nonce, as holder or in line, it is the same request. */
export interface OpenRequest extends ResourceRequest {
  readonly nonce: string;
  readonly ttlMs: number;
  readonly maxHoldMs?: number;
  /** How long to stand in line from now; 0 is not put into it. */
  readonly waitMs: number;
}

/** What came of it. */
export type OpenReply =
  | { readonly kind: "opened"; readonly token: bigint; readonly present: Present }
  /** In line, or (`place: -1`) not. `leftMs`: when it makes sense to ask again if no turn was told. */
  | { readonly kind: "held"; readonly place: number; readonly leftMs: number }
  | { readonly kind: "full" };

/** One who stands in line or holds. */
export interface NonceRequest extends ResourceRequest {
  readonly nonce: string;
}

/** Prolongs. */
export interface RenewRequest extends ResourceRequest {
  readonly fence: Fence;
  readonly ttlMs: number;
}

/** One resource of a commit. */
export interface CommitPart {
  readonly resource: string;
  readonly fence: Fence;
  /** That its holder computed from. */
  readonly version: bigint;
  /** Without it the resource is only checked. */
  readonly value?: Uint8Array;
}

/** Writes all or nothing. */
export interface CommitRequest extends Request {
  readonly parts: readonly CommitPart[];
  readonly operationId: string;
}

/** Writes without a lease. */
export interface CompareAndSetRequest extends ResourceRequest {
  /** 0: nothing was ever written. */
  readonly expected: bigint;
  readonly value: Uint8Array;
  readonly operationId: string;
}

/** Lets the store compute. */
export interface OperateRequest extends ResourceRequest {
  readonly operation: Operation;
  readonly operationId: string;
  /** The latest version that the client knew before it asked for the first time. */
  readonly since: bigint;
}

/** The store is of another birth than the client knows; nothing was done. */
export interface Reborn {
  readonly kind: "reborn";
  readonly birth: string;
}

/** What a write without a lease answers. `token`: the largest granted. */
export type WriteReply =
  | { readonly kind: "written"; readonly version: bigint; readonly token: bigint }
  | Refusal
  | Reborn;

/** What a commit answers: versions in the order of its parts. */
export type CommitReply =
  | { readonly kind: "committed"; readonly versions: readonly bigint[] }
  | Refusal
  | Reborn;

/** What an operation answers. */
export type OperateReply =
  | { readonly kind: "operated"; readonly applied: boolean; readonly present: Present }
  /** Too much was written since `since` to know whether it was applied before. */
  | { readonly kind: "forgotten"; readonly version: bigint }
  | { readonly kind: "no-integer" }
  | Refusal
  | Reborn;

/** Keeps the guards. */
export interface Authority {
  /** The birth of the store, which is drawn now if it has none. */
  birth(): Promise<string>;
  /** Grants at once, or puts into the line. */
  open(request: OpenRequest): Promise<OpenReply | Reborn>;
  /** Answers when it is the turn of `nonce` to open again, or it is not in line. May be asked in vain. */
  turn(request: NonceRequest): Promise<void>;
  /** Leaves the line, and gives back what was granted. */
  cancel(request: NonceRequest): Promise<void>;
  /** Whether the lease lives on. */
  renew(request: RenewRequest): Promise<boolean>;
  /** Linearizable. */
  read(
    request: ResourceRequest,
  ): Promise<{ readonly kind: "present"; readonly present: Present } | Reborn>;
  commit(request: CommitRequest): Promise<CommitReply>;
  compareAndSet(request: CompareAndSetRequest): Promise<WriteReply>;
  /** Only if the store can. */
  operate?(request: OperateRequest): Promise<OperateReply>;
}
