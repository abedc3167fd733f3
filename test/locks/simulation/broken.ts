/** Stores that are wrong in one way each: the simulation must notice. */
import type { Authority, CommitReply } from "../../../src/escalate/fence/authority.ts";
import type { Fence } from "../../../src/escalate/fence/guard.ts";

/** What can be wrong. */
export type Flaw =
  | "forgets operation ids"
  | "asks for no fence"
  | "ends leases early"
  | "grants tokens again"
  | "commits one by one";

/** All of them. */
export const flaws: readonly Flaw[] = [
  "forgets operation ids",
  "asks for no fence",
  "ends leases early",
  "grants tokens again",
  "commits one by one",
];

/** The authority with a flaw; without one, itself. */
export function withFlaw(authority: Authority, flaw: Flaw | undefined): Authority {
  if (flaw === undefined) return authority;
  const fences = new Map<string, Fence>();
  let ids = 0;
  const id = (operationId: string): string =>
    flaw === "forgets operation ids" ? `${operationId}#${ids++}` : operationId;
  const commit: Authority["commit"] = async (request) => {
    const parts = request.parts.map((part) => {
      const fence = flaw === "asks for no fence" ? fences.get(part.resource) : undefined;
      return { ...part, fence: fence ?? part.fence };
    });
    const asked = { ...request, parts, operationId: id(request.operationId) };
    if (flaw !== "commits one by one") return authority.commit(asked);
    const versions: bigint[] = [];
    for (const part of parts) {
      const reply: CommitReply = await authority.commit({ ...asked, parts: [part] });
      if (reply.kind !== "committed") return reply;
      versions.push(...reply.versions);
    }
    return { kind: "committed", versions };
  };
  const operate = authority.operate?.bind(authority);
  return {
    birth: () => authority.birth(),
    open: async (request) => {
      const ttlMs = flaw === "ends leases early" ? request.ttlMs / 2 : request.ttlMs;
      const reply = await authority.open({ ...request, ttlMs });
      if (reply.kind !== "opened") return reply;
      fences.set(request.resource, { token: reply.token, nonce: request.nonce });
      return flaw === "grants tokens again" ? { ...reply, token: reply.token / 3n } : reply;
    },
    turn: (request) => authority.turn(request),
    cancel: (request) => authority.cancel(request),
    renew: (request) => {
      const ttlMs = flaw === "ends leases early" ? request.ttlMs / 2 : request.ttlMs;
      return authority.renew({ ...request, ttlMs });
    },
    read: (request) => authority.read(request),
    commit,
    compareAndSet: (request) =>
      authority.compareAndSet({ ...request, operationId: id(request.operationId) }),
    ...(operate
      ? {
          operate: (request) => operate({ ...request, operationId: id(request.operationId) }),
        }
      : {}),
  };
}
