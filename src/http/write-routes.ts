/**
 * Routes that write. A free operation with an `Idempotency-Key` is one transaction with the record of its
 * key; an escalated one hands a digest of subject and key to the guard, which remembers it for all peers.
 */
import type { AnyCollection } from "../any-collection.ts";
import { ConflictError, InvalidValueError } from "../errors.ts";
import type { Json } from "../store/values.ts";
import { batchOf, batchSchema } from "./batch.ts";
import { parseBody } from "./body.ts";
import { expectedBy, tagOf } from "./conditional.ts";
import { memberSchemas, type Told, toldBy } from "./members.ts";
import {
  escalatedRun,
  freeRun,
  type Given,
  has,
  type Operation,
  operations,
} from "./operations.ts";
import { collectionOf, type Parts } from "./parts.ts";
import { patternOf } from "./path.ts";
import { Refusal } from "./problem.ts";
import { checkIdempotencyKey, fingerprintOf, hashOf, type KeptAnswer } from "./request-memory.ts";
import {
  answer,
  assertMay,
  type Call,
  nameIn,
  type Parameter,
  type Reply,
  type Route,
} from "./route.ts";

const keyHeader: Readonly<Record<string, Parameter>> = {
  "Idempotency-Key": {
    description: "However often this request is sent with it, it takes effect once.",
    schema: { type: "string", minLength: 1, maxLength: 255 },
  },
};

const conditionHeaders: Readonly<Record<string, Parameter>> = {
  "If-Match": {
    description: "Of a fenced register: the ETag that the write rests on, or *.",
    schema: { type: "string" },
  },
  "If-None-Match": {
    description: "Of a fenced register: *, there must be no value.",
    schema: { type: "string" },
  },
};

/** They of one service. */
export const writeRoutes = (parts: Parts): Route[] => [
  ...operations.map((operation) => routeOf(parts, operation)),
  batchRoute(parts),
];

function routeOf(parts: Parts, operation: Operation): Route {
  const { name, method, path, summary, members } = operation;
  const names = Object.entries(members);
  const isBodyOptional = names.every(([, need]) => need === "optional");
  const headers =
    operation.conditional === true ? { ...keyHeader, ...conditionHeaders } : keyHeader;
  const escalates = Object.keys(operation.escalated).length > 0 || operation.conditional === true;
  const conditions = operation.conditional === true ? [412, 428] : [];
  return {
    ...{ id: name, method, summary, headers, access: "admitted" },
    pattern: patternOf(`/v1/collections/{collection}/{key}${path}`),
    refusals: [404, 405, 422, 429, 503, ...(escalates ? [409, 504] : []), ...conditions],
    answer: { type: "object" },
    ...(names.length > 0 && { body: bodySchema(operation), isBodyOptional }),
    run: (call) => write(parts, operation, call),
  };
}

function bodySchema({ members }: Operation): object {
  const schemas = Object.entries(memberSchemas).filter(([name]) => Object.hasOwn(members, name));
  const required = Object.entries(members).flatMap(([name, need]) =>
    need === "required" ? [name] : [],
  );
  return {
    type: "object",
    properties: Object.fromEntries(schemas),
    additionalProperties: false,
    ...(required.length > 0 && { required }),
  };
}

async function write(parts: Parts, operation: Operation, call: Call): Promise<Reply> {
  const name = nameIn(call, "collection");
  const key = nameIn(call, "key");
  assertMay(call, "write", { collection: name, key });
  const any = collectionOf(parts, name);
  if (!has(operation, any)) throw lacks(operation, any);
  const told = toldBy(parseBody(call.body), operation.members);
  const { field, entry, name: inner } = call.segments;
  const given: Given = {
    ...told,
    key,
    field: field === undefined ? "" : nameIn(call, "field"),
    entry: entry === undefined ? "" : nameIn(call, "entry"),
    name: inner === undefined ? "" : nameIn(call, "name"),
  };
  const idempotencyKey = checkIdempotencyKey(call.request.headers["idempotency-key"]);
  const free = freeRun(operation, any);
  if (free) {
    const run = (): Json | undefined => free(given);
    return runFree(parts, call, { run, idempotencyKey });
  }
  call.goOnAs("escalated");
  const { signal, grant } = call;
  const waits = {
    signal,
    ...(told.waitMs !== undefined && { waitMs: told.waitMs }),
    ...(idempotencyKey !== undefined && {
      idempotencyKey: `http:${hashOf({ subject: grant.subject, key: idempotencyKey })}`,
    }),
  };
  if (any.kind === "fenced-register") {
    return replace(parts, call, {
      any,
      given,
      told,
      waits,
      isDelete: operation.method === "DELETE",
    });
  }
  const escalated = escalatedRun(operation, any);
  if (!escalated) throw lacks(operation, any);
  const result = await escalated(given, waits);
  return answer(textOf(result), { "trellis-version": await parts.written() });
}

/** What runs at once. */
interface FreeWrite {
  readonly run: () => Json | undefined;
  readonly idempotencyKey: string | undefined;
}

async function runFree(
  parts: Parts,
  call: Call,
  { run, idempotencyKey }: FreeWrite,
): Promise<Reply> {
  if (idempotencyKey === undefined) {
    const body = textOf(run());
    return answer(body, { "trellis-version": await parts.written() });
  }
  if (!parts.gate.isOpen) {
    throw new Refusal(
      "TRELLIS_UNAVAILABLE",
      "this peer has crashed, and others may know of writes that it does not know: writes with an " +
        "Idempotency-Key wait until they have told; nothing was changed",
      { retryAfterMs: 1_000, shed: "retry-gate" },
    );
  }
  if (parts.isDurable) call.goOnAs("waiting");
  const { request, body, grant, path } = call;
  const fingerprint = fingerprintOf(request.method ?? "", path, body);
  const keyed = { subject: grant.subject, key: idempotencyKey, fingerprint };
  const kept = parts.memory.once(keyed, () => keptAnswer(run()));
  const version = await durable(parts, kept.isReplay);
  const replayed = kept.isReplay ? { "idempotency-replayed": "true" } : {};
  const headers = { "trellis-version": version, ...replayed };
  return {
    ...{ kind: "answer", status: kept.status, headers },
    ...(kept.body !== "" && { body: kept.body }),
  };
}

/** Before that, whoever is told that it was done could see it undone. A replay may be of another peer's. */
async function durable(
  { replica, limits, isDurable, written }: Parts,
  isReplay: boolean,
): Promise<string> {
  const version = await written();
  if (isDurable) {
    const covering = isReplay ? replica.version() : version;
    await replica.acknowledged(covering, { by: "durable", timeoutMs: limits.durableMsMax });
  }
  return version;
}

function keptAnswer(result: Json | undefined): KeptAnswer {
  const body = textOf(result);
  return body === undefined ? { status: 204, body: "" } : { status: 200, body };
}

const textOf = (result: Json | undefined): string | undefined =>
  result === undefined ? undefined : JSON.stringify(result);

/** A fenced write by version. */
interface Replacement {
  readonly any: Extract<AnyCollection, { kind: "fenced-register" }>;
  readonly given: Given;
  readonly told: Told;
  readonly waits: {
    readonly signal: AbortSignal;
    readonly waitMs?: number;
    readonly idempotencyKey?: string;
  };
  readonly isDelete: boolean;
}

async function replace(parts: Parts, call: Call, replacement: Replacement): Promise<Reply> {
  const { any, given, waits, isDelete } = replacement;
  const expected = expectedBy(call.request.headers);
  const next = isDelete ? undefined : given.value;
  try {
    const replaced = await any.collection.replace(given.key, { expected, next }, waits);
    if (waits.idempotencyKey !== undefined && !isSame(replaced.value, next)) {
      throw new Refusal(
        "TRELLIS_KEY_REUSED",
        "this Idempotency-Key was used for another value; nothing was changed",
      );
    }
    const tag = replaced.version && !isDelete ? { etag: tagOf(replaced.version) } : {};
    return answer(undefined, { ...tag, "trellis-version": await parts.written() });
  } catch (error) {
    if (!(error instanceof ConflictError) || error.held === true) throw error;
    throw new Refusal(
      "TRELLIS_PRECONDITION_FAILED",
      "the value is not at the version that was named; nothing was changed: read it again",
    );
  }
}

/** Both are JSON, with members in the order that they were sent in. */
const isSame = (left: unknown, right: unknown): boolean =>
  JSON.stringify(left) === JSON.stringify(right);

function lacks({ path, name, mortal }: Operation, any: AnyCollection): Refusal {
  const others = operations.filter((other) => other.path === path && has(other, any));
  const reads = path === "" ? ["GET", "HEAD"] : [];
  const lacking = mortal
    ? "the keys of this collection do not expire"
    : `a collection of type ${any.kind} has no ${name}`;
  const allow = [...reads, ...others.map(({ method }) => method)].join(", ");
  return new Refusal("TRELLIS_METHOD_NOT_ALLOWED", lacking, {
    headers: { allow },
  });
}

const batchRoute = (parts: Parts): Route => ({
  ...{ id: "batch", method: "POST", pattern: patternOf("/v1/batch"), access: "admitted" },
  summary: "Several free operations as one atomic, causally ordered unit: all of them or none.",
  headers: keyHeader,
  body: batchSchema(parts.limits.batchMax),
  refusals: [404, 405, 422, 429, 503],
  answer: { type: "object", properties: { applied: { type: "integer" } } },
  run: async (call) => {
    const body = parseBody(call.body);
    if (Object.keys(body).some((name) => name !== "operations")) {
      throw new InvalidValueError(
        "a batch has `operations`, and nothing else; nothing was changed",
        {
          ...{ path: "body", reason: "has other members than operations" },
        },
      );
    }
    const idempotencyKey = checkIdempotencyKey(call.request.headers["idempotency-key"]);
    const runs = batchOf(parts, call, body["operations"]);
    const run = (): Json =>
      parts.replica.transact(() => {
        for (const each of runs) each();
        return { applied: runs.length };
      });
    return runFree(parts, call, { run, idempotencyKey });
  },
});
