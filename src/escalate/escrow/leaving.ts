/**
 * A clean close: nothing is spent any more, the disk says so, then all that is left goes back to the pool.
 * What the pool does not take in time is told to it when the directory is opened again.
 */
import type { Environment } from "../../environment.ts";
import type { Logger } from "../../telemetry.ts";
import { errorFields } from "../escalated-calls.ts";
import type { Contact } from "./contact.ts";
import type { Counters } from "./counters.ts";
import type { FormerHolders } from "./former-holders.ts";
import { shownOf } from "./holding.ts";
import type { KeyedChanges } from "./keyed.ts";
import { closing } from "./refusals.ts";
import type { RightsJournal } from "./rights-journal.ts";

/** Who leaves. */
export interface Leaving {
  readonly environment: Environment;
  readonly logger: Logger;
  /** Lines of the log may name keys. */
  readonly logKeys: boolean;
  readonly journal: RightsJournal;
  readonly keyed: KeyedChanges;
  readonly former: FormerHolders;
  readonly collections: readonly Counters[];
}

/** How long giving back may take, in ms. */
const leaveMsMax = 5_000;
/** Pools that are written at the same time. */
const atOnceMax = 32;

/** Resolves when all is given back, or in bounded time. */
export async function leaveAll(leaving: Leaving): Promise<void> {
  const { environment, logger, logKeys, journal, keyed, former } = leaving;
  const beganMs = environment.monotonic();
  keyed.close();
  const gaveBack = giveBack(leaving).catch((error: unknown) => {
    const failures = error instanceof AggregateError ? error.errors : [error];
    const latencyMs = Math.round(environment.monotonic() - beganMs);
    logger.warn(
      { counters: failures.length, latencyMs, ...errorFields(failures[0], logKeys) },
      "not all rights could be returned; they are when this is opened again",
    );
  });
  const ended = Promise.all([gaveBack, former.close()]);
  const late = new Promise<void>((resolve) => {
    const timer = environment.schedule(leaveMsMax, resolve);
    void ended.finally(() => timer.cancel());
  });
  await Promise.race([ended, late]);
  await journal.close();
}

async function giveBack({ collections, journal, keyed }: Leaving): Promise<void> {
  const contacts = collections.flatMap((counters) =>
    [...counters.contacts].map((contact) => ({ counters, contact })),
  );
  await Promise.all(contacts.map(({ contact }) => contact.close(closing())));
  const retired = contacts.filter(({ contact }) => retire(contact));
  // What is claimed counts before the pool is told the last figures.
  await keyed.ended();
  await journal.written();
  journal.leave();
  // What the disk has set aside may count as spent later, though it is decided meanwhile: the next opening sees to it.
  const queue = retired.filter(
    ({ contact: { holding } }) => !holding.isDurable || holding.kept.pending.length === 0,
  );
  const failures: unknown[] = [];
  const work = async (): Promise<void> => {
    for (let next = queue.pop(); next; next = queue.pop()) {
      const { counters, contact } = next;
      const { holding } = contact;
      try {
        if (!(await contact.finish())) continue;
        counters.figures.show(holding.key, holding.holder, { ...shownOf(holding.kept), phase: 2 });
        journal.forget(holding);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnceMax, queue.length) }, work));
  await journal.written();
  if (failures.length > 0) throw new AggregateError(failures, "pools were not written");
}

/** Whether there is anything to tell the pool. One that was stopped stays as it is. */
function retire({ holding }: Contact): boolean {
  if (holding.stopped) return false;
  const { down, up } = holding;
  const isUsed = holding.seen !== undefined || down.created > 0 || (up?.created ?? 0) > 0;
  if (!isUsed && holding.pending.size === 0) {
    holding.stop(closing());
    return false;
  }
  holding.retire(closing());
  return true;
}
