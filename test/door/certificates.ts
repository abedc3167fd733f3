/** A little authority of our own, made with `openssl`: certificates that are good, over, or nobody's. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One certificate with its key, in files. */
export interface Pair {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Signs certificates. */
export class TestAuthority {
  readonly caFile: string;
  readonly #directory = mkdtempSync(join(tmpdir(), "trellis-ca-"));
  readonly #keyFile: string;
  #made = 0;

  constructor(name = "test authority") {
    this.caFile = join(this.#directory, "ca.pem");
    this.#keyFile = join(this.#directory, "ca.key");
    this.#openssl("req -x509 -nodes -days 30 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1", [
      ...["-subj", `/CN=${name}`, "-keyout", this.#keyFile, "-out", this.caFile],
    ]);
  }

  /** A pair for 127.0.0.1 whose certificate ends that many days from now; negative: it is over. */
  pair(commonName: string, days = 30): Pair {
    const stem = join(this.#directory, `${++this.#made}`);
    const [keyFile, certFile, request] = [`${stem}.key`, `${stem}.pem`, `${stem}.csr`];
    const extensions = `${stem}.ext`;
    writeFileSync(extensions, "subjectAltName=IP:127.0.0.1,DNS:localhost\n");
    this.#openssl("req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1", [
      ...["-subj", `/CN=${commonName}`, "-keyout", keyFile, "-out", request],
    ]);
    this.#openssl("x509 -req -CAcreateserial", [
      ...["-in", request, "-CA", this.caFile, "-CAkey", this.#keyFile, "-out", certFile],
      ...["-extfile", extensions, "-days", String(days)],
    ]);
    return { certFile, keyFile };
  }

  #openssl(words: string, more: readonly string[]): void {
    execFileSync("openssl", [...words.split(" "), ...more], { stdio: "pipe" });
  }
}
