/** The routes as an OpenAPI document. */
import { STATUS_CODES } from "node:http";
import { httpRows, rows } from "./problem.ts";
import type { Parameter, Route } from "./route.ts";

/** What any route may be refused with. */
const everywhere = [400, 413, 415, 500];
/** What those may, too, that ask who asks. */
const admitted = [401, 403, 429, 503];

/** The document. O(routes). */
export function openApiOf(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const path = (paths[route.pattern.text] ??= {});
    path[route.method.toLowerCase()] = operationOf(route);
  }
  const codes = [...Object.keys(rows), ...Object.keys(httpRows)].toSorted();
  return {
    openapi: "3.1.0",
    info: {
      title: "Trellis",
      version: "1",
      description:
        "Shared state for services. Names in paths are percent-encoded; a segment that begins with a " +
        "bare @ is what follows it, so @ alone is the empty name.",
    },
    paths,
    security: [{ bearer: [] }],
    components: {
      securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
      schemas: {
        Problem: {
          type: "object",
          required: ["type", "title", "status", "code", "detail"],
          properties: {
            ...{ type: { type: "string" }, title: { type: "string" }, status: { type: "integer" } },
            ...{ code: { enum: codes }, detail: { type: "string" }, requestId: { type: "string" } },
          },
        },
      },
    },
  };
}

function operationOf(route: Route): object {
  const { id, summary, body, isBodyOptional = false, access } = route;
  const parameters = [
    ...route.pattern.segments.flatMap((segment) =>
      segment.kind === "name" ? [parameterOf("path", segment.name, nameParameter)] : [],
    ),
    ...Object.entries(route.query ?? {}).map(([name, of]) => parameterOf("query", name, of)),
    ...Object.entries(route.headers ?? {}).map(([name, of]) => parameterOf("header", name, of)),
  ];
  return {
    ...{ operationId: id, summary, parameters },
    ...(body && {
      requestBody: { required: !isBodyOptional, content: { "application/json": { schema: body } } },
    }),
    ...(access === "anybody" && { security: [] }),
    responses: responsesOf(route),
  };
}

function responsesOf({ access, refusals, answer, answerType, method }: Route): object {
  const responses: Record<string, object> = {};
  const content = answer
    ? { "application/json": { schema: answer } }
    : answerType && { [answerType]: { schema: { type: "string" } } };
  if (content) responses["200"] = { description: "The answer.", content };
  if (method !== "GET") responses["204"] = { description: "It is done; there is nothing to say." };
  const statuses = new Set([...everywhere, ...(access === "anybody" ? [] : admitted), ...refusals]);
  for (const status of [...statuses].toSorted((left, right) => left - right)) {
    responses[String(status)] = {
      description: STATUS_CODES[status] ?? "Refused.",
      content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
    };
  }
  return responses;
}

const nameParameter: Parameter = {
  description: "Percent-encoded; @ for the empty name.",
  schema: { type: "string", maxLength: 1_024 },
};

const parameterOf = (place: string, name: string, { description, schema }: Parameter): object => ({
  ...{ name, in: place, description, schema },
  ...(place === "path" && { required: true }),
});
