/** An authority of this process, on the disk of its replica or, if that has none, in memory. */
import type { Environment } from "../../environment.ts";
import type { Authority } from "../fence/authority.ts";
import { GuardTable } from "../fence/guard-table.ts";
import { DurableAuthority, type DurableAuthorityOptions } from "./durable-authority.ts";
import type { Claim } from "./standing.ts";

/** Where the replica is durable, and who else knows how new that is. */
export type SeatStorage = Omit<DurableAuthorityOptions, "environment">;

/** What is hosted here. */
export interface Hosted {
  readonly authority: Authority;
  /** The same, if it is on a disk. */
  readonly durable: DurableAuthority | undefined;
  /** Its birth, once that is known. */
  readonly id: string | undefined;
  /** Of the claim under which it serves. */
  readonly generation: number;
  /** It was asked for its birth, and that is on the disk. */
  readonly hasBegun: boolean;
  /** What it is once it has begun. */
  readonly start: () => Pick<Claim, "generation" | "epoch"> | undefined;
  /** Why it will not serve, as far as is known. @throws CorruptStorageError */
  readonly doubt: () => Promise<string | undefined>;
  readonly close: () => Promise<void>;
}

/** Of the id that is on the disk; it is drawn when it is asked for, if there is none. */
export function hostedAs(
  known: Pick<Hosted, "id" | "generation">,
  environment: Environment,
  storage: SeatStorage | undefined,
): Hosted {
  const state = { ...known, hasBegun: false };
  if (!storage) {
    const table = new GuardTable(environment);
    return {
      ...{ ...state, authority: table, durable: undefined },
      ...{ start: () => undefined, doubt: async () => undefined },
      close: async () => table.stop(),
    };
  }
  const authority = new DurableAuthority({ ...storage, environment });
  return {
    ...{ ...state, authority, durable: authority },
    start: () => authority.record,
    doubt: () => authority.doubt(),
    close: () => authority.close(),
  };
}
