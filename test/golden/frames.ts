/**
 * What the golden frames are made from: for every type and kind of cell a live delta, then a
 * catch-up, and complete states in several frames. A change here is a change of the files.
 */
import type { Name } from "../../src/crdt/data-type.ts";
import { ByteWriter } from "../../src/store/bytes.ts";
import { cellsReserved, flagFirst, flagLast, reservedKinds } from "../../src/store/frame.ts";
import { type Golden, type GoldenLine, hex } from "./file.ts";
import { Scene } from "./scene.ts";

/** Frames so small that everything is a series. */
const smallFrames = { touches: 4, bytes: 160 };

/** All frames, a file each. */
export const frameGoldens = (): Golden[] => [
  counters(),
  sets(),
  registers(),
  multis(),
  maps(),
  flags(),
  entries(),
  transaction(),
  values(),
  catchUp(),
  catchUpSeries(),
  completeState(),
  completeStateBelowTheFloor(),
  resumedSeries(),
  renumberedLink(),
  refusedFrames(),
];

const counters = (): Golden =>
  new Scene("live-counter.hex", "counter/1: sums, small, large, negative, of two actors")
    .link()
    .write(({ counters: c }) => c.increment("post:1"))
    .send()
    .write(({ counters: c }) => {
      c.increment("post:1", 30);
      c.increment("post:12", 32);
      c.decrement("", 5);
    })
    .send()
    .write(
      ({ counters: c }) => c.increment("post:12", Number.MAX_SAFE_INTEGER - 32),
      ({ counters: c }) => c.decrement("__proto__", 1_000_000_007),
      ({ counters: c }) => c.increment("é", 31),
    )
    .send()
    .writeElsewhere(({ counters: c }) => c.increment("post:1", 100))
    .meet()
    .send().golden;

const sets = (): Golden =>
  new Scene(
    "live-or-set.hex",
    "or-set/1: marks that are live, bare and held, elements of each kind",
  )
    .link()
    .write(({ sets: c }) => {
      const elements: Name[] = ["a", "ab", "abc", "1", "", "__proto__", "ü", 1, -2.5, 0, 2 ** 40];
      for (const element of [...elements, true, false, null]) c.add("k", element);
    })
    .send()
    .write(
      ({ sets: c }) => c.remove("k", "ab"),
      ({ sets: c }) => c.add("other", "b"),
    )
    .send()
    .meet()
    .write(({ sets: c }) => c.add("k", "a"))
    .send()
    .writeElsewhere(({ sets: c }) => c.add("k", "a"))
    .meet()
    .send()
    .write(({ sets: c }) => c.clear("k"))
    .send().golden;

const registers = (): Golden =>
  new Scene(
    "live-lww-register.hex",
    "lww-register/1: stamps, equal ones, removals, concurrent writes",
  )
    .link()
    .write(({ registers: c }) => {
      c.set("a", "first");
      c.set("b", { nested: [1, null] });
    })
    .send()
    .write(
      ({ registers: c }) => c.set("a", "second"),
      ({ registers: c }) => c.delete("b"),
    )
    .send()
    .meet()
    .write(({ registers: c }) => c.set("a", "here"))
    .send()
    .writeElsewhere(({ registers: c }) => c.set("a", "there, later"))
    .meet()
    .send().golden;

const multis = (): Golden =>
  new Scene("live-mv-register.hex", "mv-register/1: concurrent values stay, and one replaces them")
    .link()
    .write(({ multis: c }) => c.set("k", "here"))
    .writeElsewhere(({ multis: c }) => c.set("k", "there"))
    .send()
    .meet()
    .send()
    .write(({ multis: c }) => c.set("k", "both"))
    .send()
    .write(({ multis: c }) => c.delete("k"))
    .send().golden;

const maps = (): Golden =>
  new Scene("live-lww-map.hex", "lww-map/1: fields are set, replaced and deleted")
    .link()
    .write(({ maps: c }) => {
      c.set("u:7", "dark", true);
      c.set("u:7", "size", 12);
      c.set("u:7", "__proto__", null);
    })
    .send()
    .write(({ maps: c }) => c.delete("u:7", "size"))
    .writeElsewhere(({ maps: c }) => c.set("u:7", "dark", false))
    .meet()
    .send().golden;

const flags = (): Golden =>
  new Scene("live-flag.hex", "flag/1: an enabling survives a concurrent disabling")
    .link()
    .write(({ flags: c }) => c.enable("x"))
    .send()
    .meet()
    .write(({ flags: c }) => c.disable("x"))
    .send()
    .writeElsewhere(({ flags: c }) => c.enable("x"))
    .meet()
    .send().golden;

const entries = (): Golden =>
  new Scene("live-or-map.hex", "or-map/1 with a field of every type, and an entry that is deleted")
    .link()
    .write(({ entries: c }) => {
      const entry = c.entry("u:7", "sku:9");
      entry.quantity.set(2);
      entry.notes.add("gift");
      entry.options.set({ colour: "red" });
      entry.extras.set("wrap", true);
      entry.chosen.enable();
      c.entry("u:7", "sku:10").quantity.set(1);
    })
    .send()
    .write(({ entries: c }) => c.delete("u:7", "sku:9"))
    .writeElsewhere(({ entries: c }) => c.entry("u:7", "sku:9").notes.add("late"))
    .meet()
    .send().golden;

const transaction = (): Golden =>
  new Scene("live-transaction.hex", "one batch over every collection, on a link that was at rest")
    .write(({ counters: c }) => c.increment("before"))
    .link()
    .send()
    .write(({ counters: c, sets: s, registers: r, multis: m, maps: p, flags: f, entries: e }) => {
      c.increment("k", 2);
      s.add("k", "x");
      r.set("k", "value");
      m.set("k", "value");
      p.set("k", "field", "value");
      f.enable("k");
      e.entry("k", "entry").chosen.enable();
    })
    .send().golden;

const values = (): Golden =>
  new Scene("values.hex", "values of every kind, and names and numbers at their edges")
    .link()
    .write(({ registers: c }) => {
      const given = [
        null,
        true,
        false,
        0,
        -1,
        0.1,
        -0.5,
        2 ** 53 - 1,
        -(2 ** 53 - 1),
        1e300,
        5e-324,
      ];
      given.forEach((value, i) => c.set(`number ${i}`, value));
      c.set("text", "plain, é, 漢字, 🧵, \u0000, \ud7ff");
      c.set("empty", "");
      c.set("list", [[], {}, ["a", [1.5, null]]]);
      c.set("object", { "": 1, ["__proto__"]: { x: "y" }, toString: null });
    })
    .send().golden;

const catchUp = (): Golden =>
  new Scene("catch-up.hex", "a link that comes again: what changed meanwhile, in one frame")
    .write(({ counters: c, sets: s }) => {
      c.increment("a");
      for (const element of ["x", "y", "z"]) s.add("k", element);
    })
    .link()
    .send()
    .write(({ counters: c }) => c.increment("a", 2))
    .write(({ sets: s }) => s.remove("k", "y"))
    .writeElsewhere(({ counters: c, registers: r }) => {
      c.increment("a", 40);
      r.set("elsewhere", [1, 2]);
    })
    .meet()
    .link()
    .send().golden;

const manyKeys = (scene: Scene, prefix: string, count: number): Scene => {
  for (let i = 0; i < count; i++) {
    scene.write(({ counters: c, sets: s, registers: r }) => {
      c.increment(`${prefix} ${i}`, i * 7 + 1);
      if (i % 3 === 0) s.add(prefix, `element ${i}`);
      if (i % 4 === 0) r.set(`${prefix} ${i}`, { i });
    });
  }
  return scene;
};

const catchUpSeries = (): Golden => {
  const name = "catch-up-series.hex";
  const scene = new Scene(name, "a catch-up in several frames, oldest batches first", smallFrames);
  manyKeys(scene, "before", 2).link().send();
  manyKeys(scene, "after", 9)
    .write(({ sets: s }) => s.remove("before", "element 0"))
    .writeElsewhere(({ counters: c }) => c.increment("after 1", 1_000))
    .meet();
  return scene.link().send().golden;
};

const completeState = (): Golden => {
  const name = "complete-state.hex";
  const scene = new Scene(
    name,
    "a complete state in several frames, to an empty peer",
    smallFrames,
  );
  manyKeys(scene, "key", 12);
  scene
    .writeElsewhere(({ counters: c, flags: f }) => {
      c.increment("key 1", 5);
      f.enable("on");
    })
    .meet()
    .write(({ sets: s }) => s.remove("key", "element 3"));
  return scene.link().send().golden;
};

const completeStateBelowTheFloor = (): Golden => {
  const about = "removals were forgotten, so the peer gets a complete state: absence is removal";
  const scene = new Scene("complete-state-floor.hex", about, smallFrames);
  manyKeys(scene, "key", 7).link().send();
  scene.unlink();
  scene.write(({ sets: s, registers: r }) => {
    s.remove("key", "element 0");
    s.remove("key", "element 3");
    r.delete("key 4");
  });
  return manyKeys(scene.forget(), "more", 3).link().send().golden;
};

const resumedSeries = (): Golden => {
  const about = "a complete state that breaks off after two frames and goes on over a new link";
  const scene = new Scene("resumed-series.hex", about, smallFrames);
  return manyKeys(scene, "key", 12).link().send(2).link().send().golden;
};

const renumberedLink = (): Golden => {
  const about = "names that the link had told are forgotten, and the next series numbers anew";
  const scene = new Scene("renumbered.hex", about, smallFrames);
  manyKeys(scene, "key", 7).link().send();
  scene
    .write(({ sets: s }) => s.clear("key"))
    .send()
    .forget();
  return manyKeys(scene, "more", 7).send().golden;
};

// Frames that must be refused.

interface Variant {
  readonly flags?: number;
  readonly shape?: string;
  readonly fact?: number;
  /** What stands for the one cell. */
  readonly cells?: readonly number[];
}

/** A frame with one flag in it, spelled out as `src/store/frame.ts` has it. */
function spelledFrame({ flags: head, shape, fact, cells }: Variant): Uint8Array {
  const out = new ByteWriter();
  out.byte(head ?? flagFirst | flagLast);
  out.varint(1); // collections
  out.varint(0);
  out.text("flags");
  out.text("flag/1");
  out.text(shape ?? '"mark"');
  out.varint(1); // actors
  out.varint(0);
  out.raw(new Uint8Array(16).fill(0xab));
  out.byte(fact ?? 0);
  out.varint(1); // nodes
  out.varint(4); // number 1
  out.varint(0); // in collection 0
  out.byte(128);
  out.text("x");
  out.varint(1); // the vector
  out.varint(0);
  out.varint(1);
  out.varint(1); // the body
  for (const byte of cells ?? [2, 0, 2]) out.byte(byte); // one cell of actor 0, live
  return out.take();
}

/** What is reserved is refused whole, never left out: a slot left out would be a deletion. */
function refusedFrames(): Golden {
  const lines: GoldenLine[] = [
    { word: "#", text: "the frame that those below differ from in one place" },
    { word: "link", text: "{}" },
    { word: "frame", text: hex(spelledFrame({})) },
    { word: "shows", text: JSON.stringify({ flags: [["x", true]] }) },
  ];
  const refuse = (about: string, variant: Variant): void => {
    lines.push({ word: "#", text: about });
    lines.push({ word: "refused", text: hex(spelledFrame(variant)) });
  };
  for (const [kind, number] of Object.entries(reservedKinds)) {
    refuse(`a slot of the kind ${kind}`, { cells: [cellsReserved, number, 1, 0] });
  }
  refuse("a slot of an unknown kind", { cells: [cellsReserved, 99, 1, 0] });
  for (const bit of [16, 32, 64, 128]) {
    refuse(`an unknown flag, ${bit}`, { flags: flagFirst | flagLast | bit });
  }
  refuse("a fact beside an actor's name, as 'ended at' will be", { fact: 1 });
  refuse("a shape of a kind that is not known", { shape: '{"list":"mark"}' });
  refuse("an unknown state of a cell", { cells: [2, 0, 6] });
  return { name: "refused-frames.hex", lines };
}
