import { setTimeout as sleep } from "node:timers/promises";
import { splice } from "@automerge/automerge";
import { Repo } from "@automerge/automerge-repo";
import { WebSocketClientAdapter } from "@automerge/automerge-repo-network-websocket";
import { wireBytes } from "./counted-socket.mjs";

const retryMs = 200;

/** Makes the document, or finds the one of that name. */
export async function connect({ url, name }) {
  const { adapter, handle } = name ? await find(url, name) : await make(url);
  return {
    name: handle.url,
    edit: ([at, removed, inserted]) =>
      handle.change((content) => splice(content, ["text"], at, removed, inserted)),
    holds: (wanted) => handle.doc().text.length === wanted.length && handle.doc().text === wanted,
    whenChanged: (listener) => handle.on("change", listener),
    bufferedBytes: () => adapter.socket.bufferedAmount,
    wire: () => wireBytes(adapter.socket),
  };
}

async function open(url) {
  const adapter = new WebSocketClientAdapter(url);
  const repo = new Repo({ network: [adapter] });
  await adapter.whenReady();
  return { adapter, repo };
}

async function make(url) {
  const { adapter, repo } = await open(url);
  return { adapter, handle: repo.create({ text: "" }) };
}

/** A server to which it has not come yet says that there is none; who asks again asks as somebody new. */
async function find(url, name) {
  for (;;) {
    const { adapter, repo } = await open(url);
    try {
      return { adapter, handle: await repo.find(name) };
    } catch {
      await repo.shutdown();
      await sleep(retryMs);
    }
  }
}
