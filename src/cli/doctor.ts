/**
 * The command `trellis doctor`: whether what a replica needs is there, what is not, and what to do about it.
 * Nothing is changed anywhere; every check ends in time.
 */
import { checkOwnCertificate, checkServedCertificate } from "./doctor/certificates.ts";
import { checkConfig, type DoctorPlan } from "./doctor/config.ts";
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
  /** Of `trellis peer`. */
  readonly config?: string;
  readonly join?: readonly string[];
  readonly listen?: number;
  readonly host?: string;
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
  const add = (found: readonly Finding[]): void => {
    findings.push(...found);
    if (!options.json) process.stdout.write(found.map((finding) => `${line(finding)}\n`).join(""));
  };
  const config = options.config === undefined ? undefined : await checkConfig(options.config);
  add(config?.findings ?? []);
  for (const [check, run] of checksOf(planOf(options, config?.plan))) {
    add(await within(check, options.timeout * 1_000, run));
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

/** What is given on the command line goes before the file. */
function planOf(options: DoctorCommandOptions, file: DoctorPlan | undefined): DoctorPlan {
  const { join = [], listen, host, locks, storage, cert } = options;
  return {
    storage: storage ?? file?.storage,
    port: listen ?? file?.port,
    host: host ?? file?.host ?? "127.0.0.1",
    locks: locks ?? file?.locks,
    peers: [...join.map((url) => ({ url, dial: options })), ...(file?.peers ?? [])],
    certificates: [...(cert === undefined ? [] : [cert]), ...(file?.certificates ?? [])],
  };
}

type NamedCheck = readonly [check: string, run: Check];

function checksOf({ storage, port, host, locks, peers, certificates }: DoctorPlan): NamedCheck[] {
  return [
    ["node", async () => [checkNode(packageVersion())]],
    ["open files", async () => [await checkFiles()]],
    ["clock", async () => [await checkClock()]],
    ["witness", async () => [await checkWitness()]],
    ...(storage === undefined
      ? []
      : [[`storage ${storage}`, () => checkStorage(storage)] as const]),
    ...(port === undefined || port === 0
      ? []
      : [[`port ${host}:${port}`, async () => [await checkPort(port, host)]] as const]),
    ...certificates.map((file): NamedCheck => [
      `certificate ${file}`,
      () => checkOwnCertificate(file),
    ]),
    ...peers.flatMap(({ url, dial }): NamedCheck[] => [
      ...(url.startsWith("wss:")
        ? [[`certificate ${url}`, () => checkServedCertificate(url, dial)] as const]
        : []),
      [`peer ${url}`, () => checkPeer(url, dial)],
    ]),
    ...(locks === undefined ? [] : [["locks", () => checkLocks(locks)] as const]),
  ];
}

const widest = "warning".length;

function line({ check, verdict, says, remedy }: Finding): string {
  const text = `${verdict.padEnd(widest)}  ${check}: ${says}`;
  return printable(remedy === undefined ? text : `${text}. What to do: ${remedy}`);
}
