/**
 * The command `trellis doctor`: whether what a replica needs is there, what is not, and what to do about it.
 * Nothing is changed anywhere; every check ends in time.
 */
import { checkOwnCertificate, checkServedCertificate } from "./doctor/certificates.ts";
import { type Check, type Finding, within } from "./doctor/finding.ts";
import { checkClock, checkFiles, checkNode, checkWitness } from "./doctor/machine.ts";
import { checkPeer } from "./doctor/peers.ts";
import { checkLocks, checkPort } from "./doctor/services.ts";
import { checkStorage } from "./doctor/storage.ts";
import { checkDialing, type DialOptions } from "./dialing.ts";
import { packageVersion } from "./package-version.ts";
import { printable } from "./status/print.ts";

/** The options of `trellis doctor`. */
export interface DoctorCommandOptions extends DialOptions {
  readonly join?: readonly string[];
  readonly listen?: number;
  readonly host: string;
  readonly locks?: string;
  readonly storage?: string;
  /** Of each check, in seconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

/** How long what is left of a check may take after the last one, in ms. */
const leftOverMs = 2_000;

/** Checks, prints what was found, and returns whether nothing failed. @throws UsageError */
export async function doctorCommand(options: DoctorCommandOptions): Promise<boolean> {
  checkDialing(options);
  const findings: Finding[] = [];
  for (const [check, run] of checksOf(options)) {
    const found = await within(check, options.timeout * 1_000, run);
    findings.push(...found);
    if (!options.json) process.stdout.write(found.map((finding) => `${line(finding)}\n`).join(""));
  }
  const count = (verdict: Finding["verdict"]): number =>
    findings.filter((finding) => finding.verdict === verdict).length;
  const summary = { ok: count("ok"), warnings: count("warning"), failed: count("failed") };
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ ...summary, findings }, undefined, 2)}\n`
      : `${summary.ok} ok, ${summary.warnings} warnings, ${summary.failed} failed\n`,
  );
  // What did not end in time is not waited for.
  setTimeout(() => process.exit(), leftOverMs).unref();
  return summary.failed === 0;
}

function checksOf(options: DoctorCommandOptions): (readonly [check: string, run: Check])[] {
  const { join = [], listen, host, locks, storage, cert } = options;
  return [
    ["node", async () => [checkNode(packageVersion())]],
    ["open files", async () => [await checkFiles()]],
    ["clock", async () => [await checkClock()]],
    ["witness", async () => [await checkWitness()]],
    ...(storage === undefined
      ? []
      : [[`storage ${storage}`, () => checkStorage(storage)] as const]),
    ...(listen === undefined
      ? []
      : [[`port ${host}:${listen}`, async () => [await checkPort(listen, host)]] as const]),
    ...(cert === undefined
      ? []
      : [[`certificate ${cert}`, () => checkOwnCertificate(cert)] as const]),
    ...join.flatMap((url) => [
      ...(url.startsWith("wss:")
        ? [[`certificate ${url}`, () => checkServedCertificate(url, options)] as const]
        : []),
      [`peer ${url}`, () => checkPeer(url, options)] as const,
    ]),
    ...(locks === undefined ? [] : [["locks", () => checkLocks(locks)] as const]),
  ];
}

const widest = "warning".length;

function line({ check, verdict, says, remedy }: Finding): string {
  const text = `${verdict.padEnd(widest)}  ${check}: ${says}`;
  return printable(remedy === undefined ? text : `${text}. What to do: ${remedy}`);
}
