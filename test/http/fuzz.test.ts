/** Whatever is sent, something sensible is answered, and what is refused has changed nothing. */
import {
  array,
  assert,
  asyncProperty,
  boolean,
  constantFrom,
  double,
  integer,
  jsonValue,
  nat,
  oneof,
  record as recordOf,
  string as anyText,
  tuple,
  uniqueArray,
  webPath,
} from "fast-check";
import { expect, test } from "vitest";
import { isDocumentType } from "../../src/crdt/document.ts";
import { isExpiring } from "../../src/crdt/expiring.ts";
import { plainOf } from "../../src/crdt/type-of.ts";
import { has, operations } from "../../src/http/operations.ts";
import { RawConnection } from "./raw.ts";
import { readValue } from "../../src/http/read-value.ts";
import { requestsCollection } from "../../src/http/request-memory.ts";
import { schema, segment, type Served, served } from "./scene.ts";

const collections = [...Object.keys(schema), "nothing", "trellis/requests", "__proto__", ""];
const name = oneof(
  constantFrom(
    "",
    "k",
    "__proto__",
    "constructor",
    ".",
    "..",
    "a/b",
    "@",
    "\u0000",
    "e",
    "qty",
    "notes",
  ),
  anyText({ maxLength: 8, unit: "binary" }),
  anyText({ minLength: 1_100, maxLength: 1_200 }),
);
const encoded = name.map((text) => (text.isWellFormed() ? segment(text) : "%FF"));
const tail = oneof(
  constantFrom("", ...operations.map(({ path }) => path)),
  constantFrom("/", "//", "/%", "/entries", "/fields/%zz", "?limit=-1", "?consistency=x", "?%%%"),
);
const path = oneof(
  {
    weight: 8,
    arbitrary: tuple(constantFrom(...collections), encoded, tail, encoded, encoded),
  },
  {
    weight: 1,
    arbitrary: constantFrom("/v1/batch", "/v1/status", "/", "/v1/version", "/readyz"),
  },
  { weight: 1, arbitrary: webPath() },
);
const pathText = path.map((given) => {
  if (typeof given === "string") return given === "" ? "/" : given;
  const [collection, key, rest, one, two] = given;
  const filled = rest.replace("{entry}", one).replace("{field}", two).replace("{name}", one);
  return `/v1/collections/${segment(collection)}/${key}${filled}`;
});
const body = oneof(
  recordOf(
    {
      by: oneof(integer({ min: -2, max: 5 }), double(), jsonValue()),
      value: jsonValue(),
      element: oneof(anyText(), jsonValue()),
      owner: oneof(anyText({ maxLength: 4 }), jsonValue()),
      waitMs: constantFrom(0, 1, 5, -1, "x", 1e9),
      atMs: constantFrom(null, -1, 0.5, "x", 1e300, 1e15),
      limit: constantFrom(0, 1, 5, -1, 0.5, "x", null, 1e300),
      operations: array(
        recordOf(
          {
            operation: constantFrom("fly", ...operations.map((operation) => operation.name)),
            collection: constantFrom(...collections),
            ...{ key: name, field: name, entry: name, name, by: integer() },
            ...{ value: jsonValue(), element: jsonValue() },
          },
          { requiredKeys: ["operation", "collection", "key"] },
        ),
        { maxLength: 3 },
      ),
    },
    { requiredKeys: [] },
  ).map((value) => JSON.stringify(value)),
  anyText(),
  constantFrom("{}", "", "[", '{"value":1e999}', '{"by":1,"by":2}', "[".repeat(2_000)),
);
const header = constantFrom(
  ...[
    "Idempotency-Key: a",
    "Idempotency-Key: b",
    "Idempotency-Key: ",
    "If-Match: *",
    'If-Match: "1"',
  ],
  ...[
    "If-None-Match: *",
    "If-Match: nonsense",
    "Trellis-After: x",
    "X-Request-Id: \u0001",
    "Expect: x",
  ],
  ...[
    "Accept: text/html",
    "Authorization: Basic x",
    "traceparent: 00-x",
    "Origin: http://evil.example",
  ],
);
const request = recordOf({
  method: constantFrom("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE"),
  path: pathText,
  body,
  type: constantFrom("application/json", "text/plain", "application/json; charset=utf-8"),
  headers: uniqueArray(header, { maxLength: 3, selector: (line) => line.split(":")[0] ?? "" }),
});

/** Requests that are mostly right. */
const likely = recordOf({
  operation: constantFrom(...operations),
  pick: nat(),
  key: constantFrom("k", "", "__proto__", "a/b"),
  part: constantFrom("qty", "notes", "gift", "more", "x"),
  by: integer({ min: 0, max: 9 }),
  value: jsonValue(),
  element: oneof(anyText({ maxLength: 4 }), integer(), boolean()),
  headers: uniqueArray(header, { maxLength: 2, selector: (line) => line.split(":")[0] ?? "" }),
}).map(({ operation, pick, key, part, headers, ...members }) => {
  const having = Object.entries(schema).filter(([, type]) =>
    has(operation, {
      kind: isDocumentType(type) ? type.kind : plainOf(type).kind,
      deadlines: isExpiring(type) ? type : undefined,
    }),
  );
  const [collection = ""] = having[pick % having.length] ?? [];
  const filled = operation.path
    .replace("{entry}", "e")
    .replace("{field}", part)
    .replace("{name}", "n");
  // Nothing expires meanwhile: that is no change that a refusal made.
  const times = { waitMs: 20, atMs: pick % 2 === 0 ? null : Date.now() + 3_600_000 };
  const given = { ...members, owner: "ada", limit: 5, ...times };
  const sent = Object.entries(given).filter(([one]) => Object.hasOwn(operation.members, one));
  return {
    ...{ method: operation.method, headers, type: "application/json" },
    path: `/v1/collections/${collection}/${segment(key)}${filled}`,
    body: JSON.stringify(Object.fromEntries(sent)),
  };
});

interface Parsed {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

function parse(text: string): Parsed {
  const end = text.indexOf("\r\n\r\n");
  const [, status = "0"] = /^HTTP\/1\.1 (\d+)/u.exec(text) ?? [];
  return { status: Number(status), head: text.slice(0, end), body: text.slice(end + 4) };
}

/** What is wrong with an answer of ours. What Node's parser refuses is cut off without a word of ours. */
function faultsOf({ status, head, body: sent }: Parsed, method: string): string[] {
  if (status < 400) return [];
  const faults: string[] = [];
  if (status === 500) faults.push("a bug");
  if (!head.includes("application/problem+json")) faults.push("no problem");
  if (method === "HEAD") return faults;
  const problem = JSON.parse(Buffer.from(sent, "latin1").toString()) as Record<string, unknown>;
  if (problem["status"] !== status) faults.push("another status");
  if (!String(problem["code"]).startsWith("TRELLIS_")) faults.push("no code");
  return faults;
}

/**
 * All that clients can see, and the keys that are remembered. What replicas note for themselves is not in it:
 * how rights are spread, and that a bounded counter was asked for.
 */
function shown({ replica }: Served): string {
  const limits = { items: 1_000_000, bytes: 1_000_000_000 };
  const values = [...Object.keys(schema), requestsCollection].flatMap((collection) => {
    const any = replica.collection(collection);
    return (any?.collection.keys() ?? []).flatMap((key) => {
      const value = any && readValue(any, key, limits)?.replace(/,"rights":\d+/u, "");
      return collection === "stock" && value === '{"value":0}' ? [] : [[collection, key, value]];
    });
  });
  return JSON.stringify(values);
}

test("arbitrary requests neither crash nor hang it, and refusals change nothing", async () => {
  await using peer = await served({ afterMsMax: 1 });
  const answered = new Map<number, number>();
  const { likes, tags, profile } = peer.replica.collections;
  likes.increment("k");
  tags.add("k", "x");
  profile.set("k", 1);
  await assert(
    asyncProperty(
      oneof(request, likely),
      async ({ method, path: target, body: text, type, headers }) => {
        const before = shown(peer);
        using raw = new RawConnection(peer.url);
        const bytes = Buffer.from(text);
        raw.send(
          `${method} ${target} HTTP/1.1`,
          ...["Host: 127.0.0.1", "Connection: close", `Content-Type: ${type}`, ...headers],
          ...[`Content-Length: ${bytes.length}`, "", bytes.toString("latin1")],
        );
        const got = parse(await raw.ended());
        const isOurs = got.head.includes("x-request-id");
        if (isOurs) answered.set(got.status, (answered.get(got.status) ?? 0) + 1);
        const isDone = got.status >= 200 && got.status < 400;
        const faults = isOurs ? faultsOf(got, method) : [];
        const after = shown(peer);
        if (!isDone && after !== before) faults.push("it was refused, and done", before, after);
        expect(faults).toEqual([]);
      },
    ),
    { numRuns: 600 },
  );
  // It is of use only if it got anywhere.
  expect(answered.size).toBeGreaterThan(6);
  expect((answered.get(200) ?? 0) + (answered.get(204) ?? 0)).toBeGreaterThan(100);
  expect((await peer.get("/healthz")).status).toBe(200);
}, 120_000);
