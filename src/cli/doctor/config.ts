/** A config file of `trellis peer`: whether it is understood, and what is to be checked because of it. */
import type { DialOptions } from "../dialing.ts";
import { resolve } from "../peer/resolve.ts";
import type { PeerSettings } from "../peer/settings.ts";
import { failed, type Finding, ok, reasonOf, warning } from "./finding.ts";

/** A peer, and how it is dialed. */
export interface DoctorPeer {
  readonly url: string;
  readonly dial: DialOptions;
}

/** What there is to check. */
export interface DoctorPlan {
  readonly storage: string | undefined;
  /** 0 is any, which is free. */
  readonly port: number | undefined;
  readonly host: string;
  readonly locks: string | undefined;
  readonly peers: readonly DoctorPeer[];
  /** Files with certificates of ours. */
  readonly certificates: readonly string[];
}

/** What a config file came to. */
export interface ConfigFindings {
  readonly findings: readonly Finding[];
  /** Undefined when it is not understood. */
  readonly plan: DoctorPlan | undefined;
}

/** Reads it as `trellis peer --config` does, variables included. Nothing that it names is opened. */
export async function checkConfig(file: string): Promise<ConfigFindings> {
  const check = `config ${file}`;
  try {
    const sources = { flags: new Map<string, readonly string[]>(), variables: process.env };
    const { settings, warnings } = await resolve({ ...sources, config: file });
    const findings = warnings.map((says) =>
      warning(check, says, "docs/settings.md has each setting"),
    );
    return {
      findings: [ok(check, "every setting is understood"), ...findings],
      plan: planOf(settings),
    };
  } catch (error) {
    const remedy = "docs/settings.md has each setting";
    return { findings: [failed(check, reasonOf(error), remedy)], plan: undefined };
  }
}

function planOf(settings: PeerSettings): DoctorPlan {
  const dial = defined({
    token: settings.token,
    ca: settings["dial.tls.caFile"],
    cert: settings["dial.tls.certFile"],
    key: settings["dial.tls.keyFile"],
  });
  const certificates = [settings["listen.tls.certFile"], settings["dial.tls.certFile"]];
  return {
    storage: settings["storage.directory"],
    port: settings["listen.port"],
    host: settings["listen.host"],
    locks: settings["locks.url"],
    peers: settings.join.map(({ url, token, tls }) => ({
      url,
      dial: {
        ...dial,
        ...defined({ token, ca: tls?.caFile, cert: tls?.certFile, key: tls?.keyFile }),
      },
    })),
    certificates: certificates.filter((path) => path !== undefined),
  };
}

type Told = { readonly [N in keyof DialOptions]: DialOptions[N] | undefined };

const defined = ({ token, ca, cert, key }: Told): DialOptions => ({
  ...(token !== undefined && { token }),
  ...(ca !== undefined && { ca }),
  ...(cert !== undefined && { cert }),
  ...(key !== undefined && { key }),
});
