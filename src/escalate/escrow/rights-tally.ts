/** What is counted of the callers of one collection that rights here did not suffice for. The others are not slowed down. */
import type { Environment } from "../../environment.ts";
import type { Telemetry } from "../../telemetry.ts";

/**
 * Why somebody got no rights. `insufficient`: so much is not left anywhere. `affordable`: it is, as far as the
 * pool record told, but who has it did not give it up. `unreachable`: the pool was not heard.
 */
export type RightsRefusal = "insufficient" | "affordable" | "unreachable";

/** Of one collection. */
export class RightsTally {
  readonly collection: string;
  readonly #environment: Environment;
  readonly #telemetry: Telemetry;
  /** Calls that waited. */
  waits = 0;
  /** How often others were asked to give back. */
  recalls = 0;
  readonly refusals: Record<RightsRefusal, number> = {
    insufficient: 0,
    affordable: 0,
    unreachable: 0,
  };

  constructor(collection: string, environment: Environment, telemetry: Telemetry) {
    this.collection = collection;
    this.#environment = environment;
    this.#telemetry = telemetry;
  }

  /** One waits from now on, and is told no later for being measured. */
  measure(waiting: Promise<void>): void {
    this.waits++;
    const beganMs = this.#environment.monotonic();
    const over = (): void => {
      const tookMs = this.#environment.monotonic() - beganMs;
      this.#telemetry.observe("trellis_rights_wait_ms", tookMs, { collection: this.collection });
    };
    waiting.then(over, over);
  }
}
