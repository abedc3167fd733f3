/** What registers were set to, by number, in pages that exist only where there is something. */

const pageBits = 8;
const pageSize = 1 << pageBits;

/** Values by small numbers; what was never set is undefined. */
export class PayloadPages {
  readonly #pages: (unknown[] | undefined)[] = [];

  at(number: number): unknown {
    return this.#pages[number >> pageBits]?.[number & (pageSize - 1)];
  }

  set(number: number, payload: unknown): void {
    let page = this.#pages[number >> pageBits];
    if (page === undefined) {
      if (payload === undefined) return;
      page = this.#add(number >> pageBits);
    }
    page[number & (pageSize - 1)] = payload;
  }

  #add(index: number): unknown[] {
    // Filled with something that is no number: else numbers are kept as doubles, and made anew when read.
    const page: unknown[] = Array.from({ length: pageSize });
    while (this.#pages.length <= index) this.#pages.push(undefined);
    this.#pages[index] = page;
    return page;
  }
}
