/**
 * Makes up an access log: a few paths and visitors make most of the requests, most make one or two,
 * and some names are of the kind that breaks careless maps.
 */
import type { Request } from "./log.ts";
import { seededRandom, zipf } from "./random.ts";

/** Names that a plain object or a careless parser would trip over; each is asked for now and then. */
const awkwardPaths: readonly string[] = [
  "/__proto__",
  "__proto__",
  "constructor",
  "/caf%C3%A9/☕",
  "*",
  "/a b",
];

const startTime = 1_431_857_103;

/**
 * Makes `count` requests; the same count and seed give the same requests. O(count).
 */
export function generateRequests(count: number, seed: number): Request[] {
  const random = seededRandom(seed);
  const distinct = Math.max(1, Math.ceil(count / 6));
  const pathRank = zipf(distinct, 0.9, random);
  const visitorRank = zipf(distinct, 0.7, random);
  const referrerRank = zipf(Math.max(1, Math.ceil(distinct / 4)), 1, random);
  const requests: Request[] = [];
  let time = startTime;
  for (let index = 0; index < count; index++) {
    time += Math.floor(random() * 40);
    requests.push({
      time,
      visitor: visitorName(visitorRank()),
      method: "GET",
      path: pathName(pathRank(), random()),
      status: random() < 0.95 ? 200 : 404,
      bytes: Math.floor(random() ** 4 * 1_000_000),
      referrer: random() < 0.4 ? "" : `https://example.org/page/${referrerRank()}`,
    });
  }
  return requests;
}

/** One request in 50 is for an awkward path. */
const pathName = (rank: number, choice: number): string =>
  awkwardPaths[Math.floor(choice * 50 * awkwardPaths.length)] ?? `/articles/${rank}`;

/** Eight hexadecimal digits, as a hashed address would give; one name a rank. */
const visitorName = (rank: number): string =>
  (Math.imul(rank + 1, 0x9e3779b9) >>> 0).toString(16).padStart(8, "0");
