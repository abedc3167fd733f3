/** Routes of the port: who is let in by them, and that they take nothing from links. */
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import type { WebSocket } from "ws";
import type { DoorOptions, HttpHandler } from "../../src/door.ts";
import { UsageError } from "../../src/errors.ts";
import {
  authenticate,
  codeOf,
  dial,
  enter,
  toyDoor,
  type ToyDoor,
  until,
} from "../documents/toy.ts";

const open: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function opened(options?: Parameters<typeof toyDoor>[0]): Promise<ToyDoor> {
  const toy = await toyDoor(options);
  open.push(() => toy.close());
  return toy;
}

/** A connection that says it wants something, and does not go on. */
function asks(url: string, text: string): Socket {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.on("error", () => undefined);
  socket.resume().write(text.replaceAll("\n", "\r\n"));
  open.push(() => socket.destroy());
  return socket;
}

const tellsStatus: HttpHandler = (_request, response, admit) => {
  void admit().then((admission) =>
    response.writeHead(admission.kind === "refused" ? admission.status : 200).end(),
  );
};

const wantsLink = `GET / HTTP/1.1
Host: 127.0.0.1
Connection: Upgrade
Upgrade: websocket

`;

describe("where a path leads", () => {
  test.each([
    ["/toy/a", "a"],
    ["/toy/a/b", "a/b"],
    ["/toy/a%2Fb%20c?token=x&yes", "a/b c"],
    ["/toy/a%252Fb", "a%2Fb"],
    ["/toy/%C3%A4", "ä"],
    ["/toy//", "/"],
  ])("%s is decoded once", async (asked, path) => {
    const { url, toy } = await opened();
    const socket = await enter(url + asked);
    expect(toy.visits.map((visit) => visit.path)).toEqual([path]);
    socket.terminate();
  });

  test.each(["/toy", "/toy/", "/toy?a", "/toy/%", "/toy/%ff", "/toy/a%zz"])(
    "%s leads nowhere",
    async (asked) => {
      const { url, counts, links } = await opened();
      expect(await dial(url + asked)).toBe(404);
      expect(counts.of("trellis_refused_total malformed")).toBe(1);
      expect(links.count).toBe(0);
    },
  );

  test.each(["/", "/toys/a", "/%74oy/a", "/other/toy/a", "//toy/a"])(
    "%s is for links",
    async (asked) => {
      const { url, toy, links } = await opened();
      asks(url, wantsLink.replace("/", asked));
      await until(() => links.count === 1);
      expect(toy.visits).toEqual([]);
    },
  );

  test("a segment has one route", async () => {
    const { door, sockets } = await opened();
    expect(() => door.route(sockets.route)).toThrow(UsageError);
  });
});

describe("who is let in", () => {
  test("a token may come in the query of a route, and the one in the header goes before it", async () => {
    const { url, toy, counts } = await opened({ authenticate });
    expect(await dial(`${url}/toy/a`)).toBe(401);
    expect(await dial(`${url}/toy/a?token=wrong`)).toBe(401);
    expect(await dial(`${url}/toy/a?token=all`, { token: "wrong" })).toBe(401);
    const basic = { headers: { authorization: "Basic YTpi" } };
    expect(await dial(`${url}/toy/a?token=all`, basic)).toBe(401);
    expect(counts.of("trellis_refused_total unauthenticated")).toBe(4);
    expect(toy.visits).toEqual([]);
    for (const [asked, token] of [["?token=all"], ["?x=1&token=all"], ["?token=wrong", "all"]]) {
      (await enter(`${url}/toy/a${asked}`, token === undefined ? {} : { token })).terminate();
    }
    expect(toy.visits).toHaveLength(3);
  });

  test("a token in the query opens neither links nor HTTP", async () => {
    const { url, door, links } = await opened({ authenticate });
    door.serve(tellsStatus);
    const http = url.replace("ws", "http");
    expect(await dial(`${url}/?token=all`)).toBe(401);
    expect((await fetch(`${http}/?token=all`)).status).toBe(401);
    expect((await fetch(`${http}/toy/a?token=all`)).status).toBe(401);
    expect(links.count).toBe(0);
  });

  test("who may not is refused before the upgrade, and counted", async () => {
    const { url, toy, counts } = await opened({ authenticate });
    (await enter(`${url}/toy/mine/a`, { token: "mine" })).terminate();
    expect(await dial(`${url}/toy/yours/a`, { token: "mine" })).toBe(403);
    expect(counts.of("trellis_refused_total forbidden")).toBe(1);
    expect(toy.visits).toHaveLength(1);
  });
});

describe("pages", () => {
  const app = "https://app.example.com";

  test("of our own origin may come in; of others only where they are allowed", async () => {
    const { url, counts } = await opened();
    (await enter(`${url}/toy/a`, { origin: url.replace("ws", "http") })).terminate();
    expect(await dial(`${url}/toy/a`, { origin: app })).toBe(403);
    expect(counts.of("trellis_refused_total forbidden")).toBe(1);
  });

  test("of an allowed origin may open routes, exactly that origin, and nothing else", async () => {
    const { url, door, links } = await opened({ allowedOrigins: [app] });
    (await enter(`${url}/toy/a`, { origin: app })).terminate();
    for (const other of ["http://app.example.com", `${app}:8443`, `${app}.evil.com`, "null"]) {
      expect(await dial(`${url}/toy/a`, { origin: other })).toBe(403);
    }
    expect(await dial(`${url}/`, { origin: app })).toBe(403);
    door.serve(tellsStatus);
    const asked = await fetch(url.replace("ws", "http"), { headers: { origin: app } });
    expect(asked.status).toBe(403);
    expect(links.count).toBe(0);
  });

  test("an allowed origin does not let in a name that was pointed at us", async () => {
    const { url } = await opened({ allowedOrigins: [app] });
    const headers = { host: "evil.example.com" };
    expect(await dial(`${url}/toy/a`, { origin: app, headers })).toBe(403);
  });

  test.each([
    "*",
    "app.example.com",
    `${app}/`,
    `${app}:443`,
    "HTTPS://app.example.com",
    "null",
    "",
  ])("%s is no origin", async (origin) => {
    const listen: Omit<DoorOptions, "port"> = { allowedOrigins: [origin] };
    await expect(opened(listen)).rejects.toThrow(UsageError);
  });
});

describe("places", () => {
  test("clients of a route take no places of links, and links none of theirs", async () => {
    const { url, counts, links } = await opened({ othersMax: 2, limits: { connectionsMax: 3 } });
    const clients: WebSocket[] = [];
    for (let count = 0; count < 3; count++) clients.push(await enter(`${url}/toy/a`));
    expect(await dial(`${url}/toy/a`)).toBe(503);
    expect(counts.of("trellis_refused_total connections")).toBe(1);
    asks(url, wantsLink);
    asks(url, wantsLink);
    await until(() => links.count === 2);
    clients[0]?.terminate();
    await until(() => links.count === 2 && clients[0]?.readyState === 3);
    await until(() => counts.read()["trellis_document_clients"] === 2);
    (await enter(`${url}/toy/a`)).terminate();
  });

  test("who is being judged holds a place", async () => {
    const decide: ((isLetIn: boolean) => void)[] = [];
    const slowly = (): Promise<boolean> => new Promise((resolve) => decide.push(resolve));
    const { url } = await opened({ authenticate: slowly, limits: { connectionsMax: 1 } });
    const first = enter(`${url}/toy/a`);
    await until(() => decide.length === 1);
    expect(await dial(`${url}/toy/a`)).toBe(503);
    decide[0]?.(true);
    (await first).terminate();
  });

  test("a door that drains takes no clients, and keeps those that it has", async () => {
    const { url, door, toy, sockets } = await opened();
    const idle = asks(url, "");
    const before = await enter(`${url}/toy/a`);
    await until(() => idle.readyState === "open");
    door.stopListening();
    const closed = new Promise((resolve) => idle.once("close", resolve));
    idle.write(wantsLink.replace("/", "/toy/a").replaceAll("\n", "\r\n"));
    await closed;
    await expect(dial(`${url}/toy/a`)).rejects.toThrow("ECONNREFUSED");
    before.send(Uint8Array.of(1));
    await until(() => toy.visits[0]?.heard.length === 1);
    const code = codeOf(before);
    await sockets.close();
    expect(await code).toBe(1001);
  });

  test("a door that is closed ends who is left", async () => {
    const { url, door } = await opened();
    const socket = await enter(`${url}/toy/a`);
    const code = codeOf(socket);
    await door.close();
    expect(await code).toBe(1006);
  });
});
