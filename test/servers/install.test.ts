/** What installs the servers, on machines that are made up: it finds, says what it lacks, and fails in CI only. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isInstalled, serverKinds } from "../../src/cli/servers/installed.ts";

const script = fileURLToPath(new URL("../../scripts/servers.sh", import.meta.url));
const tools = ["bash", "chmod", "env", "grep", "mktemp", "rm", "tail", "tee", "timeout"];

let folder: string;
/** Stands for the one of the machine. */
const policy = (): string => join(folder, "policy-rc.d");

const put = (name: string, body: string): void => {
  writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`);
  chmodSync(join(folder, name), 0o755);
};

/** Runs the script with nothing on its PATH but what a test put there. */
const install = (environment: Readonly<Record<string, string>> = {}) => {
  const { status, stdout, stderr } = spawnSync("bash", [script, policy()], {
    env: { PATH: folder, ...environment },
    encoding: "utf8",
  });
  return { status, lines: stdout.split("\n").filter((line) => line !== ""), stderr };
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "trellis-install-"));
  for (const tool of tools) {
    symlinkSync(execFileSync("which", [tool], { encoding: "utf8" }).trim(), join(folder, tool));
  }
  put("id", "echo 0");
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("scripts/servers.sh", () => {
  const hasAll = serverKinds.every(isInstalled) && existsSync("/usr/bin/chromium");

  test.skipIf(!hasAll)("says nothing where nothing is missing", () => {
    const { status, lines, stderr } = install({ PATH: String(process.env["PATH"]), CI: "true" });
    expect({ status, lines, stderr }).toEqual({ status: 0, lines: [], stderr: "" });
  });

  test("names each server that it cannot install, in one line", () => {
    const { status, lines, stderr } = install();
    const reason = "there is no apt-get here; put its server on PATH";
    expect(lines).toContain(`servers: without redis: ${reason}`);
    expect(lines).toContain(`servers: without etcd: ${reason}`);
    expect(lines.every((line) => line.startsWith("servers: without "))).toBe(true);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });

  test.each([
    ["CI", "true"],
    ["TRELLIS_CI", "1"],
  ])("fails where %s is set", (name, value) => {
    expect(install({ [name]: value }).status).toBe(1);
  });

  test("installs nothing without root", () => {
    put("id", "echo 1000");
    put("apt-get", `echo called >${folder}/called`);
    expect(install().lines).toContain(
      "servers: without redis: installing needs root, or sudo without a password",
    );
    expect(existsSync(join(folder, "called"))).toBe(false);
  });

  test("lets no package start its service, and leaves no trace of that", () => {
    put("apt-get", `${policy()} redis-server start; echo $? >>${folder}/answers`);
    install();
    expect(readFileSync(join(folder, "answers"), "utf8")).toMatch(/^(?:101\n)+$/u);
    expect(existsSync(policy())).toBe(false);
  });

  test("keeps a policy that says no, and installs nothing beside one that does not", () => {
    put("apt-get", `echo called >${folder}/called`);
    put("policy-rc.d", "exit 0");
    expect(install().lines).toContain(
      `servers: without redis: ${policy()} lets packages start their services; install it by hand`,
    );
    expect(existsSync(join(folder, "called"))).toBe(false);
    put("policy-rc.d", "exit 101");
    install();
    expect(existsSync(join(folder, "called"))).toBe(true);
    expect(existsSync(policy())).toBe(true);
  });

  test("installs what it can when the rest is not to be had", () => {
    // All at once fails; of the packages one by one, that of Redis is there.
    put(
      "apt-get",
      `case "$*" in
*"recommends redis-server") printf '#!/bin/sh\\n' >${folder}/redis-server; chmod +x ${folder}/redis-server ;;
*install*) echo "E: Unable to locate package"; exit 100 ;;
esac`,
    );
    const { status, lines } = install();
    expect(lines.join("\n")).not.toContain("without redis");
    expect(lines).toContain("servers: without etcd: its package could not be installed");
    expect(lines).toContain("E: Unable to locate package");
    expect(status).toBe(0);
  });
});
