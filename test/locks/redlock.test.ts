import { describe } from "vitest";
import { isServiceSkipped, service } from "../servers/service.ts";
import { lockConformance } from "./conformance.ts";
import { redlockSubject } from "./redlock-subject.ts";

describe.skipIf(isServiceSkipped("redlock"))("Redlock", () => {
  lockConformance(redlockSubject(() => service("redlock")));
});
