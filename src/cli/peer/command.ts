/** `trellis peer` on the command line: its flags follow from the table of settings. */
import type { Command } from "commander";
import { peerCommand } from "../peer.ts";
import { configVariable } from "./resolve.ts";
import { peerFlags } from "./show.ts";

/** Adds the command. `version` is that of the package. */
export function addPeerCommand(program: Command, version: string): void {
  const command = program
    .command("peer")
    .description("run a sync peer: it stores, joins and relays the collections of its peers")
    .option("--config <file>", `settings in YAML or JSON (${configVariable}); flags go before it`)
    .option("--print-config", "print every setting with where it comes from, without secrets");
  const flags = peerFlags();
  for (const { option } of flags) command.addOption(option);
  command.addHelpText(
    "after",
    "\nEvery flag has a variable and a place in the config file: docs/settings.md.\n" +
      "SIGTERM drains and ends with 0, SIGHUP reads certificates, tokens and peers again.",
  );
  command.action(async (given: Readonly<Record<string, unknown>>) => {
    const config = given.config ?? process.env[configVariable];
    process.exitCode = await peerCommand({
      sources: {
        flags: new Map(
          flags.flatMap(({ path, option }) => said(path, given[option.attributeName()])),
        ),
        variables: process.env,
        config: typeof config === "string" ? config : undefined,
      },
      printConfig: given.printConfig === true,
      version,
    });
  });
}

/** What was given to one flag, if anything. */
function said(path: string, given: unknown): (readonly [string, readonly string[]])[] {
  if (typeof given === "string") return [[path, [given]]];
  return Array.isArray(given) ? [[path, given.map(String)]] : [];
}
