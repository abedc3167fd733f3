/** Single-use coupons, each presented by two customers, on two nodes, at about the same time. */
import type { Workload } from "../workload.ts";
import { attempt, needed } from "./attempt.ts";

/** Codes of one pair of callers. After the last one they are presented again, and refused. */
const codesMax = 1 << 20;

/** Presents one code after the other. */
export const coupons: Workload = {
  name: "coupons",
  title: "coupons: use a code once, presented twice",
  verbs: ["redeem"],
  rule: "no code is accepted from two customers",
  hasUnits: false,
  isPairwise: true,
  steps({ client, tally, keys, index, callers }) {
    const redeem = needed(client.redeem, "redeem");
    const space = keys[0] as string;
    // The last one of an odd number is alone.
    const pair = index >> 1;
    const customer = `customer-${index}`;
    const isAlone = callers === index + 1 && index % 2 === 0;
    let next = 0;
    return () => {
      const code = next++ % codesMax;
      return attempt(() => redeem(`${space}:${pair}:${code}`, customer), {
        answered(isMine) {
          if (!isMine) return tally.refuse(0, 0);
          if (!isAlone) tally.win(index, code);
          tally.answer();
        },
        failed: (error) => tally.fail(error),
      });
    };
  },
};
