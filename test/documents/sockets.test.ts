/** Clients of documents on real sockets: what one may send, and that one who does not read costs little. */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { codeOf, enter, toyDoor, type ToyDoor, until } from "./toy.ts";

const open: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function opened(options?: Parameters<typeof toyDoor>[0]): Promise<ToyDoor> {
  const toy = await toyDoor(options);
  open.push(() => toy.close());
  return toy;
}

/** A client that gets in, and reads nothing from then on. */
async function deaf({ url, toy }: ToyDoor): Promise<Socket> {
  const { length } = toy.visits;
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.on("error", () => undefined);
  open.push(() => socket.destroy());
  socket.write(
    [
      ...["GET /toy/a HTTP/1.1", "Host: 127.0.0.1", "Connection: Upgrade", "Upgrade: websocket"],
      ...["Sec-WebSocket-Version: 13", `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`],
      ...["", ""],
    ].join("\r\n"),
  );
  socket.pause();
  await until(() => toy.visits.length > length);
  return socket;
}

describe("what a client may send", () => {
  test("binary messages, which the protocol may keep", async () => {
    const { url, toy, counts } = await opened();
    const socket = await enter(`${url}/toy/a`);
    const back: Buffer[] = [];
    socket.on("message", (data: Buffer) => back.push(data));
    socket.send(Uint8Array.of(1, 2, 3));
    socket.send(new Uint8Array(0));
    const long = randomBytes(toy.messageBytesMax);
    long[0] = 1;
    socket.send(long);
    await until(() => back.length === 3);
    expect(back[0]).toEqual(Buffer.of(1, 2, 3));
    expect(back[1]).toHaveLength(0);
    expect(back[2]?.equals(long)).toBe(true);
    const [first] = toy.visits[0]?.heard ?? [];
    expect(first?.constructor).toBe(Uint8Array);
    expect(first?.buffer.byteLength).toBe(3);
    expect(toy.visits[0]?.drains).toBeGreaterThanOrEqual(3);
    expect(counts.read()).toEqual({
      trellis_document_clients: 1,
      trellis_document_client_in_bytes_total: 3 + long.byteLength,
      trellis_document_client_out_bytes_total: 3 + long.byteLength,
    });
    socket.terminate();
  });

  test.each([
    ["text", "text", 1003, "malformed"],
    ["more than a message may have", new Uint8Array(1024 * 1024 + 1), 1009, "malformed"],
    ["what the protocol throws at", Uint8Array.of(0xff), 1011, "failed"],
  ])("%s ends the connection", async (_, message, code, reason) => {
    const { url, toy, counts, sockets } = await opened();
    const socket = await enter(`${url}/toy/a`);
    const ended = codeOf(socket);
    socket.send(message);
    socket.send(Uint8Array.of(1));
    expect(await ended).toBe(code);
    await until(() => sockets.size === 0);
    expect(counts.of(`trellis_document_clients_ended_total toy ${reason}`)).toBe(1);
    expect(toy.visits[0]?.heard).toEqual([]);
    expect(toy.visits[0]?.ends).toBe(1);
  });
});

describe("a client that does not read", () => {
  const quick = { pingMs: 40, stalledMsMax: 100, closeMsMax: 100 };

  test("costs the bound and one message at most, whatever is sent to it", async () => {
    const waitingBytesMax = 1024 * 1024;
    const door = await opened({ limits: { waitingBytesMax } });
    await deaf(door);
    const client = door.toy.visits[0]?.client;
    const message = randomBytes(300_000);
    let highest = 0;
    for (let count = 0; count < 200; count++) {
      client?.send(message);
      highest = Math.max(highest, client?.bufferedBytes ?? 0);
      if (count % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(highest).toBeGreaterThan(waitingBytesMax);
    expect(highest).toBeLessThan(waitingBytesMax + message.byteLength + 200);
    await until(() => door.sockets.size === 0);
    expect(client?.bufferedBytes).toBe(0);
    expect(door.toy.visits[0]?.ends).toBe(1);
    expect(door.counts.of("trellis_document_clients_ended_total toy slow")).toBe(1);
  });

  test("is given up when nothing leaves for a while, though it goes on talking", async () => {
    const door = await opened({ limits: quick });
    const socket = await deaf(door);
    door.toy.visits[0]?.client.send(randomBytes(15 * 1024 * 1024));
    // An unmasked ping would end it: this is one with a mask of zeroes, which is not answered in vain.
    const talking = setInterval(() => socket.write(Uint8Array.of(0x82, 0x81, 0, 0, 0, 0, 1)), 5);
    open.push(() => clearInterval(talking));
    await until(() => door.sockets.size === 0);
    expect(door.counts.of("trellis_document_clients_ended_total toy slow")).toBe(1);
  });

  test("is given up when it answers no pings", async () => {
    const door = await opened({ limits: { ...quick, stalledMsMax: 60_000 } });
    await deaf(door);
    await until(() => door.sockets.size === 0);
    expect(door.counts.of("trellis_document_clients_ended_total toy silent")).toBe(1);
  });

  test("does not hold up the end of the replica", async () => {
    const door = await opened({ limits: { closeMsMax: 100 } });
    await deaf(door);
    door.toy.visits[0]?.client.send(randomBytes(15 * 1024 * 1024));
    const startMs = performance.now();
    await door.sockets.close();
    expect(performance.now() - startMs).toBeLessThan(5_000);
    expect(door.toy.isClosed).toBe(true);
    expect(door.toy.visits[0]?.ends).toBe(1);
  });
});

describe("a client that reads", () => {
  test("stays, however long it says nothing", async () => {
    const { url, sockets } = await opened({ limits: { pingMs: 20, stalledMsMax: 50 } });
    const socket = await enter(`${url}/toy/a`);
    let pings = 0;
    socket.on("ping", () => pings++);
    await until(() => pings >= 6);
    expect(sockets.size).toBe(1);
    socket.terminate();
  });

  test("stays while it takes a long message slowly", async () => {
    const door = await opened({ limits: { pingMs: 250, stalledMsMax: 500 } });
    const socket = await deaf(door);
    const startMs = performance.now();
    const bytes = 15 * 1024 * 1024;
    door.toy.visits[0]?.client.send(randomBytes(bytes));
    let taken = 0;
    // Never quicker than would take two seconds for all of it.
    const isAhead = (): boolean => taken > ((performance.now() - startMs) / 2_000) * bytes;
    socket.on("data", (part) => {
      taken += part.byteLength;
      if (isAhead()) socket.pause();
    });
    const reading = setInterval(() => {
      if (!isAhead()) socket.resume();
    }, 5);
    open.push(() => clearInterval(reading));
    await until(() => door.toy.visits[0]?.client.bufferedBytes === 0);
    expect(door.sockets.size).toBe(1);
    // Longer than nothing of it may leave: the last of it is on its way.
    expect(performance.now() - startMs).toBeGreaterThan(600);
  });

  test("is told why it has to go, and is not heard afterwards", async () => {
    const { url, toy } = await opened();
    const socket = await enter(`${url}/toy/a`);
    const reason = new Promise((resolve) =>
      socket.once("close", (code, text) => resolve([code, text.toString()])),
    );
    await until(() => toy.visits.length === 1);
    toy.visits[0]?.client.close(4_401, "ö".repeat(100));
    toy.visits[0]?.client.close(1000, "again");
    socket.send(Uint8Array.of(1));
    expect(await reason).toEqual([4_401, "ö".repeat(61)]);
    await until(() => toy.visits[0]?.ends === 1);
    expect(toy.visits[0]?.heard).toEqual([]);
  });
});
