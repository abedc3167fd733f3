/** The outside judge of the soak of fenced values: it believes what processes were told, and nothing that Trellis holds. */

/** What somebody wants done once, whoever has to ask for it, and however often. */
export type Intent =
  | {
      readonly kind: "transfer";
      readonly key: string;
      readonly from: number;
      readonly to: number;
      readonly amount: number;
    }
  | { readonly kind: "redeem"; readonly key: string; readonly what: string }
  | { readonly kind: "claim"; readonly key: string; readonly what: string };

/** What came of it: for a transfer nothing, otherwise who has it now. */
export interface Told {
  readonly key: string;
  readonly by?: string;
}

/** Accounts that money moves between, and what each begins with. */
export const accountsCount = 100;
export const openingBalance = 1_000;

/** What is there at the end. */
export interface Found {
  readonly balances: readonly number[];
  readonly coupons: ReadonlyMap<string, string | undefined>;
  readonly names: ReadonlyMap<string, string | undefined>;
}

/** Intents, and what was told of them. */
export class FencedLedger {
  readonly faults: string[] = [];
  /** Asked for by a process that did not say what came of it. */
  readonly open = new Map<string, Intent>();
  /** Each once. */
  readonly applied = new Map<string, Intent>();
  readonly #owners = new Map<string, string>();
  repetitions = 0;

  begin(intent: Intent): void {
    if (this.open.has(intent.key)) this.repetitions++;
    if (!this.applied.has(intent.key)) this.open.set(intent.key, intent);
  }

  told({ key, by }: Told): void {
    const intent = this.open.get(key) ?? this.applied.get(key);
    if (!intent) {
      this.faults.push(`${key} was told, and never asked for`);
      return;
    }
    this.open.delete(key);
    this.applied.set(key, intent);
    if (intent.kind === "transfer") return;
    const what = `${intent.kind} ${intent.what}`;
    const owner = this.#owners.get(what) ?? by;
    if (owner === undefined || owner !== by) {
      this.faults.push(`${what} has ${by ?? "nobody"}, and had ${owner ?? "nobody"} before`);
    } else this.#owners.set(what, owner);
  }

  /** Whether what is found at the end is what was told, each once. */
  judge({ balances, coupons, names }: Found, where: string): void {
    for (const { key } of this.open.values()) this.faults.push(`${key} was never told`);
    const expected = Array.from({ length: accountsCount }, () => openingBalance);
    for (const intent of this.applied.values()) {
      if (intent.kind !== "transfer") continue;
      expected[intent.from] = (expected[intent.from] ?? 0) - intent.amount;
      expected[intent.to] = (expected[intent.to] ?? 0) + intent.amount;
    }
    for (const [i, balance] of balances.entries()) {
      if (balance !== expected[i]) {
        this.faults.push(`${where}: account ${i} has ${balance}, not ${expected[i]}`);
      }
    }
    const total = balances.reduce((sum, balance) => sum + balance, 0);
    if (total !== accountsCount * openingBalance) this.faults.push(`${where}: the sum is ${total}`);
    for (const [kind, found] of [["redeem", coupons] as const, ["claim", names] as const]) {
      for (const [what, owner] of found) {
        const told = this.#owners.get(`${kind} ${what}`);
        if (told !== owner) {
          this.faults.push(`${where}: ${kind} ${what} is ${owner}'s; ${told} was told`);
        }
      }
    }
  }

  /** What was asked for of this kind. */
  things(kind: "redeem" | "claim"): string[] {
    const asked = [...this.applied.values()].flatMap((one) =>
      one.kind === kind ? [one.what] : [],
    );
    return [...new Set(asked)];
  }
}
