/** The commands with which an operator looks into replicas and keeps backups of them. */
import { type Command, Option } from "commander";
import { withDialing } from "./dialing.ts";
import { type DoctorCommandOptions, doctorCommand } from "./doctor.ts";
import { type ExportCommandOptions, exportCommand } from "./export.ts";
import { httpUrl, integer, peerUrl, replicaPlace } from "./flags.ts";
import { type ImportCommandOptions, importCommand } from "./import.ts";
import { type StatusCommandOptions, statusCommand } from "./status.ts";
import { stopSignal } from "./stop-signal.ts";
import { type TopCommandOptions, topCommand } from "./top.ts";
import { nameOf, whyCommand, type WhyCommandOptions } from "./why.ts";

/** Seconds that a wait may take. */
const timeout = (what: string, seconds: number): Option =>
  new Option("--timeout <seconds>", what).argParser(integer(1, 86_400)).default(seconds);

/** Adds them to the program. */
export function addTools(program: Command): void {
  addExport(program);
  addImport(program);
  addWhy(program);
  addStatus(program);
  addTop(program);
  addDoctor(program);
}

function addDoctor(program: Command): void {
  withDialing(program.command("doctor"))
    .description("check what a replica needs: machine, disk, port, peers, certificates, lock store")
    .addOption(
      new Option(
        "--config <file>",
        "settings of trellis peer, which are checked with all that they name",
      ).env("TRELLIS_CONFIG"),
    )
    .addOption(new Option("--join <url>", "a peer; may be repeated").argParser(peerUrl))
    .addOption(
      new Option("--listen <port>", "the port it is to listen at").argParser(integer(1, 65_535)),
    )
    .option("--host <host>", "the address of that port; default: 127.0.0.1")
    .addOption(
      new Option("--locks <url>", "the lock store, such as etcd://127.0.0.1:2379").env(
        "TRELLIS_LOCKS",
      ),
    )
    .option("--storage <dir>", "the directory it is to store in")
    .addOption(timeout("the longest that one check may take", 20))
    .option("--json", "print it as JSON")
    .action(async (options: DoctorCommandOptions) => {
      process.exitCode = (await doctorCommand(options)) ? 0 : 1;
    });
}

function addStatus(program: Command): void {
  withDialing(program.command("status"))
    .description("show what a live peer says of itself, what is wrong first")
    .argument("<url>", "the peer: ws://, wss://, http:// or https://", httpUrl)
    .addOption(timeout("the longest to wait for it", 10))
    .option("--json", "print it as JSON")
    .action(async (url: string, options: StatusCommandOptions) => {
      process.exitCode = (await statusCommand(url, options)) ? 0 : 1;
    });
}

function addTop(program: Command): void {
  withDialing(program.command("top"))
    .description("show what a live peer says of itself, every second, until q or Ctrl-C")
    .argument("<url>", "the peer: ws://, wss://, http:// or https://", httpUrl)
    .addOption(
      new Option("--count <statuses>", "end after so many; 0: when it is stopped")
        .argParser(integer(0, 1_000_000_000))
        .default(0),
    )
    .option("--json", "print a line of JSON a second")
    .action(async (url: string, options: TopCommandOptions) => {
      await topCommand(url, options, stopSignal());
    });
}

function addWhy(program: Command): void {
  withDialing(program.command("why"))
    .description("show what makes up a value: which writes, from whom, seen where")
    .argument("<place>", "a directory that is not open, or the URL of a peer", replicaPlace)
    .argument("<collection>", "the name of the collection")
    .argument("<key>", "the key")
    .argument(
      "[names...]",
      "below it: an element, a field, an entry and its field; json:5 is a number",
    )
    .option("--json", "print it as JSON")
    .action(
      async (
        place: string,
        collection: string,
        key: string,
        names: readonly string[],
        options: WhyCommandOptions,
      ) => {
        const asked = { collection, key, path: names.map(nameOf) };
        process.exitCode = (await whyCommand(place, asked, options)) ? 0 : 1;
      },
    );
}

function addExport(program: Command): void {
  withDialing(program.command("export"))
    .description("write what a replica holds as JSON lines, without actors and rights")
    .argument("<place>", "a directory that is not open, or the URL of a peer", replicaPlace)
    .option("--out <file>", "where to; compressed if it ends in .gz; default: standard output")
    .addOption(timeout("the longest to wait for a peer", 60))
    .option("--json", "print what was exported as JSON")
    .action(async (place: string, options: ExportCommandOptions) => {
      process.exitCode = (await exportCommand(place, options)) ? 0 : 1;
    });
}

function addImport(program: Command): void {
  withDialing(program.command("import"))
    .description("write an export into a directory or a live cluster, as new writes")
    .argument("<file>", "what trellis export wrote")
    .argument("[dir]", "a directory that is not open; it is made if there is none")
    .addOption(
      new Option("--join <url>", "a peer of a live cluster; may be repeated").argParser(peerUrl),
    )
    .option("--merge", "write also into collections that hold something; counters then grow")
    .option("--guarded", "write what is guarded, too, through its guards")
    .addOption(
      new Option("--locks <url>", "the lock store for that, such as etcd://127.0.0.1:2379").env(
        "TRELLIS_LOCKS",
      ),
    )
    .option("--weak-fence", "accept a lock store that may forget its fences")
    .addOption(timeout("the longest that any one wait may take", 60))
    .option("--json", "print what was imported as JSON")
    .action(async (file: string, directory: string | undefined, options: ImportCommandOptions) => {
      process.exitCode = (await importCommand(file, directory, options)) ? 0 : 1;
    });
}
