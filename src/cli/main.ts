#!/usr/bin/env node
/**
 * The command `trellis`: which subcommands there are, and what the process' status says.
 * 0 is success, 1 a failure or a difference, 2 a wrong command line; 130 and 143 are a run stopped by a signal.
 * `trellis peer` has more: `peer/exit-status.ts`.
 */
import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import {
  type MoveCommandOptions,
  moveAuthorityCommand,
  showAuthorityCommand,
} from "./authority.ts";
import { type BenchCommandOptions, benchCommand } from "./bench/command.ts";
import { serverUrl } from "./bench/bench-servers.ts";
import { type DemoCommandOptions, demoCommand } from "./demo.ts";
import { withDialing } from "./dialing.ts";
import { explainFailure } from "./exit-status.ts";
import { type ExplainCommandOptions, explainCommand } from "./explain.ts";
import { integer, peerUrl, replicaPlace } from "./flags.ts";
import { inspectCommand } from "./inspect.ts";
import { addPeerCommand } from "./peer/command.ts";
import { repairCommand } from "./repair.ts";
import { type ReplayCommandOptions, replayCommand } from "./replay/command.ts";
import { requestsMax } from "./replay/log.ts";
import {
  reclaimCommand,
  type ReclaimCommandOptions,
  rightsCommand,
  type RightsCommandOptions,
} from "./rights.ts";
import { lockServers } from "./servers/lock-url.ts";
import { stopSignal } from "./stop-signal.ts";
import { addTools } from "./tools.ts";
import { type VerifyCommandOptions, verifyCommand } from "./verify.ts";

const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"];

const manifest = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
) as { readonly version: string };

const program = new Command("trellis")
  .description(
    "shared state for services: run a sync peer, look into replicas, replay an access log",
  )
  .version(manifest.version)
  .exitOverride()
  .showHelpAfterError("(add --help for the options)");

addPeerCommand(program, manifest.version);

program
  .command("inspect")
  .description("show what a replica's directory holds; it must not be open, and nothing is written")
  .argument("<dir>", "what was given as storage")
  .option("--json", "print it as JSON")
  .action(inspectCommand);

withDialing(program.command("repair"))
  .description("put a damaged directory aside and rebuild it from peers")
  .argument("<dir>", "what was given as storage")
  .addOption(new Option("--join <url>", "a peer; may be repeated").argParser(peerUrl))
  .addOption(
    new Option("--timeout <seconds>", "the longest to wait for the peers")
      .argParser(integer(1, 86_400))
      .default(60),
  )
  .action(repairCommand);

const authority = program
  .command("authority")
  .description("show or move the lock authority (embeddedLocks), in directories that are not open");

authority
  .command("show")
  .description("show which replica a directory has recorded as the lock authority")
  .argument("<dir>", "what was given as storage")
  .action(showAuthorityCommand);

withDialing(authority.command("move"))
  .description("move the lock authority, with all its guards, or replace one that is lost")
  .addOption(
    new Option("--from <place>", "who has it: a directory, or the URL of the live host").argParser(
      replicaPlace,
    ),
  )
  .requiredOption("--to <dir>", "the directory that is to have it; it is made if there is none")
  .option(
    "--name <name>",
    "shown as the host until it is opened; default: the name of the directory",
  )
  .option("--exclusive", "no copy of --from runs anywhere, and there never was a newer state of it")
  .option("--lost", "the host is gone for good, and its guards with it; says what that means")
  .option("--yes", "with --lost: do it")
  .addOption(
    new Option("--timeout <seconds>", "the longest to wait for a live host")
      .argParser(integer(1, 86_400))
      .default(30),
  )
  .action(async (options: MoveCommandOptions) => {
    await moveAuthorityCommand(options);
  });

withDialing(program.command("verify"))
  .description("compare two replicas, directories or live peers, without sending what they hold")
  .argument("<a>", "a directory, or the URL of a peer", replicaPlace)
  .argument("<b>", "the same", replicaPlace)
  .addOption(
    new Option("--limit <count>", "keys that are listed for each collection")
      .argParser(integer(0, 100_000))
      .default(20),
  )
  .addOption(
    new Option("--timeout <seconds>", "how long live peers are asked again about what differs")
      .argParser(integer(0, 86_400))
      .default(10),
  )
  .option("--json", "print it as JSON")
  .action(async (a: string, b: string, options: VerifyCommandOptions) => {
    process.exitCode = (await verifyCommand(a, b, options)) ? 0 : 1;
  });

program
  .command("explain")
  .description("show what each operation of a schema needs before it takes effect, and why")
  .argument("<module>", "a compiled module that exports the schema; it is run")
  .option("--export <name>", "the name of that export", "schema")
  .option("--json", "print it as JSON")
  .action(async (file: string, options: ExplainCommandOptions) => {
    await explainCommand(file, options);
  });

const rights = program
  .command("rights")
  .description("who holds rights to a bounded counter; free what a holder that is gone has left");

/** Where the pool is. */
const withPlace = (command: Command): Command =>
  withDialing(command)
    .argument("<collection>", "the name of the collection in the schema")
    .argument("<key>", "the counter")
    .addOption(
      new Option("--locks <url>", "the lock store, such as etcd://127.0.0.1:2379").env(
        "TRELLIS_LOCKS",
      ),
    )
    .addOption(
      new Option(
        "--join <url>",
        "a replica of a cluster with embedded locks; may be repeated",
      ).argParser(peerUrl),
    )
    .addOption(
      new Option("--timeout <seconds>", "the longest to wait for the replica")
        .argParser(integer(1, 86_400))
        .default(10),
    );

withPlace(rights.command("show", { isDefault: true }).description("list the holders"))
  .option("--json", "print it as JSON")
  .action(async (collection: string, key: string, options: RightsCommandOptions) => {
    await rightsCommand(collection, key, options);
  });

withPlace(
  rights.command("reclaim").description("make free what a holder has left; says the risk first"),
)
  .argument("<holder>", "its id, as it is listed")
  .option("--yes", "the risk was read and is accepted")
  .action(
    async (collection: string, key: string, holder: string, options: ReclaimCommandOptions) => {
      await reclaimCommand(collection, key, holder, options);
    },
  );

/** What a run of several replicas takes. */
const withRun = (command: Command): Command =>
  command
    .addOption(
      new Option("--seed <number>", "decides the made-up requests, and who takes which")
        .argParser(integer(0, 2 ** 32 - 1))
        .default(1),
    )
    .addOption(
      new Option("--timeout <seconds>", "the longest that any wait may take")
        .argParser(integer(1, 86_400))
        .default(60),
    )
    .addOption(
      new Option("--log-level <level>", "what the replicas log")
        .choices(logLevels)
        .default("error"),
    )
    .option("--json", "print the outcome as JSON");

withRun(
  program
    .command("demo")
    .description(
      "a storefront on a bad day: three replicas, one cut off, one killed, no rule broken",
    )
    .addOption(
      new Option("--locks <where>", "what guards the rules; a server is started for it")
        .choices(["embedded", ...lockServers])
        .default("embedded"),
    )
    .option("--input <file>", "an access log to replay meanwhile, plain or gzip")
    .addOption(
      new Option("--generate <count>", "without one, make up so many requests")
        .argParser(integer(1, requestsMax))
        .default(10_000),
    )
    .addOption(
      new Option("--units <count>", "what is on sale")
        .argParser(integer(100, 1_000_000))
        .default(10_000),
    ),
).action(async (options: DemoCommandOptions) => {
  process.exitCode = (await demoCommand(options, stopSignal())) ? 0 : 1;
});

withRun(
  program
    .command("replay")
    .description(
      "replay an access log over replicas in processes of their own and check the outcome",
    )
    .argument("[file]", "tab-separated access log, plain or gzip")
    .option("--input <file>", "the same as the argument; goes before --generate")
    .addOption(
      new Option("--generate <count>", "make up so many requests").argParser(
        integer(1, requestsMax),
      ),
    )
    .addOption(new Option("--replicas <count>", "processes").argParser(integer(1, 32)).default(3))
    .addOption(
      new Option("--topology <shape>", "all linked, or all to the first")
        .choices(["mesh", "star"])
        .default("mesh"),
    )
    .addOption(
      new Option("--cut", "cut the last replica off for the middle third").default(true, "yes"),
    )
    .option("--no-cut", "cut no replica off")
    .option("--durable", "keep the replicas in a temporary folder, and kill one in the middle"),
).action(async (file: string | undefined, options: ReplayCommandOptions) => {
  const agrees = await replayCommand(file, options, stopSignal());
  process.exitCode = agrees ? 0 : 1;
});

program
  .command("bench")
  .description("measure coordination against locking, and count the rules that break")
  .addOption(
    new Option("--profile <name>", "quick ends in 2 minutes, full in 20")
      .choices(["quick", "full"])
      .default("quick"),
  )
  .option("--out <dir>", "where results.json and report.html go", "trellis-bench")
  .option("--only <names>", "these strategies, separated by commas")
  .option("--workload <names>", "these workloads, separated by commas")
  .addOption(
    new Option(
      "--server <url>",
      "use this server instead of starting one, such as redis://127.0.0.1:6379; may be repeated",
    ).argParser(serverUrl),
  )
  .addOption(
    new Option("--seed <number>", "decides keys and choices")
      .argParser(integer(0, 2 ** 20))
      .default(1),
  )
  .option("--list", "name the strategies and end")
  .action(async (options: BenchCommandOptions) => {
    const { version } = manifest;
    process.exitCode = (await benchCommand(options, { version, signal: stopSignal() })) ? 0 : 1;
  });

addTools(program);

// Whoever reads the output may have seen enough, as `head` has.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = explainFailure(error);
}
