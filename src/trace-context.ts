/**
 * W3C Trace Context: the one header, `traceparent`, that says below which span of another process something
 * is done. What it says comes from outside and decides nothing here; it is only written down.
 * @see https://www.w3.org/TR/trace-context-2/
 */

/** A span, as another process knows it. */
export interface TraceContext {
  /** 32 hexadecimal digits, not all 0. */
  readonly traceId: string;
  /** 16 hexadecimal digits, not all 0. */
  readonly spanId: string;
  /** One byte; its lowest bit says that the trace is recorded. */
  readonly flags: number;
}

/** The longest `traceparent` that is looked at, in code units: later versions may say more behind it. */
const textMax = 256;
/** Those that version 0 knows: recorded, and a trace id that is random. Others are not passed on. */
const flagsKnown = 3;

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/u;

/** What a `traceparent` names, of this version or a later one; undefined if it is none. O(1). */
export function readTraceparent(text: string | undefined): TraceContext | undefined {
  if (text === undefined || text.length > textMax) return undefined;
  const [, version, traceId = "", spanId = "", flags = "", more] = form.exec(text) ?? [];
  if (version === undefined || version === "ff") return undefined;
  if (version === "00" && more !== undefined) return undefined;
  const context = { traceId, spanId, flags: Number.parseInt(flags, 16) & flagsKnown };
  return isTraceContext(context) ? context : undefined;
}

/** As `traceparent`, of version 0. O(1). */
export const writeTraceparent = ({ traceId, spanId, flags }: TraceContext): string =>
  `00-${traceId}-${spanId}-${(flags & flagsKnown).toString(16).padStart(2, "0")}`;

/** Whether it names a span: ids that are all 0 name none. */
export const isTraceContext = ({ traceId, spanId }: TraceContext): boolean =>
  /[1-9a-f]/u.test(traceId) && /[1-9a-f]/u.test(spanId);

/** What a log line says of the present span, so that it is found from there: nothing if there is none. */
export function traceFields(
  tracer: { present(): string | undefined } | undefined,
): { readonly traceId: string; readonly spanId: string } | Record<string, never> {
  const present = readTraceparent(tracer?.present());
  return present ? { traceId: present.traceId, spanId: present.spanId } : {};
}
