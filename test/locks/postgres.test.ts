import { describe } from "vitest";
import { isServiceSkipped } from "../servers/service.ts";
import { lockConformance } from "./conformance.ts";
import { postgresSubject } from "./postgres-subject.ts";

describe.skipIf(isServiceSkipped("postgres"))("on PostgreSQL", () => {
  lockConformance(postgresSubject);
});
