/** Who wrote a document: what stands under its key are updates in slots, which say nothing to people one by one. */
import type { Provenance, ToldCell } from "../../store/provenance.ts";

/** What one actor has in a document. */
export interface DocumentWriter {
  /** Updates of its own that stand there; what it merged into one is one. */
  readonly updates: number;
  /** Its latest write that still matters there. */
  readonly latest: ToldCell;
}

/** The writers of a document, who wrote last first. */
export function documentWriters({ cells }: Provenance): DocumentWriter[] {
  const byActor = new Map<string, ToldCell[]>();
  for (const cell of cells) {
    const written = byActor.get(cell.actor);
    if (written) written.push(cell);
    else byActor.set(cell.actor, [cell]);
  }
  return [...byActor.values()]
    .flatMap((written) => {
      const [latest] = written.toSorted((one, other) => other.sequence - one.sequence);
      if (latest === undefined) return [];
      const live = written.filter(({ isLive }) => isLive);
      return [{ updates: new Set(live.map(updateOf)).size, latest }];
    })
    .toSorted((one, other) => other.latest.number - one.latest.number);
}

/** The name of the update that a slot is, or is a part of. */
const updateOf = ({ path }: ToldCell): string => path.join(" ").replace(/\/\d+\/\d+"?$/u, "");
