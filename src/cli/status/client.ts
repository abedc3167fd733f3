/** Asks a peer over HTTP what it says of itself: once, or as a stream of events. What it answers is bounded. */
import { readFileSync } from "node:fs";
import { type IncomingMessage, request as requestPlain, type RequestOptions } from "node:http";
import { request as requestTls } from "node:https";
import { ProtocolError, UnauthorizedError, UsageError } from "../../errors.ts";
import { type DialOptions, dialTarget } from "../dialing.ts";

/** The longest answer and the longest event, in bytes: a status tells of at most 1,000 counters and their holders. */
const answerBytesMax: number = 16 * 1024 * 1024;

/** Whom to ask, and how. */
export interface StatusSource {
  readonly url: string;
  readonly dial: DialOptions;
  /** Of a connection without a byte, in ms. */
  readonly silentMsMax: number;
  readonly signal?: AbortSignal;
}

/** The status, as it was told. @throws as `events` */
export async function readStatus(source: StatusSource): Promise<unknown> {
  const response = await ask(source, "/v1/status");
  let text = "";
  for await (const chunk of chunksOf(response, source)) text = bounded(text + chunk);
  return parsed(text, source);
}

/**
 * The status, now and every second, until the peer ends it.
 * @throws UsageError with a cause when it cannot be reached or has no such thing; UnauthorizedError;
 * ProtocolError for an answer that is none; the signal's reason.
 */
export async function* statusEvents(source: StatusSource): AsyncGenerator {
  const response = await ask(source, "/v1/events");
  let rest = "";
  let name = "";
  let data = "";
  for await (const chunk of chunksOf(response, source)) {
    const lines = bounded(rest + chunk).split(/\r?\n/u);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (name === "status") yield parsed(data, source);
        [name, data] = ["", ""];
      } else if (line.startsWith("event:")) name = line.slice("event:".length).trim();
      else if (line.startsWith("data:")) data = bounded(data + line.slice("data:".length));
    }
  }
}

/** A chunk is small, so no more than that beyond the bound was ever kept. */
function bounded(text: string): string {
  if (text.length > answerBytesMax) {
    const reason = `an answer of more than ${answerBytesMax} bytes`;
    throw new ProtocolError(reason, { reason });
  }
  return text;
}

function parsed(text: string, { url }: StatusSource): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = "something else than JSON";
    throw new ProtocolError(`${url} answers with ${reason}`, { reason, cause });
  }
}

async function* chunksOf(
  response: IncomingMessage,
  { url, signal }: StatusSource,
): AsyncGenerator<string> {
  response.setEncoding("utf8");
  try {
    yield* response as AsyncIterable<string>;
  } catch (cause) {
    if (cause instanceof ProtocolError) throw cause;
    throw unreachable(url, cause, signal);
  }
}

function ask(source: StatusSource, path: string): Promise<IncomingMessage> {
  const { url, dial, silentMsMax, signal } = source;
  const target = new URL(path, url.replace(/^ws/u, "http"));
  const options: RequestOptions = {
    headers: {
      accept: path === "/v1/events" ? "text/event-stream" : "application/json",
      ...(dial.token !== undefined && { authorization: `Bearer ${dial.token}` }),
    },
    ...(signal && { signal }),
  };
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      reject(unreachable(url, cause, signal));
    };
    const request =
      target.protocol === "https:"
        ? requestTls(target, { ...options, ...certificatesOf(url, dial) })
        : requestPlain(target, options);
    request.setTimeout(silentMsMax, () => {
      request.destroy(new Error(`nothing was heard for ${silentMsMax} ms`));
    });
    request.once("error", fail);
    request.once("response", (response) => {
      const error = refusal(response.statusCode ?? 0, url);
      if (error === undefined) return resolve(response);
      response.destroy();
      reject(error);
    });
    request.end();
  });
}

function certificatesOf(url: string, dial: DialOptions): RequestOptions & { readonly ca?: Buffer } {
  const { tls } = dialTarget(url, dial);
  return {
    ...(tls?.caFile !== undefined && { ca: readFileSync(tls.caFile) }),
    ...(tls?.certFile !== undefined && { cert: readFileSync(tls.certFile) }),
    ...(tls?.keyFile !== undefined && { key: readFileSync(tls.keyFile) }),
  };
}

function refusal(status: number, url: string): Error | undefined {
  if (status === 200) return undefined;
  if (status === 401 || status === 403) {
    return new UnauthorizedError(
      `${url} refuses (${status}): a token that may observe is needed, --token or TRELLIS_TOKEN`,
      {},
    );
  }
  const why =
    status === 404 || status === 426 ? "it serves no HTTP, or is of an older version" : "";
  return new UsageError(`${url} has no status to tell: HTTP ${status} ${why}`.trimEnd(), {
    cause: new Error(`HTTP ${status}`),
  });
}

/** What to throw; an abort for want of time is one of its ways to fail, any other is the caller's own. */
function unreachable(url: string, cause: unknown, signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason;
  const isLate = reason instanceof DOMException && reason.name === "TimeoutError";
  if (reason instanceof Error && !isLate) return reason;
  const why = isLate ? "it did not answer in time" : cause instanceof Error ? cause.message : "";
  return new UsageError(`${url} cannot be asked: ${why}`, { cause });
}
