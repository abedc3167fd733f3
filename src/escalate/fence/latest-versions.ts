/** The latest version known here of each resource, for the resources that were used last. */

const resourcesMax = 10_000;

/** A memory that forgets what was not used for long. */
export class LatestVersions {
  readonly #versions = new Map<string, bigint>();

  get(resource: string): bigint | undefined {
    return this.#versions.get(resource);
  }

  /** Only ever moves on. */
  note(resource: string, version: bigint): void {
    const known = this.#versions.get(resource);
    this.#versions.delete(resource);
    this.#versions.set(resource, known === undefined || version > known ? version : known);
    if (this.#versions.size <= resourcesMax) return;
    const oldest = this.#versions.keys().next();
    if (oldest.done !== true) this.#versions.delete(oldest.value);
  }
}
