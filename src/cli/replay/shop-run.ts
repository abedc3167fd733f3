/**
 * What happens in the shop while the requests are replayed, and what the books say afterwards: three stretches
 * of selling (all linked; one cut off and one killed; all back until nothing is left), and in the first of
 * them everybody wants the same coupon and the same name.
 */
import { join } from "node:path";
import { WorkerError } from "../worker-process.ts";
import { readLedger } from "./ledger.ts";
import type { LocksChoice } from "./locks-choice.ts";
import type { Member } from "./members.ts";
import type { ShopFigures } from "./messages.ts";
import type { SaleEnd } from "./sale.ts";

/** What is on sale. */
export interface ShopOptions {
  readonly units: number;
  /** The locks of a member. */
  readonly locks: (index: number) => LocksChoice;
  /** Told how many units were sold, as far as was heard. */
  onSold(sold: number): void;
}

/** What came of it. */
export interface ShopResult {
  readonly units: number;
  /** By the books. */
  readonly sold: number;
  /** Sales that were under way in a process when it was killed. */
  readonly unknown: number;
  /** Customers who wanted the coupon, and the name. */
  readonly customers: number;
  /** Who was told that it is theirs. */
  readonly redeemed: readonly string[];
  readonly claimed: readonly string[];
  /** What each replica shows at the end. */
  readonly shown: readonly (ShopFigures & { readonly replica: string })[];
  /** How the last stretch ended for each. */
  readonly ends: readonly SaleEnd[];
  /** What is not as it should be. */
  readonly faults: readonly string[];
}

/** Customers who are served at once by one replica. */
const customersAtOnce = 16;
/** So long a customer waits for units that others hold, in ms. */
const waitMs = 5_000;
/** Those who are cut off find out sooner. */
const waitCutOffMs = 200;
/** Of the units, what each of the first two stretches is to sell. */
const sharePerStretch = 0.3;
/** Of one replica, who want the same coupon and name. */
const contestants = 8;

/** The sale of one run. */
export class ShopRun {
  readonly #members: readonly Member[];
  readonly #directory: string;
  readonly #options: ShopOptions;
  readonly #sold = new Map<Member, number>();
  #redeemed: string[] = [];
  #claimed: string[] = [];

  constructor(members: readonly Member[], directory: string, options: ShopOptions) {
    this.#members = members;
    this.#directory = directory;
    this.#options = options;
  }

  /** Stocks up. */
  async open(): Promise<void> {
    await Promise.all(
      this.#members.map(({ process }) => process.ask({ kind: "await-locks" }, "done")),
    );
    const [first] = this.#members;
    const { units } = this.#options;
    await first?.process.ask({ kind: "restock", units }, "done");
    await Promise.all(
      this.#members.map(({ process }) => process.ask({ kind: "await-stock", units }, "done")),
    );
  }

  /** A stretch of selling, by all but one. */
  async sellSome({
    cutOff,
    except,
  }: {
    readonly cutOff?: Member | undefined;
    readonly except?: Member | undefined;
  } = {}): Promise<void> {
    const units = Math.ceil((this.#options.units * sharePerStretch) / this.#members.length);
    const sellers = this.#members.filter((member) => member !== except);
    await Promise.all(
      sellers.map((member) =>
        this.#sell(member, { units, waitMs: member === cutOff ? waitCutOffMs : waitMs }),
      ),
    );
  }

  /** Sells as much as it can until it is killed. */
  async sellUntilKilled(member: Member): Promise<void> {
    await this.#sell(member, { units: this.#options.units, waitMs });
  }

  /** Everybody sells until there is nothing left. Resolves with how that ended for each. */
  sellOut(): Promise<(SaleEnd | undefined)[]> {
    const { units } = this.#options;
    return Promise.all(this.#members.map((member) => this.#sell(member, { units, waitMs })));
  }

  /** Everybody wants the coupon and the name. */
  async contest(): Promise<void> {
    const won = await Promise.all(
      this.#members.map(({ name, process }) => {
        const customers = Array.from(
          { length: contestants },
          (_, i) => `${name}/customer-${i + 1}`,
        );
        return process.ask({ kind: "contest", customers }, "won");
      }),
    );
    this.#redeemed = won.flatMap(({ redeemed }) => redeemed);
    this.#claimed = won.flatMap(({ claimed }) => claimed);
  }

  /** Reads the books, and what every replica shows. */
  async result(ends: readonly (SaleEnd | undefined)[]): Promise<ShopResult> {
    const shown = await Promise.all(
      this.#members.map(async ({ name, process }) => {
        return { replica: name, ...(await process.ask({ kind: "shop" }, "shop")).figures };
      }),
    );
    const books = this.#members.map((member) => readLedger(this.#ledgerOf(member)));
    const result = {
      units: this.#options.units,
      sold: books.reduce((sum, { sold }) => sum + sold, 0),
      unknown: books.reduce((sum, { unknown }) => sum + unknown, 0),
      customers: this.#members.length * contestants,
      redeemed: this.#redeemed,
      claimed: this.#claimed,
      shown,
      ends: ends.flatMap((end) => end ?? []),
    };
    return { ...result, faults: faultsOf(result) };
  }

  /** `undefined`: it was killed meanwhile. */
  async #sell(
    member: Member,
    { units, waitMs: wait }: { readonly units: number; readonly waitMs: number },
  ): Promise<SaleEnd | undefined> {
    const { process } = member;
    const before = this.#sold.get(member) ?? 0;
    process.onSold = (sold) => this.#count(member, before + sold);
    const sale = {
      units,
      customers: customersAtOnce,
      ledger: this.#ledgerOf(member),
      waitMs: wait,
    };
    try {
      const { sold, end } = await process.ask({ kind: "sell", ...sale }, "sold");
      this.#count(member, before + sold);
      return end;
    } catch (error) {
      // The books say how far it came.
      if (error instanceof WorkerError && process.isKilled) return undefined;
      throw error;
    }
  }

  #ledgerOf = ({ name }: Member): string => join(this.#directory, `${name}.ledger`);

  #count(member: Member, sold: number): void {
    this.#sold.set(member, sold);
    this.#options.onSold([...this.#sold.values()].reduce((sum, each) => sum + each, 0));
  }
}

/** What must hold, held to the books and not to what replicas say of each other. */
function faultsOf(result: Omit<ShopResult, "faults">): string[] {
  const { units, sold, unknown, redeemed, claimed, shown } = result;
  const faults: string[] = [];
  const expect = (isSo: boolean, what: string): void => void (isSo || faults.push(what));
  const stranded = Math.max(0, ...shown.map((figures) => figures.stranded));
  expect(sold <= units, `${sold} units were sold of ${units}`);
  expect(
    sold + unknown + stranded >= units,
    `${units - sold - unknown - stranded} units were neither sold nor shown as stranded`,
  );
  expect(redeemed.length === 1, `the coupon was redeemed ${redeemed.length} times`);
  expect(claimed.length === 1, `the name was given to ${claimed.length} customers`);
  for (const { replica, stock, redeemedBy, owner } of shown) {
    expect(stock === stranded, `${replica} shows ${stock} units, not ${stranded}`);
    expect(redeemedBy === redeemed[0], `${replica} shows the coupon as ${redeemedBy ?? "free"}`);
    expect(owner === claimed[0], `${replica} shows the name as ${owner ?? "free"}`);
  }
  return faults;
}
