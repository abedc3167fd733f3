/** Where things are in Redis: all of a prefix in one hash slot, so that a script may touch any of it. */
import { InvalidValueError } from "../../../errors.ts";

/** The keys of one prefix. */
export class RedisKeys {
  readonly birth: string;
  /** Of all tokens. */
  readonly counter: string;
  readonly #base: string;

  /**
   * A prefix may name its slot by a hash tag of its own (`{orders}/`); otherwise it is its own tag.
   * @throws InvalidValueError if it has braces that are no tag.
   */
  constructor(prefix: string) {
    const isTagged = /^[^{]*\{[^}]+\}/u.test(prefix);
    if (!isTagged && /[{}]/u.test(prefix)) {
      const reason = "has braces that are not a hash tag of Redis";
      throw new InvalidValueError(`prefix ${reason}; nothing was sent`, { path: "prefix", reason });
    }
    this.#base = isTagged ? prefix : `${prefix}{${prefix}locks}`;
    this.birth = `${this.#base}:birth`;
    this.counter = `${this.#base}:token`;
  }

  guard(resource: string): string {
    return `${this.#base}:guard:${resource}`;
  }

  /** As the scripts of one resource name them. */
  lined(resource: string): readonly string[] {
    return [
      ...[this.birth, this.guard(resource), `${this.#base}:line:${resource}`],
      ...[`${this.#base}:waiters:${resource}`, this.counter],
    ];
  }

  channel(name: string): string {
    return `${this.#base}:turn:${name}`;
  }
}
