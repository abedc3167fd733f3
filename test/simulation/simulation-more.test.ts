import { testSeeds } from "./seeds.ts";

// The other half of a thousand, in a file of its own: it runs beside the first.
testSeeds(501, 500);
