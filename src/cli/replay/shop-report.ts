/** How a sale is shown: what should be, and what the books and the replicas say. */
import { table } from "../table.ts";
import type { ShopResult } from "./shop-run.ts";

/** The table, and what is wrong if anything is. */
export function shopReport({ shop }: { readonly shop: ShopResult | undefined }): string[] {
  if (shop === undefined) return [];
  const { units, sold, unknown, customers, redeemed, claimed, shown, faults } = shop;
  const most = Math.max(0, ...shown.map(({ stranded }) => stranded));
  const left = [...new Set(shown.map(({ stock }) => stock))];
  const rows: (readonly [string, unknown, unknown])[] = [
    [
      "units sold, by the books",
      `${count(units)} of ${count(units)}`,
      soldText(sold, Math.min(unknown, Math.max(0, units - sold))),
    ],
    ["units oversold", 0, Math.max(0, sold - units)],
    ["units stranded", 0, most],
    ["units left, on every replica", most, left.join(", ")],
    [`coupon redeemed, of ${customers} who tried`, 1, named(redeemed)],
    [`name claimed, of ${customers} who tried`, 1, named(claimed)],
  ];
  return [
    table(["", "expected", "found"], rows),
    ...faults.map((fault) => `WRONG: ${fault}`),
    faults.length === 0 ? "every rule held" : "NOT every rule held",
  ];
}

const count = (value: number): string => value.toLocaleString("en-US");

/** `taken`: what is neither sold nor left went with those sales that the killed one did not end. */
const soldText = (sold: number, taken: number): string =>
  taken === 0
    ? count(sold)
    : `${count(sold)}, and ${count(taken)} in the hands of the one that was killed`;

const named = (winners: readonly string[]): string =>
  winners.length === 0 ? "0" : `${winners.length} (${winners.join(", ")})`;
