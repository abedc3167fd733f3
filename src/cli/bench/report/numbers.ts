/** Numbers as people read them. */

/** What stands where there is no number. */
export const none = "–";

/** What is less is shown as that; of all that is measured, nobody asks for more. */
const least = 0.001;

/** Three significant digits, thousands apart: 12,300 or 0.0123. */
export function significant(value: number | null | undefined): string {
  if (typeof value !== "number" || !Number.isFinite(value)) return none;
  if (value > 0 && value < least) return `<${least}`;
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

/** A count, to the last unit. */
export const count = (value: number): string => Math.round(value).toLocaleString("en");

/** `1 cell`, `2 cells`. */
export const counted = (value: number, singular: string, plural = `${singular}s`): string =>
  `${count(value)} ${value === 1 ? singular : plural}`;

/** A part of the whole, in whole percents. */
export const percent = (part: number): string => `${Math.round(part * 100)} %`;

/** A moment, to the minute. */
export const minuteOf = (moment: string): string => `${moment.slice(0, 16).replace("T", " ")} UTC`;

/** A duration: `42 s`, `31 min`, `2 h 5 min`. */
export function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
