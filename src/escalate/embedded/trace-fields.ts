/** A span among the bytes of a request: always 25 bytes, so there is nothing to bound. */
import { type ByteReader, type ByteWriter, malformed } from "../../store/bytes.ts";
import { isTraceContext, type TraceContext } from "../../trace-context.ts";

const traceIdBytes = 16;
const spanIdBytes = 8;
/** Recorded, and a random trace id; the others mean nothing yet, so nobody may set them. */
const flagsMax = 3;

/** Writes a span. O(1). */
export function writeTrace(out: ByteWriter, { traceId, spanId, flags }: TraceContext): void {
  for (const byte of Buffer.from(traceId + spanId, "hex")) out.byte(byte);
  out.byte(flags & flagsMax);
}

/** Reads a span that is not trusted. O(1). @throws MalformedError for ids of zeros, and flags of no meaning. */
export function readTrace(reader: ByteReader): TraceContext {
  const digits = (count: number): string => {
    const bytes = Array.from({ length: count }, () => reader.byte());
    return Buffer.from(bytes).toString("hex");
  };
  const trace = {
    traceId: digits(traceIdBytes),
    spanId: digits(spanIdBytes),
    flags: reader.byte(),
  };
  if (!isTraceContext(trace) || trace.flags > flagsMax) malformed("a span that is none");
  return trace;
}
