/** What a client asks an authority on another replica, and what that answers. */
import type {
  CommitReply,
  CommitRequest,
  CompareAndSetRequest,
  NonceRequest,
  OpenReply,
  OpenRequest,
  OperateReply,
  OperateRequest,
  Present,
  Reborn,
  RenewRequest,
  ResourceRequest,
  WriteReply,
} from "../fence/authority.ts";
import type { Claim } from "./standing.ts";

/** A guard as the disk has it. */
export interface GuardBytes {
  readonly resource: string;
  readonly bytes: Uint8Array;
}

/** One request. */
export type Call =
  | { readonly kind: "birth" }
  | { readonly kind: "open"; readonly request: OpenRequest }
  | { readonly kind: "turn"; readonly request: NonceRequest }
  | { readonly kind: "cancel"; readonly request: NonceRequest }
  | { readonly kind: "renew"; readonly request: RenewRequest }
  | { readonly kind: "read"; readonly request: ResourceRequest }
  | { readonly kind: "commit"; readonly request: CommitRequest }
  | { readonly kind: "compareAndSet"; readonly request: CompareAndSetRequest }
  | { readonly kind: "operate"; readonly request: OperateRequest }
  /** Give the part away, in the move of this id, to the replica of this name. */
  | { readonly kind: "give"; readonly move: string; readonly host: string }
  /** The guards that were given away in it, behind this resource. */
  | { readonly kind: "take"; readonly move: string; readonly after: string };

/** What the authority itself may say. */
export type Said =
  | { readonly kind: "born"; readonly birth: string }
  | { readonly kind: "done" }
  | { readonly kind: "alive"; readonly isAlive: boolean }
  | { readonly kind: "present"; readonly present: Present }
  /** It serves no more; `serial`: of the write that says so. */
  | { readonly kind: "given"; readonly claim: Claim; readonly serial: number }
  | { readonly kind: "guards"; readonly guards: readonly GuardBytes[]; readonly isLast: boolean }
  | OpenReply
  | CommitReply
  | WriteReply
  | OperateReply
  | Reborn;

/** One answer. */
export type Reply =
  | Said
  /** Surely nothing was done. */
  | { readonly kind: "unavailable"; readonly reason: string }
  /** Who knows. */
  | { readonly kind: "failed"; readonly reason: string };

/** What may be answered to what. */
export interface Replies {
  readonly birth: Extract<Said, { kind: "born" }>;
  readonly open: OpenReply | Reborn;
  readonly turn: Extract<Said, { kind: "done" }>;
  readonly cancel: Extract<Said, { kind: "done" }>;
  readonly renew: Extract<Said, { kind: "alive" }>;
  readonly read: Extract<Said, { kind: "present" }> | Reborn;
  readonly commit: CommitReply;
  readonly compareAndSet: WriteReply;
  readonly operate: OperateReply;
  readonly give: Extract<Said, { kind: "given" }>;
  readonly take: Extract<Said, { kind: "guards" }>;
}
