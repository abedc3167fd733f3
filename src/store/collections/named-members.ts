/**
 * Objects whose names are the user's own and that inherit nothing: a collection may be called
 * `constructor`. An object whose prototype is `null` itself is a hash table to V8, and reading
 * `collections.likes` would cost more than the increment that follows.
 */

const nothing = Object.freeze(Object.create(null) as object);

/** The members by name, frozen. */
export function namedMembers(members: Iterable<readonly [name: string, member: unknown]>): object {
  const named = Object.create(nothing) as object;
  for (const [name, value] of members) {
    Object.defineProperty(named, name, { value, enumerable: true });
  }
  return Object.freeze(named);
}
