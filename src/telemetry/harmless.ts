/**
 * A telemetry is called in the middle of joins and flushes, which must not end there. It promises not to
 * throw; this keeps the promise for one that does not.
 */
import {
  type FigureSink,
  type Labels,
  type Logger,
  silentTelemetry,
  type Telemetry,
} from "../telemetry.ts";

/** The same telemetry, or a silent one for none. What it throws is logged the first time, and nowhere after that. */
export function harmless(telemetry: Telemetry | undefined, logger: Logger): Telemetry {
  if (telemetry === undefined) return silentTelemetry;
  let hasThrown = false;
  const thrown = (err: unknown): void => {
    if (hasThrown) return;
    hasThrown = true;
    logger.error({ err }, "the telemetry threw");
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
