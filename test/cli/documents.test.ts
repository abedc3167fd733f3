/** `trellis peer --yjs --automerge`: the settings, and that a peer that is run with them serves. */
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { resolve } from "../../src/cli/peer/resolve.ts";
import { UsageError } from "../../src/index.ts";
import { dial, until } from "../documents/toy.ts";
import { assertBuilt, lacks, Run } from "./command.ts";

const open: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function settle(
  flags: Readonly<Record<string, string>>,
  variables: Readonly<Record<string, string>> = {},
) {
  const given = Object.entries(flags).map(([path, value]) => [path, [value]] as const);
  const { settings } = await resolve({ flags: new Map(given), variables, config: undefined });
  return settings;
}

describe("the settings", () => {
  test.each([
    ["true", true],
    ["false", false],
    ["pages", "pages"],
  ])("--yjs %s", async (said, yjs) => {
    expect(await settle({ "listen.port": "0", "documents.yjs": said })).toMatchObject({
      "documents.yjs": yjs,
      "documents.automerge": false,
    });
  });

  test("have variables", async () => {
    const variables = {
      TRELLIS_DOCUMENTS_YJS: "true",
      TRELLIS_DOCUMENTS_AUTOMERGE: "drafts",
      TRELLIS_LISTEN_ALLOWED_ORIGINS: "https://a.example.com, http://localhost:8080",
    };
    expect(await settle({ "listen.port": "0" }, variables)).toMatchObject({
      "documents.yjs": true,
      "documents.automerge": "drafts",
      "listen.allowedOrigins": ["https://a.example.com", "http://localhost:8080"],
    });
  });

  test.each<[string, Readonly<Record<string, string>>, string]>([
    ["no port", { join: "ws://a:1", "documents.yjs": "true" }, "documents.yjs needs listen.port"],
    ["no name", { "listen.port": "0", "documents.automerge": "" }, "the name of a collection"],
    ["all origins", { "listen.port": "0", "listen.allowedOrigins": "*" }, "an origin, such as"],
  ])("%s is refused", async (_, flags, message) => {
    const error: unknown = await settle(flags).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UsageError);
    expect(String(error)).toContain(message);
  });
});

describe("a peer that is run", () => {
  function run(args: readonly string[], environment: Record<string, string> = {}): Run {
    assertBuilt();
    const peer = new Run(["peer", "--listen", "0", "--log-level", "silent", ...args], environment);
    open.push(() => peer[Symbol.asyncDispose]());
    return peer;
  }

  test("serves documents where it was told, to pages of the origins that it was told", async () => {
    const origin = "https://app.example.com";
    const peer = run(["--yjs", "--automerge", "drafts", "--allowed-origins", origin]);
    const url = await peer.firstLine();
    const docs = [new Y.Doc(), new Y.Doc()];
    const providers = docs.map((doc) => {
      const provider = new WebsocketProvider(`${url}/yjs`, "notes", doc, {
        disableBc: true,
        WebSocketPolyfill: WebSocket as unknown as typeof globalThis.WebSocket,
      });
      open.push(() => provider.destroy());
      return provider;
    });
    await until(() => providers.every(({ synced }) => synced));
    docs[0]?.getText("t").insert(0, "hello");
    await until(() => docs[1]?.getText("t").toJSON() === "hello");
    const draft = await dial(`${url}/automerge`, { origin });
    expect(draft).toBeInstanceOf(WebSocket);
    if (draft instanceof WebSocket) draft.terminate();
    expect(await dial(`${url}/automerge`, { origin: "https://evil.example.com" })).toBe(403);
  });

  test.each([
    ["yjs", "--yjs"],
    ["@automerge/automerge", "--automerge"],
  ])("runs without %s, and says what to install once it is asked for it", async (name, flag) => {
    const lacking = { NODE_OPTIONS: `--import=${lacks(name)}` };
    expect(await run([], lacking).firstLine()).toMatch(/^ws:/u);
    const { status, errors } = await run([flag], lacking).outcome;
    expect(status).toBe(2);
    expect(errors).toContain(`npm install ${name}`);
  });
});
