/** Processes as `/proc` shows them: who is below whom, who stands, who is gone. */
import { readdirSync, readFileSync } from "node:fs";

/** `pid` and all below it, parents first; empty when it is gone. */
export function processTree(pid: number): readonly number[] {
  if (processState(pid) === undefined) return [];
  return [pid, ...childrenOf(pid).flatMap(processTree)];
}

/** The letter of `/proc`, such as `T` for stopped; undefined when the process is gone, or only waited for. */
export function processState(pid: number): string | undefined {
  const text = read(`/proc/${pid}/stat`);
  // The name, in parentheses, may itself hold parentheses.
  const state = text?.slice(text.lastIndexOf(")") + 2).charAt(0);
  return state === undefined || state === "Z" || state === "X" ? undefined : state;
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
