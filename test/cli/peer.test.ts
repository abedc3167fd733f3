import { beforeAll, describe, expect, test } from "vitest";
import { counter, openReplica, orSet } from "../../src/index.ts";
import { assertBuilt, run, Run } from "./command.ts";

beforeAll(assertBuilt);

describe("trellis peer", () => {
  test("says where it listens, and SIGTERM ends it with status 0", async () => {
    await using peer = new Run(["peer", "--listen", "0"]);
    expect(await peer.firstLine()).toMatch(/^ws:\/\/127\.0\.0\.1:\d+$/u);
    peer.signal("SIGTERM");
    const { status, output, errors } = await peer.outcome;
    expect(status).toBe(0);
    expect(output.split("\n")).toHaveLength(2);
    expect(errors).toContain("the peer closes");
  });

  test("passes on what it has no schema for, through another peer, to a replica that comes later", async () => {
    const schema = { likes: counter(), tags: orSet() };
    await using first = new Run(["peer", "--listen", "0"]);
    const firstUrl = await first.firstLine();
    await using second = new Run(["peer", "--listen", "0", "--join", firstUrl, "--name", "second"]);
    const secondUrl = await second.firstLine();

    await using writer = await openReplica({ schema, name: "writer", peers: [firstUrl] });
    writer.collections.likes.increment("a", 3);
    writer.collections.tags.add("a", "x");
    const version = writer.version();

    await using reader = await openReplica({ schema, name: "reader", peers: [secondUrl] });
    await reader.waitFor(version, { timeoutMs: 10_000 });
    expect(reader.collections.likes.value("a")).toBe(3);
    expect(reader.collections.tags.values("a")).toEqual(["x"]);

    for (const peer of [second, first]) {
      peer.signal("SIGINT");
      expect(await peer.outcome).toMatchObject({ status: 0 });
    }
  });

  test("with a token takes who shows it and refuses who does not", async () => {
    await using peer = new Run(["peer", "--listen", "0"], { TRELLIS_TOKEN: "open-sesame" });
    const url = await peer.firstLine();
    await using friend = await openReplica({
      schema: { likes: counter() },
      peers: [{ url, token: "open-sesame" }],
    });
    await friend.synced();
    await using stranger = new Run(["peer", "--join", url, "--token", "guess"]);
    expect((await stranger.logged("refused the token")).name).toBe("peer");
  });

  test.each<[readonly string[], number, string]>([
    [["peer"], 2, "--listen PORT"],
    [
      ["peer", "--listen", "65536"],
      2,
      '--listen: listen.port is "65536": an integer from 0 to 65535',
    ],
    [["peer", "--listen", "0", "--join", "http://127.0.0.1"], 2, "a URL such as ws:"],
    [["peer", "--listen", "0", "--host", "0.0.0.0"], 2, "--allow-unauthenticated"],
    [["peer", "--listen", "0", "--log-level", "loud"], 2, "one of fatal, error"],
    [["peer", "--listen", "0", "--fly"], 2, "unknown option"],
    [["peer", "--listen", "0", "extra"], 2, "too many arguments"],
  ])("%j ends with status %i and says %s", async (args, status, said) => {
    const outcome = await run(...args);
    expect(outcome).toMatchObject({ status, output: "" });
    expect(outcome.errors).toContain(said);
  });

  test("does not repeat a wrong token on the screen", async () => {
    const { status, errors } = await run("peer", "--listen", "0", "--token", "se cret");
    expect(status).toBe(2);
    expect(errors).not.toContain("se cret");
  });

  test("says when its port is taken, with status 69", async () => {
    await using first = new Run(["peer", "--listen", "0"]);
    const { port } = new URL(await first.firstLine());
    const { status, errors } = await run("peer", "--listen", port);
    expect(status).toBe(69);
    expect(errors).toContain("address already in use");
  });
});

describe("trellis", () => {
  test("lists what works, and its version", async () => {
    const help = await run("--help");
    expect(help.status).toBe(0);
    expect(help.output.match(/^ {2}[a-z]+/gmu)).toEqual([
      "  peer",
      "  inspect",
      "  repair",
      "  authority",
      "  verify",
      "  explain",
      "  rights",
      "  demo",
      "  replay",
      "  bench",
      "  export",
      "  import",
      "  why",
      "  status",
      "  top",
      "  doctor",
      "  help",
    ]);
    expect((await run("--version")).output).toMatch(/^\d+\.\d+\.\d+\n$/u);
  });
});
