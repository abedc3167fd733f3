/** The bytes by which requests to an authority, and its answers, are told apart, and what may answer what. */
import type { Call } from "./authority-message.ts";

/** Requests. */
export const calls: { readonly [K in Call["kind"]]: number } = {
  birth: 1,
  open: 2,
  turn: 3,
  cancel: 4,
  renew: 5,
  read: 6,
  commit: 7,
  compareAndSet: 8,
  operate: 9,
  give: 10,
  take: 11,
};

/** Answers. */
export const replies = {
  born: 32,
  done: 33,
  alive: 34,
  present: 35,
  opened: 36,
  queued: 37,
  full: 38,
  committed: 39,
  written: 40,
  operated: 41,
  forgotten: 42,
  "no-integer": 43,
  stale: 44,
  moved: 45,
  held: 46,
  reborn: 47,
  unavailable: 48,
  failed: 49,
  given: 50,
  guards: 51,
  /** `moved`, and what is there instead. */
  overtaken: 52,
} as const;

/** An answer, as its bytes tell it. */
export type ReplyTag = keyof typeof replies;

const refusals = ["stale", "moved", "held", "reborn"] as const;
const always = ["unavailable", "failed"] as const;

/** What may answer what. */
export const repliesTo: { readonly [K in Call["kind"]]: readonly ReplyTag[] } = {
  birth: ["born", ...always],
  open: ["opened", "queued", "full", "reborn", ...always],
  turn: ["done", ...always],
  cancel: ["done", ...always],
  renew: ["alive", ...always],
  read: ["present", "reborn", ...always],
  commit: ["committed", ...refusals, ...always],
  compareAndSet: ["written", "overtaken", ...refusals, ...always],
  operate: ["operated", "forgotten", "no-integer", ...refusals, ...always],
  give: ["given", ...always],
  take: ["guards", ...always],
};
