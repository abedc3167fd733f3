/**
 * Kills a durable replica while it takes requests, starts it again on its directory and finds out
 * which of them it holds, so that the others can be given again and none is counted twice.
 *
 * A process that was killed may have done more than it said: requests may be on its disk without its
 * word, and others may have them that its disk does not, since publishing does not wait for it. So
 * each request writes its number in its own transaction, and what counts is the number that is found
 * once the replica has what its disk and everybody that it was linked to have of it.
 */
import { changeLinks, type Link, linksAt, type Member, openMember, versions } from "./members.ts";
import type { Bounds } from "../worker-process.ts";
import { type ReplicaProcess, startReplicaProcess } from "./process.ts";
import type { Visit } from "./site.ts";

/** What a kill did. */
export interface KillResult {
  readonly replica: string;
  /** Requests that it had been given and not said to have taken. */
  readonly unanswered: number;
  /** How many of them it holds; the rest is given again. */
  readonly held: number;
  /** From the start of its process until its directory was read and it listened. */
  readonly reopenedMs: number;
}

/** Whom to kill, and in the middle of what. */
export interface Killing {
  readonly member: Member;
  readonly members: readonly Member[];
  /** Those that carry at that time. */
  readonly links: readonly Link[];
  readonly visits: readonly Visit[];
  readonly bounds: Bounds;
  readonly logLevel: string;
  /** Told of the new process before anything is asked of it. */
  readonly onProcess: (process: ReplicaProcess) => void;
}

/** @throws WorkerError when a process failed otherwise than by the kill; the signal's reason. */
export async function killAndRestart(killing: Killing): Promise<KillResult> {
  const { member, members, links, visits, bounds, logLevel } = killing;
  const unanswered = await killWhileTaking(member, visits);
  // The end of a link comes after all that was sent on it.
  const own = linksAt(links, member);
  const carrying = links.filter((link) => !own.includes(link));
  const others = members.filter((other) => other !== member);
  await changeLinks(others, { carrying });

  const startedAt = performance.now();
  member.process = startReplicaProcess(member.name, bounds);
  killing.onProcess(member.process);
  await openMember(member, logLevel);
  const reopenedMs = performance.now() - startedAt;

  if (own.length > 0) {
    await changeLinks(members, { add: own, carrying: links });
    // Whoever was not linked to it has nothing of it that these do not have.
    const linked = own.map(({ from, to }) => (from === member ? to : from));
    const held = await versions(linked);
    await member.process.ask({ kind: "await-versions", versions: held }, "done");
  }
  const { count } = await member.process.ask({ kind: "taken" }, "taken");
  const held = count - (member.taken + visits.length - unanswered);
  member.taken = count;
  return { replica: member.name, unanswered, held, reopenedMs };
}

/**
 * Kills it when it has taken half of the visits, of which a part is durable by then. Resolves with
 * how many were not said to be taken.
 */
async function killWhileTaking(
  { process, taken }: Member,
  visits: readonly Visit[],
): Promise<number> {
  let isKilled = false;
  let unanswered = visits.length;
  const take = async (): Promise<void> => {
    try {
      await process.ask({ kind: "apply", visits, before: taken }, "done");
      unanswered = 0;
    } catch (error) {
      if (!isKilled) throw error;
    }
  };
  const kill = async (): Promise<void> => {
    for (;;) {
      const { count } = await process.ask({ kind: "taken" }, "taken");
      if (unanswered === 0 || count >= taken + visits.length / 2) break;
    }
    isKilled = true;
    await process.kill();
  };
  await Promise.all([take(), kill()]);
  return unanswered;
}
