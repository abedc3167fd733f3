/**
 * A store that is behind what the replicas know is refused until somebody who can find out why says that it
 * is the right one all the same. Then each value goes back to what its newest copy says, under a lineage
 * above all that was seen: whoever still has something of the old one is behind from then on.
 *
 * What is lost: writes whose copies reached nobody, and the idempotency keys of the guards that are gone.
 */
import { isNewer } from "../../crdt/fenced-register.ts";
import type { Environment } from "../../environment.ts";
import { ConflictError } from "../../errors.ts";
import { decodeEnvelope, encodeEnvelope } from "./envelope.ts";
import { type FencedCollection, FencedTarget } from "./fenced-target.ts";
import type { FencedWatch } from "./fenced-watch.ts";

/** What an adoption did. */
export interface Adopted {
  /** Guards that were written again. */
  readonly adopted: number;
  /** Guards that were as new as their copies. */
  readonly unchanged: number;
}

/** A guard that was overtaken so often is in use: it is refused loudly. */
const triesMax = 10;

/** Writes the guards of a collection, or of one key of it, again where they are behind their copies. */
export async function adoptGuards(
  watch: FencedWatch,
  environment: Environment,
  collection: FencedCollection,
  keys: readonly string[] = collection.copies.all(),
): Promise<Adopted> {
  let [adopted, unchanged] = [0, 0];
  for (const key of keys) {
    if (await adoptGuard(watch, environment, new FencedTarget(collection, key))) adopted++;
    else unchanged++;
  }
  return { adopted, unchanged };
}

async function adoptGuard(
  watch: FencedWatch,
  environment: Environment,
  { collection, key, resource }: FencedTarget,
): Promise<boolean> {
  // Below the watch, which would refuse it.
  const { backend } = watch;
  for (let tries = 1; ; tries++) {
    const copy = collection.copies.newest(key);
    const guarded = await backend.read(resource);
    const { lineage, memory } = decodeEnvelope(guarded?.value, resource);
    if (!copy || !isNewer(copy, { lineage, version: Number(guarded?.version ?? 0n) })) return false;
    const next = { lineage: Math.max(copy.lineage, lineage) + 1, value: copy.value, memory };
    const id = Buffer.from(environment.randomBytes(12)).toString("hex");
    try {
      const bytes = encodeEnvelope(next);
      const written = await backend.compareAndSet(resource, guarded?.version, bytes, id);
      watch.forget(resource);
      const { lineage: adopted, value } = next;
      collection.copies.publish(key, { lineage: adopted, version: Number(written.version), value });
      return true;
    } catch (error) {
      if (!(error instanceof ConflictError) || tries === triesMax) throw error;
    }
  }
}
