/** Processes as `/proc` shows them: who is below whom, who stands, who is gone. */
import { readdirSync, readFileSync } from "node:fs";

/** `pid` and all below it, parents first; empty when it is gone. */
export function processTree(pid: number): readonly number[] {
  if (processState(pid) === undefined) return [];
  return [pid, ...childrenOf(pid).flatMap(processTree)];
}

/**
 * When the process began, in ticks since the machine did; undefined when it is gone, or only waited for. With its
 * number that is who it is: numbers come again, soon where many processes are short.
 */
export function processStart(pid: number): string | undefined {
  return processState(pid) === undefined ? undefined : fieldsOf(pid)?.[19];
}

/** The letter of `/proc`, such as `T` for stopped; undefined when the process is gone, or only waited for. */
export function processState(pid: number): string | undefined {
  const state = fieldsOf(pid)?.[0];
  return state === undefined || state === "Z" || state === "X" ? undefined : state;
}

/** Ticks of the kernel's clock in a second, as it counts them for everybody. */
const ticksPerSecond = 100;

/** What the process has used of the processors since it began, in ms; 0 when it is gone. */
export function processCpuMs(pid: number): number {
  const fields = fieldsOf(pid);
  return ((Number(fields?.[11] ?? 0) + Number(fields?.[12] ?? 0)) * 1_000) / ticksPerSecond;
}

/** Those of `/proc/<pid>/stat` from the state on. */
function fieldsOf(pid: number): readonly string[] | undefined {
  const text = read(`/proc/${pid}/stat`);
  // The name, in parentheses, may itself hold parentheses.
  return text?.slice(text.lastIndexOf(")") + 2).split(" ");
}

function childrenOf(pid: number): readonly number[] {
  return list(`/proc/${pid}/task`)
    .flatMap((thread) => (read(`/proc/${pid}/task/${thread}/children`) ?? "").split(" "))
    .filter((child) => child !== "")
    .map(Number);
}

function list(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
