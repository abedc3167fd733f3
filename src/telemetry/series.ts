/** The series of one metric: a figure for each combination of its labels, with a bound on how many there are. */
import type { Labels } from "../telemetry.ts";
import type { Metric } from "./metric.ts";

/** Values of one label that are told apart. All others are `other`: names of peers come from peers. */
export const labelValuesMax = 200;
/** What they are called then. */
export const otherValue = "other";

/** One series. */
export interface Series {
  /** Just the labels that the catalogue has. */
  readonly labels: Labels;
  value: number;
}

const noLabels: Labels = {};

/** All series of one metric. */
export class MetricSeries implements Iterable<Series> {
  readonly metric: Metric;
  readonly #series = new Map<string, Series>();
  /** Seen so far, by the places of the labels. */
  readonly #values: readonly Set<string>[];

  constructor(metric: Metric) {
    this.metric = metric;
    this.#values = metric.labels.map(() => new Set());
  }

  [Symbol.iterator](): Iterator<Series> {
    return this.#series.values();
  }

  /** The series of these labels, made if need be. O(labels). */
  at(labels: Labels = noLabels): Series {
    return this.#series.get(this.#key(labels)) ?? this.#made(labels);
  }

  /** The same figures, to be added to. */
  copy(): MetricSeries {
    const copy = new MetricSeries(this.metric);
    for (const { labels, value } of this) copy.at(labels).value = value;
    return copy;
  }

  /** Lengths keep apart what would be the same when put together. */
  #key(labels: Labels): string {
    let key = "";
    for (const name of this.metric.labels) {
      const value = labels[name] ?? "";
      key += `${value.length}:${value}`;
    }
    return key;
  }

  #made(given: Labels): Series {
    const bounded: [string, string][] = this.metric.labels.map((name, place) => [
      name,
      this.#bounded(place, given[name] ?? ""),
    ]);
    const labels = Object.fromEntries(bounded);
    const key = this.#key(labels);
    const known = this.#series.get(key);
    if (known) return known;
    const series = { labels, value: 0 };
    this.#series.set(key, series);
    return series;
  }

  #bounded(place: number, value: string): string {
    const values = this.#values[place];
    if (values?.has(value) === true) return value;
    if (!values || values.size >= labelValuesMax) return otherValue;
    values.add(value);
    return value;
  }
}
