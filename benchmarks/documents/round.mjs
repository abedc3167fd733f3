/** One server, one client that writes the trace, one that has it in the end; each in a process of its own. */
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { start } from "./process.mjs";

/**
 * What the writer does.
 * @typedef {object} Work
 * @property {number} edits
 * @property {number} turnEdits edits in one turn of its event loop
 * @property {number} [rate] edits a second; without it only the socket holds them back
 */

/**
 * What a round took.
 * @typedef {object} Figures
 * @property {number} perSecond edits, from the first one until the second client has all
 * @property {number} writtenMs until the last edit was made
 * @property {number} cpuMs of the servers, until they rest
 * @property {number} clientsCpuMs of both clients, until the second one has all
 * @property {number} residentBytes at most, of all servers
 * @property {number} fromWriterBytes,toWriterBytes,toReaderBytes,fromReaderBytes on the wire
 * @property {number} diskBytes once the servers are closed
 */

/**
 * @param {import("./contestants.mjs").Contestant} contestant
 * @param {Work & { scratch: string, profile?: string }} options folders: what is stored, profiles
 * @returns {Promise<Figures>}
 */
export async function round(contestant, { scratch, profile, ...work }) {
  const directory = mkdtempSync(join(scratch, `${contestant.id}-`));
  const servers = await startServers(contestant, { directory, profile });
  const { edits } = work;
  const client = (url, name) =>
    start({ role: "client", kind: contestant.client, url, name, ...work });
  const writer = await client(servers[0].hello.url);
  const reader = await client(servers.at(-1).hello.url, writer.hello.name);
  await Promise.all([writer, reader, ...servers].map((each) => each.ask("begin")));
  const complete = reader.ask("complete");
  // Whoever fails first says why.
  complete.catch(() => undefined);
  const { startMs, endMs } = await writer.ask("write");
  const tookMs = (await complete).atMs - startMs;
  const [atWriter, atReader] = [await writer.ask("spent"), await reader.ask("spent")];
  const spent = await Promise.all(servers.map((server) => server.ask("spent")));
  for (const process of [writer, reader, ...servers]) await process.end();
  const diskBytes = bytesIn(directory);
  rmSync(directory, { recursive: true });
  const sum = (name) => spent.reduce((total, of) => total + of[name], 0);
  return {
    perSecond: (edits * 1_000) / tookMs,
    writtenMs: endMs - startMs,
    ...{ cpuMs: sum("cpuMs"), residentBytes: sum("residentBytes"), diskBytes },
    clientsCpuMs: atWriter.cpuMs + atReader.cpuMs,
    ...{ fromWriterBytes: atWriter.sent, toWriterBytes: atWriter.received },
    ...{ toReaderBytes: atReader.received, fromReaderBytes: atReader.sent },
  };
}

/** Each dials the one before. */
async function startServers({ server: kind, family, peers = 1, isStored }, { directory, profile }) {
  const servers = [];
  const execArgv = profile ? ["--cpu-prof", `--cpu-prof-dir=${profile}`] : [];
  while (servers.length < peers) {
    const before = servers.at(-1);
    const input = {
      ...{ role: "server", kind, family },
      ...(isStored && { directory: join(directory, String(servers.length)) }),
      ...(before && { peers: [before.hello.peerUrl] }),
    };
    servers.push(await start(input, execArgv));
  }
  return servers;
}

function bytesIn(directory) {
  let bytes = 0;
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size;
  }
  return bytes;
}
