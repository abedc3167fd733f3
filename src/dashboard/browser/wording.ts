/** How figures and names are written for people. */

/** What may not be shown as it is: it would move other text about, or not be seen. */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A name that somebody else has given: what is invisible in it is spelled. */
export const visible = (text: string): string =>
  text === ""
    ? "(empty)"
    : text.replaceAll(unseen, (found) => `\\u{${found.codePointAt(0)?.toString(16) ?? ""}}`);

/** A number, short. */
export const short = (value: number): string =>
  value.toLocaleString("en", {
    notation: Math.abs(value) >= 10_000 ? "compact" : "standard",
    maximumSignificantDigits: 3,
  });

/** A whole number, whole. */
export const whole = (value: number): string => Math.round(value).toLocaleString("en");

const byteUnits = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

export function bytes(value: number): string {
  const power = Math.min(
    byteUnits.length - 1,
    Math.max(0, Math.floor(Math.log2(Math.max(1, value)) / 10)),
  );
  return `${short(value / 1024 ** power)} ${byteUnits[power] ?? "B"}`;
}

const trafficUnits = ["B", "kB", "MB", "GB", "TB"] as const;

/** Bytes that travelled: in steps of 1,000, as networks are measured. */
export function traffic(value: number): string {
  const power = Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3));
  const unit = Math.min(trafficUnits.length - 1, power);
  return `${short(value / 1_000 ** unit)} ${trafficUnits[unit] ?? "B"}`;
}

/** A length of time that has a direction, in ms. */
export const signed = (ms: number): string =>
  `${ms > 0 ? "+" : ms < 0 ? "−" : ""}${lasting(Math.abs(Math.round(ms)))}`;

/** A length of time given in ms. */
export function lasting(ms: number): string {
  const size = Math.abs(ms);
  if (size < 1) return ms === 0 ? "0 ms" : `${ms.toFixed(2)} ms`;
  if (size < 1_000) return `${short(ms)} ms`;
  if (size < 60_000) return `${short(ms / 1_000)} s`;
  if (size < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  if (size < 172_800_000) {
    return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`;
  }
  return `${Math.floor(ms / 86_400_000)} days`;
}

/** How long ago, from ms. */
export const ago = (ms: number): string => (ms < 1_500 ? "just now" : `${lasting(ms)} ago`);

/** One or many. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${whole(count)} ${count === 1 ? one : many}`;

/** A name without its end. */
export const clipped = (text: string, charactersMax: number): string => {
  const characters = Array.from(text);
  return characters.length > charactersMax
    ? `${characters.slice(0, charactersMax - 1).join("")}…`
    : text;
};
