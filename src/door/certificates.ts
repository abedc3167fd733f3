/** Certificates in files: read, judged, and read again when the files change. */
import { X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { UsageError } from "../errors.ts";
import type { DialTlsOptions, TlsOptions } from "../door.ts";

/** What was read. */
export interface Certificates {
  readonly context: SecureContextOptions;
  /** When ours ends, in ms since the Unix epoch; undefined without one. */
  readonly endsMs: number | undefined;
  /** Tells this state of the files from others. */
  readonly stamp: string;
}

type Files = Pick<DialTlsOptions, "certFile" | "keyFile" | "caFile">;

/** @throws UsageError naming the file that cannot be read, or is not what it should be. */
export async function readCertificates(files: TlsOptions | Files): Promise<Certificates> {
  const stamp = await stampOf(files);
  const { certFile, keyFile, caFile } = files;
  const context: SecureContextOptions = {
    minVersion: "TLSv1.2",
    ...(certFile !== undefined && { cert: await textOf("certFile", certFile) }),
    ...(keyFile !== undefined && { key: await textOf("keyFile", keyFile) }),
    ...(caFile !== undefined && { ca: await textOf("caFile", caFile) }),
  };
  try {
    createSecureContext(context);
    const endsMs =
      context.cert === undefined
        ? undefined
        : Date.parse(new X509Certificate(String(context.cert)).validTo);
    return { context, endsMs, stamp };
  } catch (cause) {
    const named = [certFile, keyFile, caFile].filter((file) => file !== undefined).join(", ");
    throw wrong(`tls: no usable certificate and key in ${named}`, cause);
  }
}

/** When the files were written last, as one text. @throws UsageError when one is missing. */
export async function stampOf({ certFile, keyFile, caFile }: Files): Promise<string> {
  const stamps = [certFile, keyFile, caFile].map(async (file) => {
    if (file === undefined) return "";
    try {
      const { mtimeMs, size, ino } = await stat(file);
      return `${mtimeMs}/${size}/${ino}`;
    } catch (cause) {
      throw wrong(`tls: cannot read ${file}`, cause);
    }
  });
  return (await Promise.all(stamps)).join(" ");
}

async function textOf(option: string, file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw wrong(`tls.${option}: cannot read ${file}`, cause);
  }
}

const wrong = (what: string, cause: unknown): UsageError =>
  new UsageError(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
