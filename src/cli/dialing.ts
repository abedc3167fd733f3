/** How commands reach a peer: one set of options for all that dial, and what the library makes of them. */
import { type Command, Option } from "commander";
import { UsageError } from "../errors.ts";
import type { DialTarget } from "../sync/transport.ts";
import { checkToken } from "./flags.ts";

/** What a command is told of the way to its peers. */
export interface DialOptions {
  /** Secret that the peers ask for. */
  readonly token?: string;
  /** PEM files, for `wss:` and `https:`: who signs the peers, our certificate, and its key. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Adds the options. */
export const withDialing = (command: Command): Command =>
  command
    .addOption(new Option("--token <token>", "secret that the peers ask for").env("TRELLIS_TOKEN"))
    .option("--ca <file>", "who signs the certificates of peers at wss://, PEM")
    .option("--cert <file>", "our certificate, where peers want one, PEM")
    .option("--key <file>", "its key, PEM");

/** Says what is wrong before anything is read or dialed. @throws UsageError */
export function checkDialing({ token, cert, key }: DialOptions): void {
  if (token !== undefined) checkToken(token);
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError("--cert and --key go together");
  }
}

/** The peer at `url`, as it is dialed. @throws UsageError */
export function dialTarget(url: string, options: DialOptions): DialTarget {
  checkDialing(options);
  const { token, ca, cert, key } = options;
  const hasTls = ca !== undefined || cert !== undefined;
  return {
    url,
    ...(token !== undefined && { token }),
    ...(hasTls && {
      tls: {
        ...(ca !== undefined && { caFile: ca }),
        ...(cert !== undefined && { certFile: cert }),
        ...(key !== undefined && { keyFile: key }),
      },
    }),
  };
}
