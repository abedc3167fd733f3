import { describe } from "vitest";
import { isServiceSkipped, service } from "../servers/service.ts";
import { lockConformance } from "./conformance.ts";
import { redisSubject } from "./redis-subject.ts";

const url = async (): Promise<string> => (await service("redis"))[0] ?? "";

describe.skipIf(isServiceSkipped("redis"))("Redis", () => {
  lockConformance(redisSubject(url));
});
