/** How a table elsewhere is made safe with tokens, as docs/fenced.md has it: on a real one. */
import { Client } from "pg";
import { describe, expect, test } from "vitest";
import { isServiceSkipped, service } from "../servers/service.ts";
import { systemEnvironment } from "../../src/environment.ts";
import { GuardTable } from "../../src/escalate/fence/guard-table.ts";
import { memoryLocks } from "../../src/escalate/locks/memory.ts";
import { aborted, rejection } from "../locks/trial.ts";
import { UnreliableAuthority } from "../locks/unreliable-authority.ts";
import { Site } from "./scene.ts";

const table = `stock_${process.pid}`;

/** The two statements of the page. */
class Stock {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  async open(token: bigint): Promise<number> {
    const { rows } = await this.#client.query<{ amount: number }>(
      `UPDATE ${table} SET fence = $1 WHERE id = 1 AND fence < $1 RETURNING amount`,
      [token],
    );
    const [row] = rows;
    if (!row) throw new Error("a later one is in");
    return row.amount;
  }

  async write(token: bigint, amount: number): Promise<void> {
    const { rowCount } = await this.#client.query(
      `UPDATE ${table} SET amount = $2 WHERE id = 1 AND fence = $1`,
      [token, amount],
    );
    if (rowCount === 0) throw new Error("overtaken");
  }
}

describe.skipIf(isServiceSkipped("postgres"))("a table with the tokens of sections", () => {
  test(
    "refuses a holder that stood still, and loses nothing of the next one",
    { timeout: 60_000 },
    async () => {
      const [url = ""] = await service("postgres");
      const client = new Client({ connectionString: url });
      await client.connect();
      try {
        await client.query(`CREATE TABLE ${table} (id INT PRIMARY KEY, amount INT, fence BIGINT)`);
        await client.query(`INSERT INTO ${table} VALUES (1, 10, 0)`);
        const stock = new Stock(client);
        const store = new GuardTable(systemEnvironment);
        const site = (): Site & { readonly way: UnreliableAuthority } => {
          const way = new UnreliableAuthority(store);
          const backend = memoryLocks({ store: { authority: way }, answerMs: 100 });
          return Object.assign(new Site({ environment: systemEnvironment, backend }), { way });
        };
        const [a, b] = [site(), site()];
        const add = (
          { fenced, accounts }: Site,
          by: number,
          meanwhile: (lost: AbortSignal) => Promise<void> = () => Promise.resolve(),
        ): Promise<number> =>
          fenced.escalate(
            [accounts.at("stock")],
            async ({ tokens: [token], lost }) => {
              const amount = await stock.open(token);
              await meanwhile(lost);
              await stock.write(token, amount + by);
              return amount + by;
            },
            { ttlMs: 200, waitMs: 20_000 },
          );
        // A is cut off from the locks, though not from the table, while it thinks.
        const slow = add(a, 100, async (lost) => {
          a.way.fault = "hang";
          await aborted(lost);
          expect(await add(b, 1)).toBe(11);
        });
        expect((await rejection(slow)).message).toBe("overtaken");
        expect(await add(b, 1)).toBe(12);
      } finally {
        await client.query(`DROP TABLE IF EXISTS ${table}`);
        await client.end();
      }
    },
  );
});
