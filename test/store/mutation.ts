/**
 * Wrong frames from right ones. Valid frames are recorded on a link; each input changes one a little,
 * or is made up, and goes to a receiver that has taken all frames before it. It is refused, and then
 * nothing changed, or it is taken; nothing else may happen.
 */
import { TrellisError } from "../../src/errors.ts";
import { ByteWriter, MalformedError } from "../../src/store/bytes.ts";
import { Exchange } from "../../src/store/exchange.ts";
import { hasTurn, mixedCases } from "../crdt/type-cases.ts";
import { type Random, World } from "../simulation/virtual-environment.ts";
import { Cluster } from "./cluster.ts";
import { assertWhole, dump } from "./dump.ts";
import { Replica } from "./replica.ts";

/** A receiver's history: frames in order, the last of which is to be replaced. */
export interface Recording {
  readonly seed: number;
  readonly frames: readonly Uint8Array[];
}

/** What came of one input. */
export type Outcome = "refused" | "taken";

/** The frames of a short random life of one sender, as one link gets them. */
export function record(seed: number): Recording {
  // Small frames, so that many are parts of series.
  const limits = { touches: seed % 2 === 0 ? 4 : 16_384, bytes: 512 * 1024 };
  const cluster = new Cluster({ seed, replicas: 2, limits, isChecked: false });
  const [sender, receiver] = cluster.replicas as [Replica, Replica];
  const [from, to] = cluster.connect(sender, receiver).ends;
  cluster.deliver(from);
  cluster.deliver(to);
  const frames: Uint8Array[] = [];
  for (let i = 0; i < 6; i++) {
    for (let j = cluster.random.below(6); j >= 0; j--) cluster.write(sender);
    const frame = from.exchange?.next();
    if (frame) frames.push(frame);
  }
  return { seed, frames };
}

/** A receiver that has taken the first `count` frames, and has writes of its own. */
export class Target {
  readonly receiver: Replica;
  readonly exchange: Exchange;
  /** Before the next input. */
  #before: string;
  #inputs = 0;

  constructor(recording: Recording, count: number) {
    const world = new World(recording.seed + 1);
    this.receiver = new Replica("receiver", world.environment());
    for (const typeCase of mixedCases.filter((one) => hasTurn(one, world.random))) {
      typeCase.perform(this.receiver.collections, "k", typeCase.draw(world.random));
    }
    this.receiver.keyspace.flush();
    this.exchange = this.#link();
    for (const frame of recording.frames.slice(0, count)) this.exchange.receive(frame);
    this.#before = this.#state();
  }

  /** Gives it one input. @throws an Error when anything but refusing or taking happened. */
  try(input: Uint8Array): Outcome {
    const { keyspace } = this.receiver;
    const startMs = performance.now();
    const outcome = this.#receive(input);
    const tookMs = performance.now() - startMs;
    if (tookMs > 2_000) throw new Error(`an input of ${input.length} bytes took ${tookMs} ms`);
    if (outcome === "taken" || this.#inputs++ % 8 === 0) assertWhole(keyspace);
    const after = this.#state();
    if (outcome === "refused" && after !== this.#before) {
      throw new Error("a refused frame changed the state");
    }
    this.#before = after;
    return outcome;
  }

  #state(): string {
    return JSON.stringify(dump(this.receiver.keyspace, "all"));
  }

  #receive(input: Uint8Array): Outcome {
    try {
      this.exchange.receive(input);
      return "taken";
    } catch (error) {
      if (error instanceof MalformedError || error instanceof TrellisError) return "refused";
      throw error;
    }
  }

  #link(): Exchange {
    const { exchanges, keyspace } = this.receiver;
    return new Exchange(exchanges, {
      told: keyspace.held,
      known: this.receiver.translate(new Map()),
    });
  }
}

/** Changes a frame a little. */
export function mutate(random: Random, frame: Uint8Array, other: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(frame);
  for (let changes = 1 + random.below(3); changes > 0 && bytes.length > 0; changes--) {
    const at = random.below(bytes.length);
    const before = bytes[at] ?? 0;
    bytes[at] = random.pick([
      before ^ (1 << random.below(8)),
      before + 1,
      before - 1,
      random.below(256),
      0,
      1,
      0x7f,
      0x80,
      0xff,
    ]);
  }
  switch (random.below(6)) {
    case 0:
      return bytes.subarray(0, random.below(bytes.length + 1));
    case 1:
      return splice(bytes, random.below(bytes.length + 1), 0, random.bytes(1 + random.below(9)));
    case 2:
      return splice(bytes, random.below(bytes.length + 1), 1 + random.below(6), new Uint8Array());
    case 3: {
      const start = random.below(other.length + 1);
      const part = other.subarray(start, start + random.below(32));
      return splice(bytes, random.below(bytes.length + 1), part.length, part);
    }
    default:
      return bytes;
  }
}

/** Changes one integer of a frame to one at a limit, as far as bytes can tell integers apart. */
export function mutateInteger(random: Random, frame: Uint8Array): Uint8Array {
  const start = random.below(frame.length);
  let end = start;
  while (end < frame.length - 1 && (frame[end] ?? 0) >= 0x80) end++;
  const into = new ByteWriter();
  into.varint(
    random.pick([
      ...[0, 1, 2, 31, 32, 127, 128, 1023, 1024, 1025, 2 ** 16, 2 ** 18, 2 ** 18 + 1, 2 ** 22],
      ...[2 ** 30, 2 ** 31 - 2, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 48],
      Number.MAX_SAFE_INTEGER - random.below(64),
    ]),
  );
  return splice(frame, start, end + 1 - start, into.take());
}

/** Bytes that begin like a frame. */
export function invent(random: Random): Uint8Array {
  const bytes = random.bytes(1 + random.below(64));
  bytes[0] = random.below(16);
  for (let i = 1; i < bytes.length; i++) {
    if (random.chance(0.6)) bytes[i] = random.below(4);
  }
  return bytes;
}

function splice(bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  return Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
}

/** Runs `inputs` inputs from `seed`; returns how many were refused and taken. */
export function fuzz(
  options: { readonly seed: number; readonly inputs: number; readonly random: Random },
  progress: (done: number) => void = () => undefined,
): Record<Outcome, number> {
  const { random } = options;
  const outcomes = { refused: 0, taken: 0 };
  let done = 0;
  while (done < options.inputs) {
    const seed = 1 + random.below(1_000_000);
    const recording = record(seed);
    if (recording.frames.length === 0) continue;
    const count = random.below(recording.frames.length);
    const frame = recording.frames[count] as Uint8Array;
    let target = new Target(recording, count);
    for (let i = 0; i < 40 && done < options.inputs; i++, done++) {
      const input = draw(random, frame, random.pick(recording.frames));
      try {
        const outcome = target.try(input);
        outcomes[outcome]++;
        // A refused frame ends its link; what was taken changed the state.
        if (outcome === "taken" || random.chance(0.2)) target = new Target(recording, count);
      } catch (error) {
        const hex = Buffer.from(input).toString("hex");
        throw new Error(
          `seed ${options.seed}, recording ${seed}, after ${count} frames, input ${hex}: ` +
            (error instanceof Error ? error.message : String(error)),
          { cause: error },
        );
      }
    }
    progress(done);
  }
  return outcomes;
}

function draw(random: Random, frame: Uint8Array, other: Uint8Array): Uint8Array {
  const kind = random.below(10);
  if (kind < 5) return mutate(random, frame, other);
  if (kind < 8) return mutateInteger(random, frame);
  return kind === 8 ? mutate(random, mutateInteger(random, frame), other) : invent(random);
}
