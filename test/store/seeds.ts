/** Random tests run under many seeds; a failing one says which. */

/** Runs `scenario` under many seeds; the first failure names its seed and what was done. */
export function underSeeds(
  options: { readonly runs: number; readonly first?: number },
  scenario: (seed: number) => { readonly trace: readonly string[] } | undefined | void,
): void {
  const only = process.env["TRELLIS_SEED"];
  const first = only === undefined ? (options.first ?? 1) : Number(only);
  const runs = only === undefined ? options.runs : 1;
  for (let seed = first; seed < first + runs; seed++) {
    try {
      scenario(seed);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`TRELLIS_SEED=${seed} fails again: ${reason}`, { cause: error });
    }
  }
}
