/** A process that is one node of a service: it has one strategy open and puts loads on it. */
import { serve } from "../../worker-process.ts";
import { type Client, loadStrategy } from "../strategy.ts";
import { runLoad } from "./load.ts";
import type { Command, KeySet, Reply } from "./messages.ts";

/** How long a strategy may take to close once the coordinator is gone, in ms. */
const closeMs = 1_500;

let client: Client | undefined;

serve<Command, Reply>({
  answer: perform,
  close: async () => await client?.close(),
  closeMs,
});

async function perform(command: Command): Promise<Reply> {
  switch (command.kind) {
    case "open":
      client = await (await loadStrategy(command.strategy)).open(command.context);
      return { kind: "opened", url: client.url };
    case "join":
      await opened().join?.(command.urls);
      return { kind: "done" };
    case "fill":
      await opened().fill?.(keysOf(command.keys), command.units);
      return { kind: "done" };
    case "count":
      return { kind: "counted", units: (await opened().count?.(keysOf(command.keys))) ?? [] };
    case "load":
      return {
        kind: "loaded",
        figures: await runLoad(opened(), command.load, keysOf(command.load.keys)),
      };
    case "close": {
      const before = client;
      client = undefined;
      await before?.close();
      return { kind: "done" };
    }
  }
}

function opened(): Client {
  if (client === undefined) throw new Error("no strategy is open");
  return client;
}

const keysOf = ({ prefix, count }: KeySet): readonly string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);
