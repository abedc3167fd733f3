/** Documents that nobody uses leave memory; those that somebody has, or observes, stay what they are. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import * as Y from "yjs";
import { idleMs } from "../../../src/store/documents/shelf.ts";
import type { World } from "../../simulation/virtual-environment.ts";
import { type Home, homes } from "./home.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** All that nobody reaches is gone. */
async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => void setImmediate(resolve));
    collect();
  }
}

/** Time goes by in which nobody does anything. */
async function idle(world: World): Promise<void> {
  for (let i = 0; i < 2; i++) {
    world.run({ forMs: 2 * idleMs });
    await settle();
  }
}

function two(): { world: World; here: Home; there: Home } {
  const { world, all } = homes(2);
  const [here, there] = all as [Home, Home];
  return { world, here, there };
}

test("a thousand documents that nobody uses are let go, and are read again", async () => {
  const { world, here } = two();
  const objects = Array.from({ length: 1_000 }, (_, i) => {
    here.doc(`${i}`).getText("t").insert(0, `text ${i}`);
    return new WeakRef(here.doc(`${i}`));
  });
  const left = (): number => objects.filter((object) => object.deref() !== undefined).length;
  expect(left()).toBe(1_000);
  await idle(world);
  expect(left()).toBe(0);
  expect(here.text("7")).toBe("text 7");
});

test("a document that somebody still has goes on: it shows what others change, and keeps what it is told", async () => {
  const { world, here, there } = two();
  const doc = here.doc();
  await idle(world);
  there.doc().getText("t").insert(0, "there");
  here.join(there);
  expect(doc.getText("t").toJSON()).toBe("there");
  await idle(world);
  doc.getText("t").insert(0, "here and ");
  there.join(here);
  expect(there.text()).toBe("here and there");
  expect(here.doc()).toBe(doc);
});

test.each(["type at the root", "nested type", "document"])(
  "a %s that somebody observes keeps its document",
  async (what) => {
    const { world, here, there } = two();
    there.doc().getMap("m").set("list", new Y.Array());
    here.join(there);
    const told: number[] = [];
    const tell = (): void => void told.push(told.length);
    const observe = (doc: Y.Doc): void => {
      const map = doc.getMap("m");
      const list = map.get("list");
      if (what === "document") doc.on("update", tell);
      else if (what === "type at the root") map.observeDeep(tell);
      else if (list instanceof Y.Array) list.observe(tell);
    };
    observe(here.doc());
    await idle(world);
    const list = there.doc().getMap("m").get("list");
    if (list instanceof Y.Array) list.push([1]);
    here.join(there);
    expect(told).toEqual([0]);
  },
);

test("who observes a document after it was let go to them keeps it, too", async () => {
  const { world, here, there } = two();
  const told: string[] = [];
  const late = async (): Promise<void> => {
    const doc = here.doc();
    await idle(world);
    doc.getText("t").observe(({ target }) => told.push(target.toJSON()));
    world.run({ forMs: idleMs });
  };
  await late();
  await idle(world);
  there.doc().getText("t").insert(0, "there");
  here.join(there);
  expect(told).toEqual(["there"]);
});
