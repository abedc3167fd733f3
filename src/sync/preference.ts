/** Which of two links to one peer stays? */
import type { ActorId } from "../crdt/dot.ts";
import type { Link } from "./link.ts";
import type { Hello } from "./message.ts";

/**
 * Whether a link that has just met its peer is to be kept instead of another one to the same peer. Both
 * ends must keep the same: one that the smaller actor dialed, and among those of one dialer the one that
 * it began last, since it would not dial while the other stands.
 */
export function isPreferred(
  met: { readonly link: Link; readonly hello: Hello },
  other: Link,
  ours: ActorId,
): boolean {
  const weDial = ours < met.hello.actor;
  const isOurs = met.link.url !== undefined;
  const otherIsOurs = other.url !== undefined;
  if (isOurs !== otherIsOurs) return isOurs === weDial;
  if (isOurs) return met.link.number > other.number;
  return met.hello.link > (other.peer?.link ?? 0);
}
