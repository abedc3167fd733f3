/**
 * A replica with a directory hosts the guards, and another asks it over a WebSocket; both are in this
 * process. The floor is an echo over `ws`, whose server writes as much to LevelDB, synchronised, first.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { WebSocket, WebSocketServer } from "ws";
import { value } from "../backends.mjs";
import { built } from "../build.mjs";

const reachMs = 10_000;
/** Of a request, and of what is kept of one guard. */
const requestBytes = 160;
const recordBytes = 400;

/** @type {import("../backends.mjs").BackendPlan} */
export const backend = {
  name: "embedded",
  async start() {
    const { openReplica, counter } = await built("src/index");
    const { embeddedLocks } = await built("src/escalate/locks/embedded");
    const directory = await mkdtemp(join(tmpdir(), "trellis-bench-locks-"));
    const host = await openReplica({
      schema: { likes: counter() },
      name: "host",
      storage: join(directory, "host"),
      listen: { port: 0 },
      locks: embeddedLocks({ host: true }),
    });
    const floor = await startEcho(join(directory, "floor"));
    return {
      addresses: [`ws://127.0.0.1:${host.address.port}`, floor.address],
      async stop() {
        await host.close();
        await floor.stop();
        await rm(directory, { recursive: true });
      },
    };
  },
  async connect([peer], { prefix }) {
    const { openReplica, counter } = await built("src/index");
    const { embeddedLocks } = await built("src/escalate/locks/embedded");
    const locks = embeddedLocks({ prefix });
    const schema = { likes: counter() };
    const guest = await openReplica({ schema, name: "guest", peers: [peer], locks });
    const endMs = performance.now() + reachMs;
    while (guest.status().locks.isServing !== true) {
      if (performance.now() > endMs) throw new Error("no lock authority in reach");
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const dispose = locks[Symbol.asyncDispose].bind(locks);
    let isClosing = false;
    locks[Symbol.asyncDispose] = async () => {
      // The replica disposes of them, too.
      if (isClosing) return dispose();
      isClosing = true;
      await guest.close();
    };
    return locks;
  },
  async bare([, floor]) {
    const socket = new WebSocket(floor, { perMessageDeflate: false });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    let answered;
    socket.on("message", () => answered());
    const request = Buffer.concat([Buffer.alloc(requestBytes), value]);
    const ask = () =>
      new Promise((resolve) => {
        answered = resolve;
        socket.send(request);
      });
    return {
      does: "3 echoes over ws after a synchronised put",
      async cycle() {
        for (let i = 0; i < 3; i++) await ask();
      },
      set: ask,
      async close() {
        socket.terminate();
      },
    };
  },
  describe: async () => "one replica with a directory (LevelDB, each write synchronised)",
  tripsMax: { cycle: 3, compareAndSet: 1, handOver: 2 },
  operates: true,
  why: {
    time: "each write encodes the whole record with its 128 remembered ids, in the one process that is both ends of the link",
  },
};

/** A server that answers when something is on the disk. */
async function startEcho(directory) {
  const db = new ClassicLevel(directory, { keyEncoding: "utf8", valueEncoding: "view" });
  await db.open();
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  await new Promise((resolve) => server.once("listening", resolve));
  const record = Buffer.alloc(recordBytes);
  server.on("connection", (socket) => {
    socket.on("message", (data) => {
      db.put("guard", record, { sync: true }).then(
        () => socket.send(data),
        () => socket.terminate(),
      );
    });
  });
  return {
    address: `ws://127.0.0.1:${server.address().port}`,
    async stop() {
      for (const socket of server.clients) socket.terminate();
      await new Promise((resolve) => server.close(resolve));
      await db.close();
    },
  };
}
