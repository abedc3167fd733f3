/** A page of keys is what sorting them all would show. */
import { array, assert, integer, option, property, string } from "fast-check";
import { expect, test } from "vitest";
import { systemEnvironment } from "../../src/environment.ts";
import { counter } from "../../src/index.ts";
import { openCollections } from "../../src/store/collections/open.ts";
import { Keyspace } from "../../src/store/keyspace.ts";

test("any page of keys is a slice of all of them in order", () => {
  const word = string({ unit: "binary", maxLength: 3 });
  const page = { prefix: option(string({ maxLength: 1 })), after: option(word) };
  assert(
    property(
      array(word, { maxLength: 400 }),
      integer({ min: 0, max: 40 }),
      page.prefix,
      page.after,
      (names, limit, prefix, after) => {
        const schema = { likes: counter() };
        const keyspace = new Keyspace({ schema, environment: systemEnvironment });
        const { likes } = openCollections(keyspace, schema);
        const keys = names.filter((name) => name.isWellFormed());
        for (const key of keys) likes.increment(key);
        const all = [...new Set(keys)]
          .filter((key) => key.startsWith(prefix ?? "") && (after === null || key > after))
          .toSorted((left, right) => (left < right ? -1 : 1));
        const asked = { ...(prefix !== null && { prefix }), ...(after !== null && { after }) };
        expect(likes.keys({ ...asked, limit })).toEqual(all.slice(0, limit));
        expect(likes.keys(asked)).toEqual(all);
      },
    ),
    { numRuns: 200 },
  );
});
