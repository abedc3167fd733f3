/** What a check came to. */
import { TrellisError, UsageError } from "../../errors.ts";

/** `warning`: it works, and may stop to, or costs something. `failed`: it does not work. */
export type Verdict = "ok" | "warning" | "failed";

/** One finding. */
export interface Finding {
  /** What was looked at. */
  readonly check: string;
  readonly verdict: Verdict;
  /** What was found, and what it means. */
  readonly says: string;
  /** What to do; absent when nothing is to be done. */
  readonly remedy?: string;
}

/** All is well there. */
export const ok = (check: string, says: string): Finding => ({ check, verdict: "ok", says });

/** It works, but. */
export const warning = (check: string, says: string, remedy: string): Finding => ({
  ...{ check, verdict: "warning", says, remedy },
});

/** It does not work. */
export const failed = (check: string, says: string, remedy: string): Finding => ({
  ...{ check, verdict: "failed", says, remedy },
});

/** Findings of one check. */
export type Check = () => Promise<readonly Finding[]>;

/** Runs one check; a fault of it, or its being late, is a finding. */
export async function within(
  check: string,
  timeoutMs: number,
  run: Check,
): Promise<readonly Finding[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly Finding[]>((resolve) => {
    timer = setTimeout(() => {
      const says = `it did not end within ${timeoutMs} ms`;
      resolve([
        failed(check, says, "look for what hangs: a network that drops, a disk that stalls"),
      ]);
    }, timeoutMs);
  });
  try {
    return await Promise.race([run(), late]);
  } catch (error) {
    return [failed(check, reasonOf(error), "docs/errors.md has the codes of Trellis")];
  } finally {
    clearTimeout(timer);
  }
}

/** What an error says, with its code if it is one of ours. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // A wrong use is nothing to look up.
  if (!(error instanceof TrellisError) || error instanceof UsageError) return error.message;
  return `${error.message} (${error.code})`;
}
