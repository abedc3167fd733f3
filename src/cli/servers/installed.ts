/** Which real servers this machine has, and where. `scripts/servers.sh` installs them. */
import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The servers by which the lock backends are tested. `mysql` is MariaDB. */
export const serverKinds = ["redis", "etcd", "zookeeper", "postgres", "mysql"] as const;

/** One of them. */
export type ServerKind = (typeof serverKinds)[number];

const programs: Readonly<Record<ServerKind, readonly string[]>> = {
  redis: ["redis-server"],
  etcd: ["etcd"],
  zookeeper: ["java"],
  postgres: ["initdb", "postgres"],
  mysql: ["mariadbd", "mariadb-install-db"],
};

/** Debian's, whose manifest leads to the rest. */
export const zookeeperJar = "/usr/share/java/zookeeper.jar";

const postgresVersions = "/usr/lib/postgresql";

/** True where the server can be started. The same as in `scripts/servers.sh`. */
export function isInstalled(kind: ServerKind): boolean {
  if (kind === "zookeeper" && !existsSync(zookeeperJar)) return false;
  return programs[kind].every((program) => locate(program) !== undefined);
}

/** True where tests of this server are to be skipped: it is missing, and this is not CI, which must not pass without. */
export function isSkipped(kind: ServerKind): boolean {
  return !isInstalled(kind) && process.env["CI"] !== "true" && !process.env["TRELLIS_CI"];
}

/** The path of a program. @throws Error saying what to do when it is missing. */
export function find(program: string): string {
  const path = locate(program);
  if (path === undefined) {
    throw new Error(`${program} is not installed: scripts/servers.sh installs it where it may`);
  }
  return path;
}

function locate(program: string): string | undefined {
  const versions = existsSync(postgresVersions) ? readdirSync(postgresVersions) : [];
  const folders = [
    ...(process.env["PATH"] ?? "").split(delimiter),
    "/usr/sbin",
    ...versions.map((version) => join(postgresVersions, version, "bin")),
  ];
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whose rights a server runs with. */
export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/** For servers that refuse root: the user of that name, or `nobody`. Undefined when we are not root anyway. */
export function unprivileged(user: string): Identity | undefined {
  if (process.getuid?.() !== 0) return undefined;
  return identify(user) ?? identify("nobody");
}

function identify(user: string): Identity | undefined {
  try {
    const ask = (flag: string): number => {
      return Number(execFileSync("id", [flag, user], { encoding: "utf8", stdio: "pipe" }));
    };
    return { uid: ask("-u"), gid: ask("-g") };
  } catch {
    return undefined;
  }
}
