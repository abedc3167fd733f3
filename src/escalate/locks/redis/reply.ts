/** What a script answered, read with care: a proxy or another server may say anything. */

/** The fields of one answer, in order. */
export class RedisReply {
  readonly #fields: readonly unknown[];
  #next = 0;

  /** @throws Error for anything but a list. */
  constructor(reply: unknown) {
    if (!Array.isArray(reply)) throw new Error(`Redis answered ${typeof reply}, not a list`);
    this.#fields = reply;
  }

  get left(): number {
    return this.#fields.length - this.#next;
  }

  text(): string {
    const field = this.#fields[this.#next++];
    if (Buffer.isBuffer(field)) return field.toString();
    throw new Error("Redis answered nothing where text is due");
  }

  bigint(): bigint {
    return BigInt(this.text());
  }

  number(): number {
    const field = this.#fields[this.#next];
    if (typeof field !== "number") return Number(this.text());
    this.#next++;
    return field;
  }

  /** A copy: what arrives is part of a larger buffer. */
  bytes(): Uint8Array | undefined {
    const field = this.#fields[this.#next++];
    if (field instanceof Uint8Array) return Uint8Array.prototype.slice.call(field);
    if (field === null) return undefined;
    throw new Error(`Redis answered ${typeof field} where bytes are due`);
  }
}
