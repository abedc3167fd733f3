/** The SDK of OpenTelemetry, with the spans of this process in memory. */
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-node";
import type { Tracer as OtelTracer } from "@opentelemetry/api";

/** Spans that have ended. */
export class CollectedSpans {
  readonly tracer: OtelTracer;
  readonly #exporter = new InMemorySpanExporter();
  readonly #provider: NodeTracerProvider;

  /** One a process: what is present follows the calls by what is global. */
  constructor() {
    this.#provider = new NodeTracerProvider({
      spanProcessors: [new SimpleSpanProcessor(this.#exporter)],
    });
    this.#provider.register();
    this.tracer = this.#provider.getTracer("test");
  }

  /** All of them, in the order of their ends. */
  get all(): readonly ReadableSpan[] {
    return this.#exporter.getFinishedSpans();
  }

  named(name: string): readonly ReadableSpan[] {
    return this.all.filter((span) => span.name === name);
  }

  /** The only one of this name. */
  one(name: string): ReadableSpan {
    const [span, ...more] = this.named(name);
    if (span === undefined || more.length > 0) {
      const names = this.all.map((each) => each.name).join(", ");
      throw new Error(`${span ? more.length + 1 : 0} spans ${name} among ${names}`);
    }
    return span;
  }

  /** From a span up to where its trace began, as far as they have ended. */
  chain(span: ReadableSpan): readonly string[] {
    const parent = this.all.find(
      (other) => other.spanContext().spanId === span.parentSpanContext?.spanId,
    );
    return [span.name, ...(parent ? this.chain(parent) : [])];
  }

  reset(): void {
    this.#exporter.reset();
  }

  async stop(): Promise<void> {
    await this.#provider.shutdown();
  }
}
