/** A telemetry that keeps what it is given, as it is given: names, kinds, labels and values. */
import type { FigureSink, Labels, Telemetry } from "../../src/telemetry.ts";
import type { MetricKind } from "../../src/telemetry/catalogue.ts";

/** One figure that was told. */
export interface Told {
  readonly name: string;
  readonly kind: MetricKind;
  readonly labels: Labels;
  readonly value: number;
}

/** Keeps everything. */
export class Recording implements Telemetry {
  readonly pushed: Told[] = [];
  readonly #readers = new Set<(sink: FigureSink) => void>();

  count(name: string, value = 1, labels: Labels = {}): void {
    this.pushed.push({ name, kind: "counter", labels, value });
  }

  gauge(name: string, value: number, labels: Labels = {}): void {
    this.pushed.push({ name, kind: "gauge", labels, value });
  }

  observe(name: string, value: number, labels: Labels = {}): void {
    this.pushed.push({ name, kind: "distribution", labels, value });
  }

  collect(read: (sink: FigureSink) => void): () => void {
    this.#readers.add(read);
    return () => void this.#readers.delete(read);
  }

  /** How many can be read now. */
  get readers(): number {
    return this.#readers.size;
  }

  /** What is read now. */
  read(): Told[] {
    const told: Told[] = [];
    const take =
      (kind: MetricKind) =>
      (name: string, value: number, labels: Labels = {}): void =>
        void told.push({ name, kind, labels, value });
    for (const read of this.#readers) read({ total: take("counter"), gauge: take("gauge") });
    return told;
  }

  /** The sum over the series of a metric that have these labels, pushed or read. */
  sum(name: string, labels: Labels = {}): number {
    const has = (told: Told): boolean =>
      told.name === name &&
      Object.entries(labels).every(([label, value]) => told.labels[label] === value);
    return [...this.pushed, ...this.read()].filter(has).reduce((sum, { value }) => sum + value, 0);
  }
}
