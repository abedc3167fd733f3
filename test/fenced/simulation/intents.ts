/** What clients want done once, however often and wherever they ask for it; and what each was told. */
import type { Ledger, Told } from "../../locks/simulation/ledger.ts";
import type { Random } from "../../simulation/virtual-environment.ts";
import type { Site } from "../scene.ts";

/** What is asked for: to add a name to a list, by an update or by a section. */
export interface Intent {
  readonly name: string;
  readonly list: string;
  /** Under a key it may be asked for again. */
  readonly idempotencyKey: string | undefined;
  readonly how: "update" | "section";
  told: Told;
  /** The first result that anybody was told. */
  result: string | undefined;
}

/** The intents of one run. */
export class Intents {
  readonly #ledger: Ledger;
  readonly #nowMs: () => number;
  readonly #open: Intent[] = [];

  constructor(ledger: Ledger, nowMs: () => number) {
    this.#ledger = ledger;
    this.#nowMs = nowMs;
  }

  /** A new one, or one that somebody has asked for before. */
  next(random: Random, lists: readonly string[]): Intent {
    if (this.#open.length > 0 && random.chance(0.4)) return random.pick(this.#open);
    const list = random.pick(lists);
    const name = this.#ledger.begin(list, this.#nowMs());
    const isKeyed = random.chance(0.6);
    const intent: Intent = {
      ...{ name, list, how: random.chance(0.6) ? "update" : "section" },
      idempotencyKey: isKeyed ? `key of ${name}` : undefined,
      ...{ told: "unknown", result: undefined },
    };
    if (isKeyed) {
      this.#open.push(intent);
      if (this.#open.length > 30) this.#open.shift();
    }
    return intent;
  }

  /** Somebody was told. What was refused once may be asked for again, under a key. */
  tell(intent: Intent, told: Told, result?: string): void {
    const { name, idempotencyKey } = intent;
    if (told === "applied") {
      if (intent.result !== undefined && intent.result !== result) {
        this.#ledger.faults.push(`${name} was told ${intent.result}, and then ${result}`);
      }
      if (intent.told !== "applied") this.#ledger.end(name, "applied", this.#nowMs());
      else this.#ledger.count("repetitions");
      intent.told = "applied";
      intent.result = result;
    } else if (idempotencyKey === undefined) this.#ledger.end(name, told, this.#nowMs());
    else this.#ledger.count(`${told} for now`);
  }
}

/** Asks a replica for it. */
export async function ask(
  intent: Intent,
  { notes, fenced }: Site,
  options: {
    readonly waitMs: number;
    readonly ttlMs: number;
    readonly thinkMs: () => Promise<void>;
  },
): Promise<string | undefined> {
  const { list, name, how, idempotencyKey } = intent;
  const { waitMs, ttlMs, thinkMs } = options;
  const key = idempotencyKey === undefined ? {} : { idempotencyKey };
  const appended = (current: unknown): string =>
    typeof current === "string" && current !== "" ? `${current},${name}` : name;
  if (how === "update") {
    const written = await notes.update(list, appended, { waitMs, ...key });
    return String(written);
  }
  return fenced.escalate(
    [notes.at(list)],
    async (section) => {
      await thinkMs();
      const [current] = section.values;
      section.set(notes.at(list), appended(current));
      return appended(current);
    },
    { waitMs, ttlMs, ...key },
  );
}
