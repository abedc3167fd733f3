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
  | { readonly kind: "operate"; readonly request: OperateRequest };

/** What the authority itself may say. */
export type Said =
  | { readonly kind: "born"; readonly birth: string }
  | { readonly kind: "done" }
  | { readonly kind: "alive"; readonly isAlive: boolean }
  | { readonly kind: "present"; readonly present: Present }
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
}
