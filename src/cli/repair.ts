/**
 * The command `trellis repair`: a damaged directory is put aside and rebuilt from peers, under a new
 * actor, as every opening is. What only the damaged directory had is not in the new one.
 */
import { rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { CorruptStorageError, UsageError } from "../errors.ts";
import { openReplica } from "../index.ts";
import { type DialOptions, dialTarget } from "./dialing.ts";
import { inspect } from "./inspect.ts";

/** The options of `trellis repair`. */
export interface RepairCommandOptions extends DialOptions {
  readonly join?: readonly string[];
  /** In seconds. */
  readonly timeout: number;
}

/**
 * Rebuilds a directory. Until all is there the damaged one can be put back, and is when it fails.
 * @throws UsageError when it is not damaged, or nobody is named to rebuild it from; StorageError when it
 * is in use; WaitTimeoutError when the peers do not bring it up to date in time.
 */
export async function repairCommand(given: string, options: RepairCommandOptions): Promise<void> {
  // With a slash at its end it would be put aside within itself.
  const directory = resolve(given);
  const { join = [], timeout } = options;
  if (join.length === 0) throw new UsageError("repair needs a peer to --join: the rest is theirs");
  const damage = await damageOf(directory);
  const aside = `${directory}.damaged-${Date.now()}`;
  await rename(directory, aside);
  try {
    const peers = join.map((url) => dialTarget(url, options));
    await using replica = await openReplica({ schema: {}, storage: directory, peers });
    const timeoutMs = timeout * 1_000;
    await replica.synced({ timeoutMs });
    await replica.acknowledged(replica.version(), { by: "durable", timeoutMs });
    const keys = Object.values(replica.status().keys).reduce((sum, count) => sum + count, 0);
    process.stdout.write(
      `${directory} is rebuilt: ${keys.toLocaleString("en")} keys. The damaged one is ${aside}\n` +
        `it was put aside because ${damage}\n`,
    );
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    await rename(aside, directory);
    throw error;
  }
}

async function damageOf(directory: string): Promise<string> {
  try {
    await inspect(directory);
  } catch (error) {
    if (error instanceof CorruptStorageError) return error.message;
    throw error;
  }
  throw new UsageError(`${directory} is not damaged; nothing was changed`);
}
