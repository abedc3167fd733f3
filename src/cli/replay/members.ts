/** The replicas of a replay, and the links between them, as the coordinator knows them. */
import type { LocksChoice } from "./locks-choice.ts";
import type { ReplicaProcess } from "./process.ts";

/** Who is linked with whom: everybody with everybody, or everybody with the first. */
export type Topology = "mesh" | "star";

/** One replica. One that was killed goes on in another process, at another address. */
export interface Member {
  readonly name: string;
  /** Where it keeps what it holds; undefined in memory. */
  readonly directory: string | undefined;
  /** Of a shop. */
  readonly locks: LocksChoice | undefined;
  process: ReplicaProcess;
  url: string;
  /** Requests that it was given and said to have taken. */
  taken: number;
}

/** `from` dials `to`. */
export interface Link {
  readonly from: Member;
  readonly to: Member;
}

/** Opens a replica in the process that the member has now. */
export async function openMember(member: Member, logLevel: string): Promise<void> {
  const { name, directory, locks } = member;
  const { url } = await member.process.ask(
    {
      ...({ kind: "open", name, logLevel } as const),
      ...(directory === undefined ? {} : { directory }),
      ...(locks === undefined ? {} : { locks }),
    },
    "opened",
  );
  member.url = url;
}

/** The links of a topology. The last member dials its own: nobody dials it. */
export const linksOf = (members: readonly Member[], topology: Topology): Link[] =>
  members.flatMap((from, index) =>
    members.slice(0, topology === "mesh" ? index : Math.min(index, 1)).map((to) => ({ from, to })),
  );

/** The links that a member is at an end of. */
export const linksAt = (links: readonly Link[], member: Member): Link[] =>
  links.filter(({ from, to }) => from === member || to === member);

/** What is to happen to links. */
export interface LinkChange {
  readonly add?: readonly Link[];
  readonly remove?: readonly Link[];
  /** The links that are to carry changes before this resolves; undefined does not wait. */
  readonly carrying: readonly Link[] | undefined;
}

/** Dials and hangs up, and waits until each of `members` has just the links that are to carry. */
export async function changeLinks(members: readonly Member[], change: LinkChange): Promise<void> {
  const { add = [], remove = [], carrying } = change;
  await Promise.all([
    ...add.map(({ from, to }) => from.process.ask({ kind: "dial", url: to.url }, "done")),
    ...remove.map(({ from, to }) => from.process.ask({ kind: "hang-up", url: to.url }, "done")),
  ]);
  if (carrying === undefined) return;
  await Promise.all(
    members.map((member) => {
      const links = linksAt(carrying, member).length;
      return member.process.ask({ kind: "await-links", links }, "done");
    }),
  );
}

/** What each holds now. */
export const versions = (members: readonly Member[]): Promise<string[]> =>
  Promise.all(
    members.map(async ({ process }) => (await process.ask({ kind: "version" }, "version")).version),
  );
