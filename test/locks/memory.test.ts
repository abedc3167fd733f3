import { lockConformance } from "./conformance.ts";
import { memorySubject } from "./memory-subject.ts";

lockConformance(memorySubject);
