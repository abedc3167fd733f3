/** The replicas of the sale soak, each in process after process, and the links between them. */
import { join } from "node:path";
import type { LocksChoice } from "../../src/cli/replay/locks-choice.ts";
import { type Books, readBooks } from "./sale-books.ts";
import { judge, type Judgement } from "./sale-judge.ts";
import { KilledError, KilledReplica } from "./killed-replica.ts";
import type { Performed } from "./sale-load.ts";
import type { SaleActions } from "./sale-process.ts";
import { accounts } from "./sale-shop.ts";

/** One of them. */
export interface SaleMember {
  readonly name: string;
  readonly index: number;
  readonly replica: KilledReplica<SaleActions>;
  /** Where each of its lives keeps its books. */
  readonly books: string[];
}

/** Where they are, and what they escalate to. */
export interface SaleMembersOptions {
  readonly directory: string;
  readonly seed: number;
  readonly count: number;
  readonly locks: (index: number) => LocksChoice;
}

/** All of them. */
export class SaleMembers implements AsyncDisposable {
  readonly all: readonly SaleMember[];
  readonly #options: SaleMembersOptions;
  readonly #cuts = new Set<string>();

  constructor(options: SaleMembersOptions) {
    this.#options = options;
    this.all = Array.from({ length: options.count }, (_, index) => {
      const name = `seller-${index + 1}`;
      const replica = new KilledReplica<SaleActions>({ name, script: "./sale-process.js" });
      return { name, index, replica, books: [] };
    });
  }

  /** Opens it in a new process, linked to all that it is not cut off from. @throws KilledError */
  async open(member: SaleMember): Promise<void> {
    const { name, index, books, replica } = member;
    const { directory, seed, locks } = this.#options;
    const life = books.length;
    const path = join(directory, `${name}.${life}.books`);
    books.push(path);
    const peers = this.all.filter((other) => other !== member && !this.#isCut(member, other));
    await replica.open({
      ...{ name, directory: join(directory, name), books: path, locks: locks(index) },
      peers: peers.flatMap((other) => other.replica.url ?? []),
      seed: seed + 1 + index + life * this.all.length,
    });
  }

  /** Kills its process. */
  async kill({ replica }: SaleMember): Promise<void> {
    await replica.kill();
  }

  /** Cuts the link between two. Resolves with what mends it. */
  async cut(first: SaleMember, second: SaleMember): Promise<() => Promise<void>> {
    const cut = cutName(first, second);
    if (this.#cuts.has(cut)) return async () => undefined;
    this.#cuts.add(cut);
    const both = (action: "dial" | "hangUp"): Promise<unknown> =>
      Promise.all([this.#link(first, second, action), this.#link(second, first, action)]);
    await both("hangUp");
    return async () => {
      this.#cuts.delete(cut);
      await both("dial");
    };
  }

  /** Has another do again what the customers of the last life did not hear of. */
  async repeat(member: SaleMember): Promise<void> {
    const deeds = openDeeds(judge([readBooks(member.books.at(-1) ?? "")], accounts));
    const other = this.all.find((each) => each !== member && each.replica.isOpen);
    await other?.replica.call("perform", deeds).catch(ignoreKills);
  }

  /** All books, of all lives. */
  books(): Books[] {
    return this.all.flatMap(({ books }) => books.map(readBooks));
  }

  /** Asks each at the same time. */
  each<R>(ask: (member: SaleMember) => Promise<R>): Promise<R[]> {
    return Promise.all(this.all.map(ask));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.each(({ replica }) => replica.kill());
  }

  async #link(from: SaleMember, to: SaleMember, action: "dial" | "hangUp"): Promise<void> {
    const { url } = to.replica;
    if (url === undefined || !from.replica.isOpen) return;
    await from.replica.call(action, url).catch(ignoreKills);
  }

  #isCut(first: SaleMember, second: SaleMember): boolean {
    return this.#cuts.has(cutName(first, second));
  }
}

/** What nobody heard of, to be asked again; names that are left over, to be let go. */
export const openDeeds = ({ undecided, lingering }: Judgement): Performed[] => [
  ...undecided,
  ...lingering.map(({ name, owner }) => ({ kind: "release", name, owner }) as const),
];

const cutName = (first: SaleMember, second: SaleMember): string =>
  [first.index, second.index].toSorted((a, b) => a - b).join("-");

function ignoreKills(error: unknown): void {
  if (!(error instanceof KilledError)) throw error;
}
