/** Writing by version loses no update, whoever writes at the same time; and the document tells all routes. */
import { expect, test } from "vitest";
import { operations } from "../../src/http/operations.ts";
import { at, type Served, served } from "./scene.ts";

/** Reads, adds one, and writes if nobody was quicker; until it is written. */
async function addOne(peer: Served, path: string): Promise<void> {
  for (;;) {
    const read = await peer.get(`${path}?consistency=linearizable`);
    const etag = read.headers.get("etag");
    const before = read.status === 404 ? 0 : (read.json as { readonly value: number }).value;
    const headers = etag === null ? { "if-none-match": "*" } : { "if-match": etag };
    const { status } = await peer.put(path, before + 1, { headers });
    if (status === 204) return;
    if (status !== 412) throw new Error(`answered ${status}`);
  }
}

test("concurrent writers by version lose nothing, beside writers of the library", async () => {
  await using host = await served();
  const replica = { peers: [host.url.replace("http", "ws")] };
  await using other = await served({ replica });
  await other.replica.synced();
  const path = at("coupon", "sum");
  const { coupon } = host.replica.collections;
  const inside = Array.from({ length: 20 }, () =>
    coupon.update("sum", (now) => Number(now ?? 0) + 1),
  );
  await Promise.all([
    ...inside,
    ...Array.from({ length: 8 }, (_, i) => addOne(i % 2 === 0 ? host : other, path)),
  ]);
  expect(await coupon.read("sum")).toBe(28);
}, 60_000);

test("a version that was told is that of the value that was written", async () => {
  await using peer = await served();
  const { coupon } = peer.replica.collections;
  const path = at("coupon", "k");
  await coupon.update("k", () => 0);
  for (let round = 1; round <= 10; round++) {
    const { version } = await coupon.readVersioned("k");
    const [put] = await Promise.all([
      peer.put(path, `mine ${round}`, { headers: { "if-match": `"${version.version}"` } }),
      // Often part of the same write, on top of it.
      coupon.update("k", (now) => `${String(now)} and theirs`),
      coupon.update("k", (now) => `${String(now)} and theirs`),
    ]);
    const etag = put.headers.get("etag");
    const now = await coupon.readVersioned("k");
    const isLast = etag === `"${now.version.version}"`;
    expect(isLast && now.value !== `mine ${round}`).toBe(false);
  }
});

test("what is there is replaced only if it was expected", async () => {
  await using peer = await served();
  const { coupon } = peer.replica.collections;
  const made = await coupon.replace("k", { expected: "absent", next: 1 });
  expect(made).toEqual({ value: 1, version: { lineage: 1, version: 1 } });
  await expect(coupon.replace("k", { expected: "absent", next: 2 })).rejects.toThrow("expected");
  const options = { idempotencyKey: "once" };
  const next = { expected: { lineage: 1, version: 1 }, next: 2 };
  expect((await coupon.replace("k", next, options)).version?.version).toBe(2);
  expect(await coupon.replace("k", next, options)).toEqual({ value: 2, version: undefined });
  await expect(coupon.replace("k", next)).rejects.toMatchObject({ code: "TRELLIS_CONFLICT" });
  await coupon.replace("k", { expected: "present", next: undefined });
  expect(await coupon.readVersioned("k")).toEqual({
    ...{ value: undefined, version: { lineage: 1, version: 3 } },
  });
});

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: object;
  readonly responses: Readonly<Record<string, object>>;
}

test("the document has every route, with its names, bodies and refusals", async () => {
  await using peer = await served();
  const { json } = await peer.get("/openapi.json");
  const { paths } = json as { readonly paths: Record<string, Record<string, Operation>> };
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const ids = all.map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids).toEqual(expect.arrayContaining(operations.map(({ name }) => name)));
  for (const { path, operation } of all) {
    const names = [...path.matchAll(/\{(\w+)\}/gu)].map(([, name]) => name);
    const declared = operation.parameters.filter((each) => each.in === "path");
    expect(declared.map(({ name }) => name)).toEqual(names);
    expect(operation.summary).not.toBe("");
    expect(Object.keys(operation.responses)).toContain("500");
  }
  const { put } = paths["/v1/collections/{collection}/{key}"] ?? {};
  expect(Object.keys(put?.responses ?? {})).toEqual(expect.arrayContaining(["204", "412", "428"]));
  expect(put?.requestBody).toBeDefined();
});
