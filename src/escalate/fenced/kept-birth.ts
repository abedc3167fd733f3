/** Which lock store this replica knows, kept where the replica is durable. */
import { CorruptStorageError } from "../../errors.ts";
import { ByteReader, ByteWriter, malformed, MalformedError } from "../../store/bytes.ts";
import { foreignKinds } from "../../store/image.ts";
import type { StorageEngine } from "../../store/storage.ts";
import type { BirthMemory } from "./births.ts";

const format = 1;
const birthBytesMax = 64;

const recordKey = (): Uint8Array => Uint8Array.of(foreignKinds.birth);

/** The record of one replica; in memory until `load`, and for good if that finds no disk. */
export class KeptBirth implements BirthMemory {
  readonly #onFailure: (error: unknown) => void;
  #engine: StorageEngine | undefined;
  #birth: string | undefined;
  #writing: Promise<void> = Promise.resolve();

  /** `onFailure`: it is not on the disk. After a crash the store is met as for the first time. */
  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /** @throws CorruptStorageError */
  async load(engine: StorageEngine | undefined): Promise<void> {
    this.#engine = engine;
    if (engine === undefined) return;
    const end = Uint8Array.of(foreignKinds.birth + 1);
    for await (const page of engine.read(recordKey(), end)) {
      for (const { value } of page) this.#birth = birthIn(value, engine.location);
    }
  }

  birthSeen(): string | undefined {
    return this.#birth;
  }

  rememberBirth(birth: string): void {
    if (birth === this.#birth) return;
    this.#birth = birth;
    const engine = this.#engine;
    if (engine === undefined) return;
    this.#writing = this.#writing.then(() => write(engine, birth)).catch(this.#onFailure);
  }

  /** Resolves when nothing is being written. */
  rest(): Promise<void> {
    return this.#writing;
  }
}

async function write(engine: StorageEngine, birth: string): Promise<void> {
  const out = new ByteWriter();
  out.byte(format);
  out.text(birth);
  const batch = engine.batch();
  batch.put(recordKey(), out.take());
  await batch.write({ sync: true });
}

function birthIn(value: Uint8Array, location: string): string {
  try {
    const from = new ByteReader(value);
    const found = from.byte();
    if (found !== format) malformed(`its format is ${found}; ${format} is known here`);
    const birth = from.text(birthBytesMax);
    from.end();
    return birth;
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new CorruptStorageError(`${location}: which lock store is known: ${error.message}`, {
      path: location,
      cause: error,
    });
  }
}
