/**
 * Client certificates (mTLS) as subjects. The door has checked already that one of `listen.tls.caFile` signed
 * it and that it is not over; here it is told what its bearer may do.
 */
import { type Grant, grantOf } from "../access.ts";
import type { Authenticate } from "../door.ts";
import { UsageError } from "../errors.ts";

/** Which certificates, and what they let do. */
export type CertificateSubject = {
  /** For logs. Default: the common name. */
  readonly subject?: string;
  readonly tenant?: string;
  /** As `grantOf` reads them. */
  readonly rights: readonly string[];
} & (
  | {
      /** The whole common name; `*` is every certificate that is trusted. */
      readonly commonName: string;
    }
  | {
      /** SHA-256 of the certificate, hexadecimal, with or without colons: this one and no other. */
      readonly fingerprint256: string;
    }
);

/** Entries at most. */
export const certificateSubjectsMax = 10_000;

/**
 * Accepts who shows a trusted certificate that is named: by its fingerprint, else by its common name, else
 * by `*`. O(1).
 * @throws UsageError for an entry that stands twice or names nothing; InvalidValueError for a right that is none.
 */
export function certificateSubjects(entries: readonly CertificateSubject[]): Authenticate {
  if (entries.length > certificateSubjectsMax) {
    const count = `there are ${entries.length} certificates`;
    throw new UsageError(`${count}, at most ${certificateSubjectsMax} allowed`);
  }
  const byName = new Map<string, CertificateSubject>();
  const byFingerprint = new Map<string, CertificateSubject>();
  for (const entry of entries) {
    const [map, key] =
      "commonName" in entry
        ? ([byName, entry.commonName] as const)
        : ([byFingerprint, fingerprintOf(entry.fingerprint256)] as const);
    if (key === "") throw new UsageError("a certificate with an empty commonName");
    if (map.has(key)) throw new UsageError(`the certificate ${key} is named twice`);
    // Found now and not when somebody shows the certificate.
    grantOf({ subject: key }, entry.rights);
    map.set(key, entry);
  }
  return ({ certificate }) => {
    if (certificate === undefined) return false;
    const { commonName, fingerprint256 } = certificate;
    const found =
      byFingerprint.get(fingerprintOf(fingerprint256)) ??
      // A certificate whose common name is "*" is not every certificate.
      (commonName === "*" ? undefined : byName.get(commonName)) ??
      byName.get("*");
    return found !== undefined && grantTo(found, commonName);
  };
}

function grantTo({ subject, tenant, rights }: CertificateSubject, commonName: string): Grant {
  const who = { subject: subject ?? commonName };
  return grantOf(tenant === undefined ? who : { ...who, tenant }, rights);
}

function fingerprintOf(text: string): string {
  const digits = text.replaceAll(":", "").toLowerCase();
  if (/^[\da-f]{64}$/u.test(digits)) return digits;
  throw new UsageError(`the fingerprint256 ${JSON.stringify(text)} is not 64 hexadecimal digits`);
}
