/**
 * Where the servers of this process live, and who sees to it that they die with it.
 *
 * A process that is killed can clean up nothing. So a small shell holds the other end of a pipe: it
 * makes the directory, is told of every server that starts or ends, and when the pipe closes, which
 * it does however this process ends, kills what is left and removes the directory.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** The watch over the servers of one process. */
export interface Watch {
  /** Removed when this process ends. */
  readonly directory: string;
  /** From now on `pid`, with all below it, dies with this process. */
  add(pid: number): void;
  /** `pid` has ended. */
  remove(pid: number): void;
}

/** What watches, given the folder for temporary files. */
const script = `
directory=$(mktemp -d "$1/trellis-servers-XXXXXXXX") || exit 1
chmod 711 "$directory" # Servers that run as other users must reach what is theirs in it.
echo "$directory"
exec >/dev/null 2>&1

listed=
while read -r verb process; do
  before=$listed
  listed=
  for each in $before; do [ "$each" = "$process" ] || listed="$listed $each"; done
  [ "$verb" = add ] && listed="$listed $process"
done

below() {
  # What has ended may still wait for its parent to notice.
  case $(cat /proc/"$1"/stat) in '' | *') Z '*) return ;; esac
  echo "$1"
  for child in $(cat /proc/"$1"/task/*/children); do below "$child"; done
}

tries=200
while [ "$tries" -gt 0 ]; do
  alive=
  for process in $listed; do
    for each in $(below "$process"); do kill -KILL "$each" && alive=1; done
  done
  # Whoever was started while its parent was killed is below nobody, but names the directory.
  for file in $(grep -lasF -- "$directory/" /proc/[0-9]*/cmdline); do
    each=\${file#/proc/}
    kill -KILL "\${each%/cmdline}" && alive=1
  done
  [ -z "$alive" ] && break
  tries=$((tries - 1))
  sleep 0.02
done
rm -rf "$directory"
`;

let watch: Promise<Watch> | undefined;

/** The watch of this process, which the first call starts. */
export async function watchOfThisProcess(): Promise<Watch> {
  watch ??= startWatch();
  return await watch;
}

/** A new directory for one server, below that of this process. */
export async function privateDirectory(kind: string): Promise<string> {
  const { directory } = await watchOfThisProcess();
  return await mkdtemp(join(directory, `${kind}-`));
}

async function startWatch(): Promise<Watch> {
  const child = spawn("sh", ["-c", script, "sh", tmpdir()], {
    stdio: ["pipe", "pipe", "inherit"],
    // In a group of its own: a Ctrl-C in the terminal is for the tests, and they are waited for.
    detached: true,
  });
  const directory = await firstLine(child, child.stdout);
  child.stdout.destroy();
  child.unref();
  if (child.stdin instanceof Socket) child.stdin.unref();
  return {
    directory,
    add: (pid) => void child.stdin.write(`add ${pid}\n`),
    remove: (pid) => void child.stdin.write(`remove ${pid}\n`),
  };
}

async function firstLine(child: ChildProcess, output: NodeJS.ReadableStream): Promise<string> {
  const lines = createInterface({ input: output });
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once("line", resolve);
      child.once("error", reject);
      child.once("exit", () => reject(new Error("the watch over the servers ended at once")));
    });
  } finally {
    lines.close();
  }
}
