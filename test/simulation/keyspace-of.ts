/** A way to what a replica hides, for oracles that look at cells: nothing is changed through it. */
import { Keyspace } from "../../src/store/keyspace.ts";

/** The keyspace of a replica that is open. Flushes. */
export function keyspaceOf(replica: { version(): string }): Keyspace {
  const descriptor = Object.getOwnPropertyDescriptor(Keyspace.prototype, "flush");
  if (descriptor === undefined) throw new Error("assertion: a keyspace can be flushed");
  const original = descriptor.value as (this: Keyspace) => boolean;
  const flushed: Keyspace[] = [];
  Object.defineProperty(Keyspace.prototype, "flush", {
    ...descriptor,
    value(this: Keyspace): boolean {
      flushed.push(this);
      return original.call(this);
    },
  });
  try {
    replica.version();
  } finally {
    Object.defineProperty(Keyspace.prototype, "flush", descriptor);
  }
  const [keyspace] = flushed;
  if (keyspace === undefined) throw new Error("assertion: a version is of a keyspace");
  return keyspace;
}
