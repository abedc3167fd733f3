/** What replicas said is on their disks, and what they must still know when they come back. */
import { covers, type Vector, vectorText } from "./history.ts";
import type { Life } from "./life.ts";

/** Of one run, by host. */
export class Promises {
  readonly #kept = new Map<string, Vector[]>();
  /** Stamps that some process of a host had not accepted. */
  readonly #held = new Map<string, Set<number>>();

  /** `vector` is on the disk of that host. */
  keep(host: string, vector: Vector): void {
    const kept = this.#kept.get(host) ?? [];
    this.#kept.set(host, kept);
    kept.push(vector);
  }

  /** A process is gone. */
  end({ host, held }: Life): void {
    this.#held.set(host.name, new Set([...(this.#held.get(host.name) ?? []), ...held]));
  }

  /**
   * A process has begun on its disk; nothing has come from peers yet. Returns whether some is lost that
   * the one before it had. @throws Error for what must be there, and for a clock that was set back.
   */
  check(life: Life, before: Life | undefined): boolean {
    const { name, vector, host, held } = life;
    for (const kept of this.#kept.get(host.name) ?? []) {
      if (covers(vector, kept)) continue;
      throw new Error(
        `${name} lost what was durable: ${vectorText(vector)} lacks some of ${vectorText(kept)}`,
      );
    }
    // Whatever the time is now: what was accepted once is behind the next stamp.
    for (const stamp of held) {
      if (this.#held.get(host.name)?.has(stamp) === true) continue;
      throw new Error(`${name} has accepted stamp ${stamp} before, and it is ahead of its clock`);
    }
    return before !== undefined && !covers(vector, before.vector);
  }
}
