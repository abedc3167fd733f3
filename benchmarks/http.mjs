/**
 * What one peer takes over HTTP: requests a second for increments and reads, and what becomes of those that
 * are accepted when twice as many come as it can take.
 *
 *   npm run bench:http [-- --seconds 5]
 *
 * The peer runs in a process of its own, in memory. Arrivals of the overload are on a clock: one that finds
 * all connections busy is not sent, as a client's pool would have it, and is counted; latency is from the
 * moment that it should have been sent.
 */
import { fork } from "node:child_process";
import { createServer } from "node:http";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(import.meta.url);
const secondsAt = process.argv.indexOf("--seconds");
const seconds = secondsAt === -1 ? 5 : Number(process.argv[secondsAt + 1]);

async function servePeer() {
  const { counter, openReplica } = await import("../dist/index.js");
  const { serveHttp } = await import("../dist/http.js");
  const replica = await openReplica({ schema: { likes: counter() }, listen: { port: 0 } });
  const sheds = {};
  const telemetry = {
    count: (name, value = 1, labels = {}) => {
      if (name === "trellis_http_sheds_total")
        sheds[labels.reason] = (sheds[labels.reason] ?? 0) + value;
    },
    gauge: () => undefined,
    observe: () => undefined,
  };
  serveHttp(replica, { telemetry });
  process.on("message", () => process.send({ sheds: { ...sheds }, cpu: process.cpuUsage() }));
  process.send({ port: replica.address.port });
}

/** What Node takes without us, on the same machine at the same time. */
async function serveNothing() {
  const server = createServer((_, response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": 11 });
    response.end('{"value":1}');
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  process.on("message", () => process.send({ cpu: process.cpuUsage() }));
  process.send({ port: server.address().port });
}

/** One connection, one request at a time. */
class Connection {
  #socket;
  #text = "";
  #done;

  constructor(port) {
    this.#socket = connect(port, "127.0.0.1").setNoDelay(true).setEncoding("latin1");
    this.#socket.on("data", (text) => this.#take(text));
    this.ready = new Promise((resolve) => this.#socket.once("connect", resolve));
  }

  /** Calls back with the status. */
  ask(bytes, done) {
    this.#done = done;
    this.#socket.write(bytes);
  }

  end() {
    this.#socket.destroy();
  }

  #take(text) {
    this.#text += text;
    const end = this.#text.indexOf("\r\n\r\n");
    if (end === -1) return;
    const length = Number(/content-length: (\d+)/iu.exec(this.#text)?.[1] ?? 0);
    if (this.#text.length < end + 4 + length) return;
    const status = Number(this.#text.slice(9, 12));
    this.#text = "";
    this.#done(status);
  }
}

const request = (method, path) =>
  Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`, "latin1");
const increment = request("POST", "/v1/collections/likes/post/increment");
const read = request("GET", "/v1/collections/likes/post");

async function open(port, count) {
  const connections = Array.from({ length: count }, () => new Connection(port));
  await Promise.all(connections.map(({ ready }) => ready));
  return connections;
}

/** All connections ask again as soon as they are answered. */
async function closedLoop(port, bytes, { connections: count, forMs }) {
  const connections = await open(port, count);
  const startMs = performance.now();
  let answers = 0;
  await Promise.all(
    connections.map(
      (connection) =>
        new Promise((resolve) => {
          const next = () => {
            if (performance.now() - startMs > forMs) return resolve();
            connection.ask(bytes, (status) => {
              if (status === 200) answers++;
              next();
            });
          };
          next();
        }),
    ),
  );
  for (const connection of connections) connection.end();
  return { answers, perSecond: (answers * 1_000) / (performance.now() - startMs) };
}

/** Arrivals on a clock. */
async function openLoop(port, bytes, { perSecond, connections: count, forMs }) {
  const free = await open(port, count);
  const all = [...free];
  const startMs = performance.now();
  const accepted = [];
  const refused = [];
  let [due, unsent, failed] = [0, 0, 0];
  await new Promise((resolve) => {
    const tick = () => {
      const nowMs = performance.now() - startMs;
      if (nowMs > forMs) return resolve();
      for (; due < (nowMs * perSecond) / 1_000; due++) {
        const connection = free.pop();
        if (!connection) {
          unsent++;
          continue;
        }
        const dueMs = (due * 1_000) / perSecond;
        connection.ask(bytes, (status) => {
          free.push(connection);
          const tookMs = performance.now() - startMs - dueMs;
          if (status === 200) accepted.push(tookMs);
          else if (status === 503 || status === 429) refused.push(tookMs);
          else failed++;
        });
      }
      setImmediate(tick);
    };
    tick();
  });
  for (const connection of all) connection.end();
  const result = { accepted, refused, unsent, failed, arrivals: due };
  return { ...result, p50: quantile(accepted, 0.5), p99: quantile(accepted, 0.99) };
}

function quantile(values, share) {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

async function measure() {
  const nothing = fork(script, ["nothing"]);
  const bare = await new Promise((resolve) => nothing.once("message", resolve));
  const peer = fork(script, ["peer"]);
  const { port } = await new Promise((resolve) => peer.once("message", resolve));
  const told = (of = peer) =>
    new Promise((resolve) => {
      of.once("message", resolve);
      of.send("tell");
    });
  const forMs = seconds * 1_000;
  const say = (text) => process.stdout.write(`${text}\n`);
  try {
    await closedLoop(port, increment, { connections: 32, forMs: 1_000 });
    const rates = {};
    for (const [name, bytes, at] of [
      ["Node alone", read, bare.port],
      ["increment", increment, port],
      ["read", read, port],
    ]) {
      const of = at === port ? peer : nothing;
      const before = await told(of);
      const { perSecond, answers } = await closedLoop(at, bytes, { connections: 32, forMs });
      const { cpu } = await told(of);
      rates[name] = perSecond;
      const spentUs = cpu.user + cpu.system - before.cpu.user - before.cpu.system;
      say(
        `${name}: ${Math.round(perSecond)} requests/s over 32 connections, ` +
          `${(spentUs / answers).toFixed(1)} us of CPU a request`,
      );
    }
    const runs = {};
    for (const [name, factor] of [
      ["half load", 0.5],
      ["twice saturation", 2],
    ]) {
      const before = await told();
      const perSecond = rates.increment * factor;
      const run = await openLoop(port, increment, { perSecond, connections: 256, forMs });
      const { sheds } = await told();
      runs[name] = run;
      const shed = Object.entries(sheds).map(
        ([reason, count]) => `${reason} ${count - (before.sheds[reason] ?? 0)}`,
      );
      say(
        `${name}: ${Math.round(perSecond)} arrivals/s; accepted ${run.accepted.length} ` +
          `(${Math.round((run.accepted.length * 1_000) / forMs)}/s), p50 ${run.p50.toFixed(1)} ms, ` +
          `p99 ${run.p99.toFixed(1)} ms; refused ${run.refused.length} (${shed.join(", ") || "none"}); ` +
          `not sent ${run.unsent}; failed ${run.failed}`,
      );
    }
    const ratio = runs["twice saturation"].p99 / runs["half load"].p99;
    say(`p99 of accepted requests: ${ratio.toFixed(2)} times that of half load`);
  } finally {
    peer.kill();
    nothing.kill();
  }
}

if (process.argv[2] === "peer") await servePeer();
else if (process.argv[2] === "nothing") await serveNothing();
else await measure();
