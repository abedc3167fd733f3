/** Several ways to be let in. */
import type { Authenticate } from "../door.ts";

/**
 * Asks one after the other, in that order, and takes the first that accepts; the cheap ones belong first.
 * What one of them cannot judge now (it rejects) is refused for now, unless another accepts.
 */
export const anyOf =
  (...ways: readonly Authenticate[]): Authenticate =>
  async (request) => {
    let failure: { readonly error: unknown } | undefined;
    for (const way of ways) {
      try {
        // One after the other: most are let in by the first.
        const accepted = await way(request);
        if (accepted !== false) return accepted;
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure) throw failure.error;
    return false;
  };
