/**
 * Spans of Trellis as spans of OpenTelemetry, through the tracer that is handed in. Which span is present is
 * asked of the user's context manager, so spans of Trellis stand below those of the service around it, and
 * those of instrumented clients (`pg`, `ioredis`) below ours. Without a context manager nothing has a parent.
 *
 * Messages of errors may hold keys, and values of users, so a failed span says the error's class and `code`
 * and never its message.
 */
import {
  context,
  type Context,
  type Link,
  type Span as OtelSpan,
  SpanStatusCode,
  trace,
  type Tracer as OtelTracer,
} from "@opentelemetry/api";
import type { Attributes, Carried, Span, SpanPlace, Tracer } from "../telemetry.ts";
import { readTraceparent, writeTraceparent } from "../trace-context.ts";

/** How to make a tracer. */
export interface OpenTelemetryTracerOptions {
  /** Of the SDK: `trace.getTracer("my-service")`. */
  readonly tracer: OtelTracer;
  /** Spans name keys (`trellis.key`). Default false: keys are often names of people. */
  readonly keys?: boolean;
}

/** Takes the spans of a replica: `openReplica({ telemetry: { ..., tracer: openTelemetryTracer({ tracer }) } })`. */
export const openTelemetryTracer = (options: OpenTelemetryTracerOptions): Tracer =>
  new OpenTelemetryTracer(options);

class OpenTelemetryTracer implements Tracer {
  readonly keys: boolean;
  readonly #tracer: OtelTracer;

  constructor({ tracer, keys = false }: OpenTelemetryTracerOptions) {
    this.#tracer = tracer;
    this.keys = keys;
  }

  span<T>(
    name: string,
    attributes: Attributes,
    work: (span: Span) => T,
    { isRoot = false, links = [] }: SpanPlace = {},
  ): T {
    const above = context.active();
    const span = this.#tracer.startSpan(
      name,
      { attributes: { ...attributes }, root: isRoot, links: links.flatMap(linkTo) },
      above,
    );
    return context.with(trace.setSpan(above, span), () => untilEnded(span, () => work(told(span))));
  }

  present(): string | undefined {
    const present = trace.getSpanContext(context.active());
    if (present === undefined) return undefined;
    const { traceId, spanId, traceFlags } = present;
    const traceparent = writeTraceparent({ traceId, spanId, flags: traceFlags });
    return readTraceparent(traceparent) && traceparent;
  }

  follow<T>(traceparent: string | undefined, work: () => T): T {
    const below = remote(context.active(), traceparent);
    return below === undefined ? work() : context.with(below, work);
  }

  carry(): Carried {
    const here = context.active();
    return (work) => context.with(here, work);
  }
}

const told = (span: OtelSpan): Span => ({
  set: (attributes) => void span.setAttributes({ ...attributes }),
  event: (name, attributes = {}) => void span.addEvent(name, { ...attributes }),
});

/** Ends the span when `work` has: at once, or when its promise is settled. */
function untilEnded<T>(span: OtelSpan, work: () => T): T {
  try {
    const result = work();
    if (!(result instanceof Promise)) {
      span.end();
      return result;
    }
    result.then(
      () => span.end(),
      (error: unknown) => fail(span, error),
    );
    return result;
  } catch (error) {
    fail(span, error);
    throw error;
  }
}

function fail(span: OtelSpan, error: unknown): void {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  const type = error instanceof Error ? error.name : typeof error;
  span.setAttributes({
    "error.type": type,
    ...(typeof code === "string" || typeof code === "number" ? { "error.code": code } : {}),
  });
  const message = typeof code === "string" ? code : type;
  span.setStatus({ code: SpanStatusCode.ERROR, message });
  span.end();
}

function remote(above: Context, traceparent: string | undefined): Context | undefined {
  const named = readTraceparent(traceparent);
  if (named === undefined) return undefined;
  const { traceId, spanId, flags } = named;
  return trace.setSpanContext(above, { traceId, spanId, traceFlags: flags, isRemote: true });
}

function linkTo(traceparent: string): Link[] {
  const named = readTraceparent(traceparent);
  if (named === undefined) return [];
  const { traceId, spanId, flags } = named;
  return [{ context: { traceId, spanId, traceFlags: flags } }];
}
