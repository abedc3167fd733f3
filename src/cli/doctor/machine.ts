/** The machine: Node, open files, the clock, memory that tells a copy from the original. */
import { execFile } from "node:child_process";
import { readFile, statfs } from "node:fs/promises";
import { promisify } from "node:util";
import { failed, type Finding, ok, warning } from "./finding.ts";

const nodeMin = [20, 11] as const;
/** A link is a file, a table of the storage is one, and there are some hundred others. */
const filesWished = 4_096;
const tmpfsType = 0x01021994;
const commandMsMax = 2_000;

/** Whether this Node runs Trellis. */
export function checkNode(packageVersion: string): Finding {
  const { node, v8 } = process.versions;
  const says = `Node ${node} (V8 ${v8}) runs trellis-state ${packageVersion}`;
  const [major = 0, minor = 0] = node.split(".").map(Number);
  const isNew = major > nodeMin[0] || (major === nodeMin[0] && minor >= nodeMin[1]);
  return isNew
    ? ok("node", says)
    : failed("node", says, `install Node ${nodeMin.join(".")} or later`);
}

/** How many files the process may have open. */
export async function checkFiles(): Promise<Finding> {
  const check = "open files";
  const limits = await readFile("/proc/self/limits", "utf8").catch(() => "");
  const soft = /^Max open files\s+(\d+|unlimited)/mu.exec(limits)?.[1];
  if (soft === undefined) return ok(check, "this system does not tell how many are allowed");
  if (soft === "unlimited" || Number(soft) >= filesWished) return ok(check, `${soft} are allowed`);
  const remedy = `ulimit -n ${filesWished}, or LimitNOFILE in a systemd unit`;
  return warning(check, `${soft} are allowed: each link and each request takes one`, remedy);
}

/** Whether the system says that its clock is synchronised. */
export async function checkClock(): Promise<Finding> {
  const check = "clock";
  const run = promisify(execFile);
  try {
    const asked = ["show", "--property=NTPSynchronized", "--value"];
    const { stdout } = await run("timedatectl", asked, { timeout: commandMsMax });
    if (stdout.trim() === "yes") return ok(check, "the system says that it is synchronised");
    const says =
      "the system says that it is not synchronised: a clock that is ahead wins registers";
    return warning(check, says, "run chrony, systemd-timesyncd or another NTP client");
  } catch {
    return ok(check, "this system does not tell whether it is synchronised; --join compares it");
  }
}

/** Whether a copied directory can be told from the original on this machine. */
export async function checkWitness(memory = "/dev/shm"): Promise<Finding> {
  const check = "witness";
  const { type } = await statfs(memory).catch(() => ({ type: 0 }));
  if (type === tmpfsType) {
    return ok(check, `${memory} is in memory: after a crash rights and the lock authority go on`);
  }
  return warning(
    check,
    `${memory} is not in memory: after a crash rights are held back, and a lock authority does not serve`,
    "mount a tmpfs there, or know that only an operator's word (exclusive) helps then",
  );
}
