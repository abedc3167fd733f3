/** What a run was measured on. */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { execFile } from "node:child_process";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { find, isInstalled, type ServerKind, zookeeperJar } from "../servers/installed.ts";
import type { Machine } from "./results.ts";

/** Clients and rivals whose versions matter. */
const packages = [
  "ioredis",
  "redlock",
  "redis-semaphore",
  "undici",
  "node-zookeeper-client",
  "pg",
  "mysql2",
  "yjs",
  "@automerge/automerge",
  "loro-crdt",
  "tinybase",
  "@collabs/collabs",
  "ws",
  "classic-level",
];

const versionCommands: Readonly<
  Record<Exclude<ServerKind, "zookeeper">, readonly [string, ...string[]]>
> = {
  redis: ["redis-server", "--version"],
  etcd: ["etcd", "--version"],
  postgres: ["postgres", "--version"],
  mysql: ["mariadbd", "--version"],
};
const versionMsMax = 5_000;

/** All of it, as it is now. */
export async function describeMachine(): Promise<Omit<Machine, "loadAverageAfter">> {
  const processors = cpus();
  const versions: Record<string, string> = {};
  for (const name of packages) {
    const version = versionOf(name);
    if (version !== undefined) versions[name] = version;
  }
  for (const [kind, command] of Object.entries(versionCommands)) {
    const version = await serverVersion(kind as ServerKind, command);
    if (version !== undefined) versions[kind] = version;
  }
  const zookeeper = zookeeperVersion();
  if (zookeeper !== undefined) versions["zookeeper"] = zookeeper;
  return {
    cpu: processors[0]?.model ?? "unknown",
    processors: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    versions,
    loadAverageBefore: loadavg()[0] ?? 0,
    disk: fileSystemOf(tmpdir()),
  };
}

/** Of a package that is installed beside us; its manifest need not be exported. */
function versionOf(name: string): string | undefined {
  const require = createRequire(import.meta.url);
  for (const folder of require.resolve.paths(name) ?? []) {
    try {
      const text = readFileSync(`${folder}/${name}/package.json`, "utf8");
      return (JSON.parse(text) as { readonly version: string }).version;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}

/** Beside Debian's jar lies a link to it that has the version in its name. */
function zookeeperVersion(): string | undefined {
  if (!isInstalled("zookeeper")) return undefined;
  const beside = readdirSync(dirname(zookeeperJar));
  return beside.flatMap((name) => /^zookeeper-(\d+\.\d+\.\d+)\.jar$/u.exec(name)?.[1] ?? [])[0];
}

async function serverVersion(
  kind: ServerKind,
  [program, ...args]: readonly [string, ...string[]],
): Promise<string | undefined> {
  if (!isInstalled(kind)) return undefined;
  try {
    const options = { timeout: versionMsMax };
    const { stdout, stderr } = await promisify(execFile)(find(program), args, options);
    return /\d+\.\d+(?:\.\d+)?/u.exec(stdout + stderr)?.[0];
  } catch {
    return undefined;
  }
}

/** Which kind of file system a folder is on, as far as the machine tells. */
function fileSystemOf(folder: string): string {
  try {
    const mounts = readFileSync("/proc/mounts", "utf8")
      .split("\n")
      .map((line) => line.split(" "))
      .filter(([, at = "-"]) => folder === at || folder.startsWith(at === "/" ? "/" : `${at}/`))
      .toSorted(([, left = ""], [, right = ""]) => right.length - left.length);
    return mounts[0]?.[2] ?? "unknown";
  } catch {
    return "unknown";
  }
}
