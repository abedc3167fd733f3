/**
 * How does one importer write several values that are to stand beside each other? Whoever writes the second
 * has seen the first, and replaces it. So each further value is written by a replica of its own, in memory,
 * that knows of nothing else; at the end the importing replica joins what those wrote.
 *
 * Their clocks are behind by a second each, so that the values come to stand in the order that they had.
 */
import { grantOf } from "../../access.ts";
import type { KnownType } from "../../crdt/type-of.ts";
import { systemEnvironment } from "../../environment.ts";
import { embeddedLocks } from "../../escalate/locks/embedded.ts";
import { openReplica, type Replica, type Schema } from "../../index.ts";
import { applyContent } from "./apply.ts";
import type { ContentLine, Stamped } from "./format.ts";
import { type RegisterName, ValuePlaces } from "./value-places.ts";

/** Values of one register that are imported; of more, the earliest are left out. */
export const concurrentMax = 16;
const behindMs = 1_000;

/** Values of one register, or a part of them, the latest first. */
export interface RegisterValues {
  readonly type: KnownType;
  readonly line: ContentLine;
  readonly name: RegisterName;
  readonly values: readonly Stamped[];
}

/** The writers of further values of one import. */
export class ConcurrentValues implements AsyncDisposable {
  readonly #writers: readonly Replica<Schema>[];
  readonly #places = new ValuePlaces();
  /** Values beyond `concurrentMax`. */
  dropped = 0;

  private constructor(writers: readonly Replica<Schema>[]) {
    this.#writers = writers;
  }

  /** Ready for registers that hold up to `count` values at once. */
  static async open(count: number): Promise<ConcurrentValues> {
    const writers: Replica<Schema>[] = [];
    for (let place = 1; place < Math.min(count, concurrentMax); place++) {
      writers.push(await openWriter(place));
    }
    return new ConcurrentValues(writers);
  }

  /** Goes on to a line. */
  at(line: ContentLine): void {
    this.#places.at(line);
  }

  /** Has all but the latest value of a register written elsewhere; returns that, if it is among them. */
  take({ type, line, name, values }: RegisterValues): Stamped | undefined {
    const first = this.#places.take(name, values.length);
    values.forEach((value, i) => {
      if (first + i === 0) return;
      const writer = this.#writers[first + i - 1];
      if (writer) writeOne(writer, type, { line, name, value });
      else this.dropped++;
    });
    return first === 0 ? values[0] : undefined;
  }

  /** Has `replica` join what was written. @throws WaitTimeoutError */
  async join(replica: Replica<Schema>, timeoutMs: number): Promise<void> {
    for (const writer of this.#writers) {
      const { port = 0 } = writer.address ?? {};
      const url = `ws://127.0.0.1:${port}`;
      replica.addPeer(url);
      await replica.waitFor(writer.version(), { timeoutMs });
      replica.removePeer(url);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const writer of this.#writers) await writer.close();
  }
}

/** On loopback, and open to be read only: what else is imported does not come here. */
const openWriter = (place: number): Promise<Replica<Schema>> =>
  openReplica<Schema>({
    schema: {},
    name: "trellis import",
    locks: embeddedLocks(),
    listen: {
      port: 0,
      authenticate: () => grantOf({ subject: "trellis import" }, ["replicate-read"]),
    },
    environment: { ...systemEnvironment, now: () => Date.now() - place * behindMs },
  });

function writeOne(
  writer: Replica<Schema>,
  type: KnownType,
  { line, name, value }: Pick<RegisterValues, "line" | "name"> & { readonly value: Stamped },
): void {
  const { entry, field } = name;
  const held = { kind: "mv-register", values: [value] } as const;
  const content =
    entry === undefined || field === undefined
      ? held
      : ({ kind: "or-map", entries: [[entry, field, held]] } as const);
  applyContent(writer, type, { line: { ...line, content }, further: (_, [only]) => only });
}
