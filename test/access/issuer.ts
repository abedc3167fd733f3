/** Whoever issues tokens, on loopback: its keys, its tokens, and where it publishes the keys. */
import { createServer, type Server, type ServerResponse } from "node:http";
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, type JWK } from "jose";

/** What a token says besides the usual. */
export type Claims = Readonly<Record<string, unknown>>;

/** One key pair under a name. */
export interface Signer {
  readonly kid: string;
  readonly pem: string;
  readonly jwk: JWK;
  /** A token that is good for `audience` "trellis", but for what `claims` says otherwise; `undefined` leaves out. */
  token(claims?: Claims, header?: Claims): Promise<string>;
}

/** What every good token says. */
export const usual = (nowMs = Date.now()): Claims => ({
  iss: "https://issuer.test",
  aud: "trellis",
  sub: "svc-1",
  exp: Math.floor(nowMs / 1_000) + 300,
  trellis: "replicate observe",
});

export async function signer(kid: string, alg = "ES256"): Promise<Signer> {
  const pair = await generateKeyPair(alg, { extractable: true });
  const pem = await exportSPKI(pair.publicKey);
  const jwk = { ...(await exportJWK(pair.publicKey)), kid, alg, use: "sig" };
  return {
    ...{ kid, pem, jwk },
    token: (claims = {}, header = {}) =>
      new SignJWT({ ...usual(), ...claims })
        .setProtectedHeader({ alg, kid, ...header })
        .sign(pair.privateKey),
  };
}

/** A place that publishes keys, and how it behaves. */
export class KeyServer implements AsyncDisposable {
  readonly #server: Server;
  keys: readonly JWK[] = [];
  requests = 0;
  answer: (response: ServerResponse) => void = (response) => {
    response.setHeader("content-type", "application/json").end(JSON.stringify({ keys: this.keys }));
  };

  constructor() {
    this.#server = createServer((_request, response) => {
      this.requests++;
      this.answer(response);
    });
  }

  static async start(...keys: readonly JWK[]): Promise<KeyServer> {
    const server = new KeyServer();
    server.keys = keys;
    await new Promise<void>((resolve) => void server.#server.listen(0, "127.0.0.1", resolve));
    return server;
  }

  get url(): string {
    const address = this.#server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    return `http://127.0.0.1:${port}/keys.json`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
