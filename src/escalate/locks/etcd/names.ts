/** Names of keys. What a resource may be called is escaped, so that no two share a key. */
export class EtcdNames {
  readonly birth: string;
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.birth = `${prefix}birth`;
  }

  guard(resource: string): string {
    return `${this.#prefix}guard/${encodeURIComponent(resource)}`;
  }

  fence(resource: string): string {
    return `${this.#prefix}fence/${encodeURIComponent(resource)}`;
  }

  line(resource: string, nonce = ""): string {
    return `${this.#prefix}line/${encodeURIComponent(resource)}/${nonce}`;
  }

  gone(resource: string, nonce: string): string {
    return `${this.#prefix}gone/${encodeURIComponent(resource)}/${nonce}`;
  }
}
