/** The route that tells changes of keys as they happen. */
import { InvalidValueError } from "../errors.ts";
import type { Watcher } from "../store/watch.ts";
import type { EventStream } from "./event-stream.ts";
import { collectionOf, type Parts } from "./parts.ts";
import { patternOf } from "./path.ts";
import { assertMay, type Call, type Reply, type Route } from "./route.ts";

/** It of one service. */
export const watchRoute = (parts: Parts): Route => ({
  ...{ id: "watch", method: "GET", pattern: patternOf("/v1/watch"), access: "admitted" },
  summary:
    "Changes of keys, as server-sent events whose id is a version. First `open`; what changed before " +
    "it is to be read. A slow reader gets the latest change of a key, not all of them.",
  query: {
    collection: { description: "Which collection.", schema: { type: "string" } },
    key: { description: "Only this key.", schema: { type: "string" } },
    prefix: { description: "Only keys that begin with it.", schema: { type: "string" } },
  },
  ...{ refusals: [404, 503], answerType: "text/event-stream" },
  run: (call) => watch(parts, call),
});

function watch(parts: Parts, call: Call): Reply {
  const collection = call.query.get("collection");
  const key = call.query.get("key");
  const prefix = call.query.get("prefix");
  if (collection === null) {
    throw new InvalidValueError("watch names no collection", {
      ...{ path: "collection", reason: "is missing" },
    });
  }
  assertMay(call, "read", { collection, key: key ?? prefix ?? "" });
  collectionOf(parts, collection);
  const stream = parts.openStream(call);
  const which = { ...(key !== null && { key }), ...(prefix !== null && { prefix }) };
  const watcher = parts.replica.watch(collection, which);
  call.response.once("close", () => watcher.end());
  void pump(watcher, stream, parts.replica.version());
  return { kind: "taken" };
}

/** The watcher is only asked when there is room: what happens meanwhile is one change a key. */
async function pump(watcher: Watcher, stream: EventStream, version: string): Promise<void> {
  await stream.send({ event: "open", data: "{}", id: version });
  // Ends with the replica, or with the reader.
  for await (const change of watcher) {
    const { key, field, origin } = change;
    const data = JSON.stringify({ key, ...(field !== undefined && { field }), origin });
    if (!(await stream.send({ event: "change", data, id: change.version }))) break;
  }
  stream.end();
}
