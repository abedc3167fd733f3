/**
 * A telemetry is called in the middle of joins and flushes, which must not end there. It promises not to
 * throw; this keeps the promise for one that does not.
 */
import type { FigureSink, Labels, Telemetry } from "../telemetry.ts";

/** The same telemetry; what its figures throw goes to `onThrow`, the first time, and nowhere after that. */
export function harmless(telemetry: Telemetry, onThrow: (error: unknown) => void): Telemetry {
  let hasThrown = false;
  const thrown = (error: unknown): void => {
    if (hasThrown) return;
    hasThrown = true;
    onThrow(error);
  };
  const collect = (read: (sink: FigureSink) => void): (() => void) => {
    let end: (() => void) | undefined;
    try {
      end = telemetry.collect?.(read);
    } catch (error) {
      thrown(error);
    }
    return () => {
      try {
        end?.();
      } catch (error) {
        thrown(error);
      }
    };
  };
  return {
    count(name: string, value?: number, labels?: Labels): void {
      try {
        telemetry.count(name, value, labels);
      } catch (error) {
        thrown(error);
      }
    },
    gauge(name: string, value: number, labels?: Labels): void {
      try {
        telemetry.gauge(name, value, labels);
      } catch (error) {
        thrown(error);
      }
    },
    observe(name: string, value: number, labels?: Labels): void {
      try {
        telemetry.observe(name, value, labels);
      } catch (error) {
        thrown(error);
      }
    },
    ...(telemetry.collect ? { collect } : {}),
    ...(telemetry.tracer ? { tracer: telemetry.tracer } : {}),
  };
}
