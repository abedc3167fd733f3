/** When is which node due? A heap with one time a node, in ms of whatever clock its owner means. */

/** Nodes and times, the earliest first. */
export class Dues {
  /** A binary heap of pairs: time, node. Of a node only the pair that `#due` names counts. */
  #heap: number[] = [];
  readonly #due = new Map<number, number>();

  /** Nodes that are due some time. */
  get size(): number {
    return this.#due.size;
  }

  /** The node is due then, or earlier if that was said before. Amortised O(log n). */
  add(node: number, atMs: number): void {
    const before = this.#due.get(node);
    if (before !== undefined && before <= atMs) return;
    this.#due.set(node, atMs);
    if (this.#heap.length > 4 * this.#due.size + 1_024) this.#rebuild();
    else this.#push(atMs, node);
  }

  /** The node is not due at all. O(1). */
  remove(node: number): void {
    this.#due.delete(node);
  }

  /** When the next one is due. */
  get nextMs(): number | undefined {
    while (this.#heap.length > 0) {
      const [atMs, node] = this.#heap as [number, number];
      if (this.#due.get(node) === atMs) return atMs;
      this.#pop();
    }
    return undefined;
  }

  /** Takes the next one that is due by `nowMs`. */
  take(nowMs: number): number | undefined {
    const atMs = this.nextMs;
    if (atMs === undefined || atMs > nowMs) return undefined;
    const node = this.#heap[1] as number;
    this.#pop();
    this.#due.delete(node);
    return node;
  }

  #rebuild(): void {
    this.#heap = [];
    for (const [node, atMs] of this.#due) this.#push(atMs, node);
  }

  #push(atMs: number, node: number): void {
    const heap = this.#heap;
    heap.push(atMs, node);
    let at = heap.length / 2 - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((heap[2 * parent] as number) <= atMs) break;
      this.#move(parent, at);
      at = parent;
    }
    heap[2 * at] = atMs;
    heap[2 * at + 1] = node;
  }

  /** The first goes; the last takes its place and sinks. */
  #pop(): void {
    const heap = this.#heap;
    const node = heap.pop() as number;
    const atMs = heap.pop() as number;
    const count = heap.length / 2;
    if (count === 0) return;
    let at = 0;
    for (let child = 1; child < count; child = 2 * at + 1) {
      const other = child + 1;
      if (other < count && (heap[2 * other] as number) < (heap[2 * child] as number)) child = other;
      if ((heap[2 * child] as number) >= atMs) break;
      this.#move(child, at);
      at = child;
    }
    heap[2 * at] = atMs;
    heap[2 * at + 1] = node;
  }

  #move(from: number, to: number): void {
    this.#heap[2 * to] = this.#heap[2 * from] as number;
    this.#heap[2 * to + 1] = this.#heap[2 * from + 1] as number;
  }
}
