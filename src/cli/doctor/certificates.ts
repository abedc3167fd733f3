/** Certificates: the chain, the names, and the days that are left. */
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import {
  checkServerIdentity,
  connect,
  type DetailedPeerCertificate,
  type TLSSocket,
} from "node:tls";
import type { DialOptions } from "../dialing.ts";
import { failed, type Finding, ok, reasonOf, warning } from "./finding.ts";

const dayMs = 24 * 60 * 60 * 1_000;
const daysWarned = 14;
const connectMsMax = 5_000;

/** The certificate that a peer at `wss:` shows. */
export async function checkServedCertificate(
  url: string,
  options: DialOptions,
): Promise<Finding[]> {
  const check = `certificate ${url}`;
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/gu, "");
  let socket: TLSSocket;
  try {
    socket = await shaken(host, Number(port || 443), options);
  } catch (error) {
    return [failed(check, `no TLS there: ${reasonOf(error)}`, "is it wss://, and who listens?")];
  }
  const certificate = socket.getPeerCertificate(true);
  const distrust = socket.authorizationError;
  socket.destroy();
  return [
    trustOf(check, distrust),
    nameOf(check, host, certificate),
    daysOf(check, certificate.valid_to),
  ];
}

/** Our own certificate, as it lies in a file. */
export async function checkOwnCertificate(file: string): Promise<Finding[]> {
  const check = `certificate ${file}`;
  try {
    const { subject, validTo } = new X509Certificate(await readFile(file));
    const days = daysOf(check, validTo);
    return [{ ...days, says: `${subject.replaceAll("\n", ", ")}: ${days.says}` }];
  } catch (error) {
    return [failed(check, reasonOf(error), "give a PEM file with a certificate")];
  }
}

async function shaken(
  host: string,
  port: number,
  { ca, cert, key }: DialOptions,
): Promise<TLSSocket> {
  const files = {
    ...(ca !== undefined && { ca: await readFile(ca) }),
    ...(cert !== undefined && { cert: await readFile(cert) }),
    ...(key !== undefined && { key: await readFile(key) }),
  };
  return await new Promise((resolve, reject) => {
    const socket = connect({
      ...{ host, port, ...files },
      // It is looked at, not trusted: what is wrong with it is what is asked.
      rejectUnauthorized: false,
      ...(isIP(host) === 0 && { servername: host }),
    });
    socket.setTimeout(connectMsMax, () => socket.destroy(new Error("it does not answer")));
    socket.once("error", reject);
    socket.once("secureConnect", () => resolve(socket));
  });
}

function trustOf(check: string, distrust: Error | string | null | undefined): Finding {
  if (!distrust) return ok(check, "its chain is trusted");
  const reason = typeof distrust === "string" ? distrust : distrust.message;
  return failed(check, `its chain is not trusted: ${reason}`, "give --ca, or renew it");
}

function nameOf(check: string, host: string, certificate: DetailedPeerCertificate): Finding {
  const mismatch = checkServerIdentity(host, certificate);
  if (mismatch === undefined) return ok(check, `it is for ${host}`);
  return failed(check, mismatch.message, "dial a name that it has, or issue one with this name");
}

function daysOf(check: string, validTo: string): Finding {
  const days = Math.floor((Date.parse(validTo) - Date.now()) / dayMs);
  if (days < 0) return failed(check, `it ended at ${validTo}`, "renew it");
  const says = `it is good for ${days} days more`;
  return days < daysWarned
    ? warning(check, says, "renew it; a new file is read without a restart")
    : ok(check, says);
}
