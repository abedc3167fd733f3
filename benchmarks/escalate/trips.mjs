/**
 * How often is the pool asked for one unit that is sold, until nothing is left, and is anybody refused too early? In
 * virtual time, since fifty replicas are more than one processor, and with the sellers of the tests.
 */
import { built } from "../locks/build.mjs";

const stock = 10_000;
export const title = `${stock.toLocaleString("en")} units sold by linked sellers until sold out, demand Zipf(1); in virtual time`;

/** Sales a second that the busiest seller could make. */
const perSecond = 100;
const seeds = { whole: [1, 2, 3], quick: [1] };
const shares = [
  { sellers: 10, atMost: 0.03 },
  { sellers: 50, atMost: 0.12 },
];
const why =
  "a guarded update is a refusal that says what is there, and a write, where others wrote since; most of it is the last hundredth, for which all stand in line";

/** All rows. */
export const rowsOf = () => shares.flatMap(({ sellers, atMost }) => rowsFor(sellers, atMost));

function rowsFor(sellers, atMost) {
  let sales;
  const row = (part, label, unit, target, figureOf) => ({
    id: `trips/${sellers}-${part}`,
    label: `${sellers} sellers: ${label}`,
    unit,
    needs: [],
    target,
    why,
    async measure({ isQuick }) {
      sales ??= sellOften(sellers, isQuick ? seeds.quick : seeds.whole);
      return { ours: Math.max(...(await sales).map(figureOf)) };
    },
  });
  return [
    row("calls", "round trips a sale", "", { ours: { atMost } }, ({ calls, sold }) => calls / sold),
    row("updates", "guarded updates a sale", "", undefined, ({ updates, sold }) => updates / sold),
    row("unsold", "not sold", "", { ours: { atMost: 0 } }, ({ sold }) => stock - sold),
    row("early", "refused early", "", { ours: { atMost: 0 } }, (sale) => sale.refusedEarly),
  ];
}

async function sellOften(sellers, chosen) {
  const { sellAll } = await built("test/escrow/simulation/demand");
  const sales = [];
  for (const seed of chosen) {
    const sale = await sellAll({ seed, sellers, stock, perSecond, isZipf: true, isLinked: true });
    if (sale.errors.length > 0) throw new Error(sale.errors[0]);
    sales.push(sale);
  }
  return sales;
}
