import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { measureRoundTrip, Network } from "../../src/cli/bench/network.ts";

let server: Server;
let url = "";
const sockets: Socket[] = [];

beforeEach(async () => {
  server = createServer((socket) => socket.on("error", () => undefined).pipe(socket));
  server.listen({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const address = server.address();
  url = `tcp://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
});

async function ask(through: string): Promise<boolean> {
  const { hostname, port } = new URL(through);
  const socket = connect({ host: hostname, port: Number(port) });
  sockets.push(socket);
  socket.on("error", () => undefined);
  await once(socket, "connect");
  const answered = Promise.race([
    once(socket, "data").then(() => true),
    new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 200)),
  ]);
  socket.write("?");
  return await answered;
}

test.each([1, 20])("a round trip of %i ms takes that, and not much more", async (ms) => {
  const measured = await measureRoundTrip(ms);
  expect(measured).toBeGreaterThanOrEqual(ms);
  expect(measured).toBeLessThan(ms + 15);
});

test("counts what goes to servers and between nodes", async () => {
  await using network = new Network(0);
  await ask(await network.link(url, 0));
  await ask(await network.link(url, 1, 0));
  expect(network.traffic).toEqual({ roundTrips: 2, bytes: 4 });
});

test("a node that is cut off reaches nobody, nobody reaches it, and the others go on; then it is back", async () => {
  await using network = new Network(0);
  const [own, toIt, others] = [
    await network.link(url, 2),
    await network.link(url, 1, 2),
    await network.link(url, 1, 0),
  ];
  network.cut(2);
  expect([await ask(own), await ask(toIt), await ask(others)]).toEqual([false, false, true]);
  network.heal(2);
  expect([await ask(own), await ask(toIt), await ask(others)]).toEqual([true, true, true]);
});
