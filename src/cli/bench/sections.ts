/** Whoever can read, decide and write some values while nobody else does can do everything a service does. */
import type { Awaitable, Verbs } from "./strategy.ts";

/** What a section makes of the values of its keys. */
export interface Outcome<T> {
  readonly result: T;
  /** A value for each key, in their order; undefined leaves one as it is. Without it nothing is written. */
  readonly writes?: readonly (string | undefined)[];
}

/** What lies on `keys`: undefined where nothing does. */
export type Work<T> = (values: readonly (string | undefined)[]) => Outcome<T>;

/** Runs `work` over the values of `keys`; nobody else writes them meanwhile, or it is run again. Two keys at most. */
export type Exclusively = <T>(keys: readonly string[], work: Work<T>) => Promise<T>;

/** The verbs over sections. Plain reads pass none: `read` is how the strategy's users read. */
export function verbsOfSections(
  exclusively: Exclusively,
  read: (key: string) => Awaitable<string | undefined>,
): Verbs {
  const once = async (key: string, by: string): Promise<boolean> =>
    await exclusively([key], ([owner]) =>
      owner === undefined ? { result: true, writes: [by] } : { result: false },
    );
  return {
    add: async (key, amount) =>
      await exclusively([key], ([value = "0"]) => ({
        result: undefined,
        writes: [String(Number(value) + amount)],
      })),
    take: async (key, units) =>
      await exclusively([key], ([value = "0"]) => {
        const left = Number(value) - units;
        return left < 0 ? { result: false } : { result: true, writes: [String(left)] };
      }),
    redeem: once,
    claim: async (name, owner) =>
      await exclusively([name], ([before]) =>
        before === undefined ? { result: true, writes: [owner] } : { result: before === owner },
      ),
    get: read,
    set: async (key, value) =>
      await exclusively([key], () => ({ result: undefined, writes: [value] })),
    move: async (from, to, units) =>
      await exclusively([from, to], ([a = "0", b = "0"]) => {
        const left = Number(a) - units;
        if (left < 0) return { result: false };
        return { result: true, writes: [String(left), String(Number(b) + units)] };
      }),
  };
}
