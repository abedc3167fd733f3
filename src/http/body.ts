/** Bodies of requests: bounded before they are read, and checked before anybody believes them. */
import type { IncomingMessage } from "node:http";
import type { Environment } from "../environment.ts";
import { InvalidValueError } from "../errors.ts";
import type { HttpLimits } from "./options.ts";
import { Refusal } from "./problem.ts";

/** A value of 64 levels, in an operation, in the list of a batch, in its body. */
export const bodyDepthMax = 68;

/** Whether the request says that it has a body. */
export const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) !== 0;

/**
 * Reads the body; empty if there is none.
 * @throws Refusal for what is no JSON by its type, too large or too slow; the rest of it is not read then.
 */
export async function readBody(
  request: IncomingMessage,
  { bodyBytesMax, bodyMsMax }: HttpLimits,
  environment: Environment,
): Promise<Buffer> {
  if (!hasBody(request)) return Buffer.alloc(0);
  const type = request.headers["content-type"] ?? "";
  if (!/^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/iu.test(type)) {
    throw new Refusal("TRELLIS_UNSUPPORTED_MEDIA_TYPE", "the body has to be application/json", {
      headers: { accept: "application/json" },
    });
  }
  if (request.headers["content-encoding"] !== undefined) {
    throw new Refusal("TRELLIS_UNSUPPORTED_MEDIA_TYPE", "bodies are not compressed");
  }
  const tooLarge = (): Refusal =>
    new Refusal("TRELLIS_BODY_TOO_LARGE", `the body is larger than ${bodyBytesMax} bytes`);
  if (Number(request.headers["content-length"] ?? 0) > bodyBytesMax) throw tooLarge();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (error?: Error): void => {
      timer.cancel();
      request.off("data", data).off("end", end).off("close", close).pause();
      if (error) reject(error);
      else resolve(chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks));
    };
    const late = (): void =>
      settle(new Refusal("TRELLIS_REQUEST_TIMEOUT", `the body took longer than ${bodyMsMax} ms`));
    const timer = environment.schedule(bodyMsMax, late);
    const data = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > bodyBytesMax) settle(tooLarge());
      else chunks.push(chunk);
    };
    const end = (): void => settle();
    const close = (): void =>
      settle(new Refusal("TRELLIS_MALFORMED_REQUEST", "the body was not sent to its end"));
    request.on("data", data).on("end", end).on("close", close);
  });
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The members of a body that is a JSON object; of an empty one, none.
 * @throws Refusal for what is no such thing; InvalidValueError for one that is too deep.
 */
export function parseBody(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  if (bytes.length === 0) return {};
  const value = parse(bytes);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new Refusal("TRELLIS_MALFORMED_REQUEST", "the body is not a JSON object");
}

function parse(bytes: Uint8Array): unknown {
  let text = "";
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new Refusal("TRELLIS_MALFORMED_REQUEST", "the body is not UTF-8");
  }
  checkDepth(text);
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal("TRELLIS_MALFORMED_REQUEST", "the body is not JSON");
  }
}

const codes = { quote: 34, backslash: 92, array: 91, arrayEnd: 93, object: 123, objectEnd: 125 };

/** Counted in the text, so that nothing deep is ever built. O(length). */
function checkDepth(text: string): void {
  let depth = 0;
  let isText = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (isText) {
      if (code === codes.backslash) at++;
      else if (code === codes.quote) isText = false;
    } else if (code === codes.quote) isText = true;
    else if (code === codes.array || code === codes.object) {
      if (++depth > bodyDepthMax) throw tooDeep();
    } else if (code === codes.arrayEnd || code === codes.objectEnd) depth--;
  }
}

const tooDeep = (): InvalidValueError =>
  new InvalidValueError("the body is nested too deep; nothing was changed", {
    ...{ path: "body", reason: `is nested deeper than ${bodyDepthMax}` },
  });
