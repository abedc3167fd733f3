/** What the machine gives the peer, and what of that is too little. */
import { existsSync, readFileSync } from "node:fs";
import { getHeapStatistics } from "node:v8";

/** Limits of this process. */
export interface Machine {
  /** Files and sockets at a time; undefined where that cannot be read. */
  readonly openFilesMax: number | undefined;
  /** Of JavaScript's heap, in bytes. */
  readonly heapBytesMax: number;
  /** That the container or the service may have, in bytes; undefined: no limit. */
  readonly memoryBytesMax: number | undefined;
}

/** 1,024 links, as many other connections, 1,000 files of LevelDB, and some. */
const openFilesEnough = 4_096;
/** A clock before that was never set. 2026-01-01. */
const earliestMs = 1_767_225_600_000;
const synchronised = "/run/systemd/timesync/synchronized";

/** Reads them. Never throws. */
export function readMachine(): Machine {
  const limit = process.constrainedMemory();
  // Without a limit there is none, or one beyond all memories, as the version of Node has it.
  const isLimited = limit !== undefined && limit > 0 && limit < 2 ** 48;
  return {
    openFilesMax: openFilesMax(),
    heapBytesMax: getHeapStatistics().heap_size_limit,
    memoryBytesMax: isLimited ? limit : undefined,
  };
}

function openFilesMax(): number | undefined {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const soft = /^Max open files\s+(\d+|unlimited)/mu.exec(limits)?.[1];
    return soft === undefined || soft === "unlimited" ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

/** What an operator should change before it hurts. */
export function machineWarnings(machine: Machine, wallMs: number): string[] {
  const { openFilesMax: files, heapBytesMax, memoryBytesMax } = machine;
  const warnings: string[] = [];
  if (files !== undefined && files < openFilesEnough) {
    warnings.push(
      `only ${files} open files are allowed, ${openFilesEnough} are wanted (LimitNOFILE, ulimit -n): ` +
        "connections are refused when they run out",
    );
  }
  if (memoryBytesMax !== undefined && heapBytesMax > memoryBytesMax) {
    warnings.push(
      `the heap may grow to ${heapBytesMax} bytes and the process is killed beyond ${memoryBytesMax}: set ` +
        "NODE_OPTIONS=--max-old-space-size to 3/4 of the limit, in MiB",
    );
  }
  if (wallMs < earliestMs) warnings.push("the clock was never set: peers will refuse us");
  else if (existsSync("/run/systemd/timesync") && !existsSync(synchronised)) {
    warnings.push("systemd-timesyncd has not set the clock yet");
  }
  return warnings;
}
