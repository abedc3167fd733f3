import { lockConformance } from "./conformance.ts";
import { embeddedSubject } from "./embedded-subject.ts";

lockConformance(embeddedSubject);
