/** What may be asked of a lock backend: checked once, before anything is sent. */
import { InvalidValueError, UsageError } from "../../errors.ts";
import type { AcquireOptions, Operation, Section } from "../locks.ts";

/** Of a resource's name, in UTF-8 bytes: what a key of a database index and a path may have. */
export const resourceBytesMax = 2048;
/** Of an operation id, in UTF-8 bytes. */
export const operationIdBytesMax = 128;
/** Of a guarded value: a register's value at its largest, and what is kept beside it. */
export const guardedBytesMax: number = 4 * 1024 * 1024;
/** The least time to live, in ms. */
export const ttlMsMin = 10;
/** The longest time of any kind, in ms: what timers can do. */
export const timeMsMax: number = 2 ** 31 - 1;

const invalid = (path: string, reason: string): never => {
  throw new InvalidValueError(`${path} ${reason}; nothing was sent`, { path, reason });
};

/** @throws InvalidValueError for anything but a well-formed string of at most 2,048 bytes. */
export const checkResource = (resource: unknown): string =>
  checkName("resource", resource, resourceBytesMax);

/** @throws InvalidValueError for anything but a well-formed string of 1 to 128 bytes. */
export const checkOperationId = (operationId: unknown): string =>
  operationId === ""
    ? invalid("operationId", "is empty")
    : checkName("operationId", operationId, operationIdBytesMax);

/** A copy, so that nobody changes what is on its way. @throws InvalidValueError unless bytes, at most 4 MiB. */
export function copyGuarded(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) return invalid("value", "is not a Uint8Array");
  if (value.length > guardedBytesMax) {
    invalid("value", `has ${value.length} bytes, more than ${guardedBytesMax}`);
  }
  return new Uint8Array(value);
}

/** What goes out: not as the `Buffer` that many clients of servers hand out, which compares and prints otherwise. */
export const plainBytes = ({ buffer, byteOffset, length }: Uint8Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, length);

/** A copy. @throws InvalidValueError for amounts that are no bigints, and values as `copyGuarded`. */
export function checkOperation(operation: Operation): Operation {
  if (operation.kind === "set-if-absent") {
    return { kind: "set-if-absent", value: copyGuarded(operation.value) };
  }
  for (const path of ["by", "min", "max"] as const) {
    const amount: unknown = operation[path];
    if (typeof amount !== "bigint" && (path === "by" || amount !== undefined)) {
      invalid(path, "is not a bigint");
    }
  }
  return { ...operation };
}

/** @throws InvalidValueError for times that are no times. */
export function checkAcquire(options: AcquireOptions): AcquireOptions {
  checkTime("ttlMs", options.ttlMs, ttlMsMin);
  checkTime("waitMs", options.waitMs, 0);
  if (options.maxHoldMs !== undefined) checkTime("maxHoldMs", options.maxHoldMs, ttlMsMin);
  return options;
}

/** @throws UsageError without a section, or with two of one resource. */
export function checkSections(sections: readonly Section[]): void {
  if (sections.length === 0) throw new UsageError("a commit of no section; nothing was sent");
  const resources = new Set(sections.map(({ lease }) => lease.resource));
  if (resources.size < sections.length) {
    throw new UsageError("a commit names one resource twice; nothing was sent");
  }
}

function checkName(path: string, name: unknown, bytesMax: number): string {
  if (typeof name !== "string") return invalid(path, "is not a string");
  if (!name.isWellFormed()) return invalid(path, "has a lone surrogate");
  if (Buffer.byteLength(name) > bytesMax) return invalid(path, `is longer than ${bytesMax} bytes`);
  return name;
}

function checkTime(path: string, timeMs: unknown, leastMs: number): void {
  if (typeof timeMs !== "number" || !(timeMs >= leastMs && timeMs <= timeMsMax)) {
    invalid(path, `is ${String(timeMs)}, not between ${leastMs} and ${timeMsMax} ms`);
  }
}
