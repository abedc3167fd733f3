import { lockConformance } from "./conformance.ts";
import { durableSubject } from "./durable-subject.ts";

lockConformance(durableSubject);
