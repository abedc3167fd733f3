/** What an owner proposes, and what it keeps to propose the next. */
import type { CommitPart, CommitRequest } from "../../fence/authority.ts";
import type { GuardRecord } from "../../fence/guard.ts";
import { type Ownership, type Proposed, stateOf } from "./register.ts";

/** An owner that this client was granted. */
export interface Owner {
  readonly ownership: Omit<Ownership, "found">;
  record: GuardRecord;
  /** Of the last proposal. */
  number: bigint;
  /** It may be with a minority: nothing else may be proposed before it is settled. */
  pending: Proposal | undefined;
  /** One at a time. */
  turn: Promise<unknown>;
}

/** One write, which a minority may have. */
export interface Proposal {
  readonly birth: string;
  readonly operationId: string;
  readonly parts: readonly Proposed[];
  /** In the order of the parts. */
  readonly owners: readonly Owner[];
  readonly records: readonly GuardRecord[];
}

/** The proposal of a commit whose outcome is these records. */
export function proposalOf(
  { birth = "", parts, operationId }: CommitRequest,
  owners: readonly Owner[],
  records: readonly GuardRecord[],
): Proposal {
  const proposed = parts.map(({ resource, fence: { nonce, token }, value }, i): Proposed => {
    const [owner, record] = [owners[i], records[i]];
    const checked = { resource, nonce, token };
    if (!value || !owner || !record) return checked;
    return { ...checked, number: owner.number + 1n, bytes: stateOf(record, birth) };
  });
  return { birth, operationId, parts: proposed, owners, records };
}

/** The record as its owner sees it. */
export const holding = ({ record, ownership: { token, nonce } }: Owner): GuardRecord => ({
  ...record,
  token,
  holder: { token, nonce, untilMs: Infinity, endMs: Infinity },
});

/** A part, and what it is compared with. */
export const withRecord = (
  part: CommitPart,
  record: GuardRecord | undefined,
): CommitPart & { readonly record: GuardRecord } => {
  if (!record) throw new Error("a part has no record");
  return { ...part, record };
};
