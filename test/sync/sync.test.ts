import { expect, test } from "vitest";
import { Cluster } from "./cluster.ts";

test("what one replica writes, another one that dials it comes to hold", async () => {
  const cluster = new Cluster();
  const a = await cluster.open("a");
  const b = await cluster.open("b", ["a"]);
  a.collections.likes.increment("post", 3);
  b.collections.likes.increment("post", 4);
  b.collections.tags.add("post", "x");
  await cluster.world.settle({ forMs: 100 });
  expect(cluster.isAlike()).toBe(true);
  expect(a.collections.likes.value("post")).toBe(7);
  expect(b.collections.likes.value("post")).toBe(7);
  expect(a.collections.tags.has("post", "x")).toBe(true);
});
