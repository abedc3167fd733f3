/**
 * The bytes of every version that has golden files are still read and mean what they meant; those of
 * the version at hand are what the present code writes. `docs/protocol.md` has the rule.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { TrellisError } from "../../src/errors.ts";
import { MalformedError } from "../../src/store/bytes.ts";
import type { Exchange } from "../../src/store/exchange.ts";
import { type Message } from "../../src/sync/message.ts";
import { readMessage } from "../../src/sync/protocol.ts";
import { assertWhole, dump } from "../store/dump.ts";
import { Cluster } from "../sync/cluster.ts";
import { authorityMeanings } from "./authority.ts";
import {
  bytesOf,
  formatGolden,
  type Golden,
  type GoldenLine,
  goldenVersions,
  readGoldens,
  type Word,
} from "./file.ts";
import { presentGoldens } from "./goldens.ts";
import { meaningOf, recordsIn, restored } from "./images.ts";
import { meaning } from "./messages.ts";
import { goldenSchema, Party, showsOf, type Told } from "./party.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));
const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
const { version: present } = JSON.parse(manifest) as { readonly version: string };
const versions = goldenVersions(folder);

const filesOf = (version: string): [string, Golden][] =>
  readGoldens(folder, version).map((golden) => [golden.name, golden]);

/** Made when first asked for, so that old files are still read if the present code writes nothing. */
let made: Promise<readonly Golden[]> | undefined;
const madeNow = (): Promise<readonly Golden[]> => (made ??= presentGoldens());

describe("the version at hand", () => {
  const files = versions.includes(present) ? readGoldens(folder, present) : [];

  test("has its golden files: npm run golden writes them", async () => {
    const names = (await madeNow()).map(({ name }) => name);
    expect(files.map(({ name }) => name)).toEqual(names.toSorted());
  });

  test.each(files.map((file) => [file.name, file] as const))(
    "%s is what the code writes, to the byte",
    async (name, file) => {
      const golden = (await madeNow()).find((known) => known.name === name);
      expect(golden && formatGolden(golden)).toBe(formatGolden(file));
    },
  );

  test("its files have every kind of frame and message", () => {
    const frames = files.flatMap(({ lines }) => lines.filter(({ word }) => word === "frame"));
    const flags = new Set(frames.map((line) => bytesOf(line)[0]));
    // Plain; a series and a complete one, from the first to the last frame; one that numbers anew.
    expect([...flags].toSorted((a = 0, b = 0) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 9]);
  });
});

test("the image at hand has every type, a bare cell and a floor", () => {
  const image = readGoldens(folder, present).find(({ name }) => name === "image.hex");
  const holds = (image?.lines ?? []).filter(({ word }) => word === "holds");
  const text = holds.map((line) => line.text).join("\n");
  for (const { tag } of Object.values(goldenSchema)) {
    expect(text).toContain(`"tag":${JSON.stringify(tag)}`);
  }
  expect(text).toContain('"isLive":false');
  expect(text).toMatch(/"floor":[1-9]/u);
});

/** Gives a replica the lines of a file; tells it when what it shows is known. */
class Reading {
  readonly party: Party;
  #exchange: Exchange | undefined;

  constructor(party: Party) {
    this.party = party;
  }

  take(line: GoldenLine): void {
    if (line.word === "link") {
      const stage = this.#exchange?.close();
      this.#exchange = this.party.exchange(JSON.parse(line.text) as Told, { stage });
    }
    if (line.word === "frame") this.#exchange?.receive(bytesOf(line));
  }
}

function outcome(exchange: Exchange, line: GoldenLine): string {
  try {
    exchange.receive(bytesOf(line));
    return `taken: ${line.text}`;
  } catch (error) {
    if (error instanceof MalformedError || error instanceof TrellisError) return "refused";
    throw error;
  }
}

const contentOf = (party: Party): string => JSON.stringify(dump(party.keyspace, "all"));

describe.each(versions)("frames of %s", (version) => {
  const files = filesOf(version).filter(([, { lines }]) =>
    lines.some(({ word }) => word === "frame"),
  );

  test.each(files)("%s shows what it showed", (_, { lines }) => {
    const reading = new Reading(new Party("reader"));
    for (const line of lines) {
      reading.take(line);
      if (line.word !== "shows") continue;
      expect(reading.party.shows()).toEqual(JSON.parse(line.text));
      assertWhole(reading.party.keyspace);
    }
  });

  test.each(files)("%s is passed on whole by a peer that knows none of it", (_, { lines }) => {
    const reading = new Reading(new Party("relay", { isRelay: true }));
    const beyond = new Party("beyond");
    for (const line of lines) {
      reading.take(line);
      if (line.word !== "shows") continue;
      beyond.learn(reading.party);
      expect(beyond.shows()).toEqual(JSON.parse(line.text));
    }
  });

  test.each(files.filter(([, { lines }]) => lines.some(({ word }) => word === "refused")))(
    "%s: what is reserved is refused, and changes nothing",
    (_, { lines }) => {
      for (const line of lines.filter(({ word }) => word === "refused")) {
        const party = new Party("reader");
        const exchange = party.exchange({});
        const before = contentOf(party);
        expect(outcome(exchange, line)).toBe("refused");
        expect(contentOf(party)).toBe(before);
      }
    },
  );
});

describe.each(versions)("images of %s", (version) => {
  const files = filesOf(version).filter(([, { lines }]) =>
    lines.some(({ word }) => word === "record"),
  );
  const textsOf = ({ lines }: Golden, word: Word): string[] =>
    lines.filter((line) => line.word === word).map(({ text }) => text);

  test.each(files)("%s holds what it held, record by record", (_, golden) => {
    expect(meaningOf(recordsIn(golden))).toEqual(textsOf(golden, "holds"));
  });

  test.each(files)("%s shows what it showed, and is gone on with", async (_, golden) => {
    const party = await restored(golden, false);
    assertWhole(party.keyspace);
    expect(party.shows()).toEqual(JSON.parse(textsOf(golden, "shows")[0] ?? ""));
    party.collections.counters.increment("shared");
    party.keyspace.flush();
    assertWhole(party.keyspace);
  });

  test.each(files)("%s is held whole by a replica that knows none of it", async (_, golden) => {
    const relay = await restored(golden, true);
    assertWhole(relay.keyspace);
    expect(contentOf(relay)).toBe(contentOf(await restored(golden, false)));
  });
});

describe.each(versions)("the lock authority of %s", (version) => {
  const files = filesOf(version).filter(([, { lines }]) =>
    lines.some(({ word }) => word === "authority"),
  );

  test.each(files)("%s says what it said, and keeps what it kept", async (_, { lines }) => {
    const holds = lines.filter(({ word }) => word === "holds").map(({ text }) => text);
    expect(holds.length).toBeGreaterThan(20);
    expect(await authorityMeanings(lines)).toEqual(holds);
  });
});

describe.each(versions)("messages of %s", (version) => {
  const files = filesOf(version);

  test.each(files.filter(([, { lines }]) => lines.some(({ word }) => word === "means")))(
    "%s mean what they meant",
    (_, { lines }) => {
      lines.forEach((line, i) => {
        if (line.word !== "message" && line.word !== "newer") return;
        expect(meaning(readMessage(bytesOf(line)))).toBe(lines[i + 1]?.text);
      });
    },
  );

  test.each(
    files.filter(
      ([, { lines }]) =>
        lines.some(({ word }) => word === "message") && lines.some(({ word }) => word === "shows"),
    ),
  )("%s is understood from the first word to the last", async (_, { lines }) => {
    const cluster = new Cluster();
    const node = await cluster.openWith(goldenSchema, "a");
    const heard: Message[] = [];
    const network = cluster.network.transport("old", cluster.world.environment());
    const connection = network.dial(
      { url: "mem://a" },
      {
        opened: () => undefined,
        message: (bytes) => void heard.push(readMessage(bytes).message),
        drained: () => undefined,
        closed: () => undefined,
      },
    );
    await cluster.world.settle({ forMs: 10 });
    for (const line of lines.filter(({ word }) => word === "message")) {
      connection.send(bytesOf(line));
      await cluster.world.settle({ forMs: 100 });
    }
    const shown = lines.find(({ word }) => word === "shows")?.text ?? "";
    expect(showsOf(node.collections)).toEqual(JSON.parse(shown));
    const frames = heard.map((message) => (message.kind === "ack" ? message.frames : 0));
    expect(frames.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(1);
    expect(heard.map(({ kind }) => kind)).toContain("pong");
    expect(heard.filter(({ kind }) => kind === "bye")).toEqual([]);
  });
});
