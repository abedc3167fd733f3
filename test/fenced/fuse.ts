/** A client that dies at a request of one's choice: before it is sent, or before its answer comes. */
import type { Authority } from "../../src/escalate/fence/authority.ts";
import { memoryLocks } from "../../src/escalate/locks/memory.ts";
import type { VirtualEnvironment } from "../simulation/virtual-environment.ts";
import { answerMs, type Cluster, type Site } from "./scene.ts";

/** Of the last request. */
export type When = "before" | "after";

const requests = ["open", "turn", "cancel", "renew", "read", "commit", "compareAndSet"] as const;

/** Calls that are made before the client dies; infinite for never. */
export class Fuse {
  left = Infinity;
  when: When = "before";
  isBlown = false;
  readonly authority: Authority;

  constructor(authority: Authority, environment: VirtualEnvironment) {
    const blow = (): Promise<never> => {
      this.isBlown = true;
      environment.stop();
      return new Promise(() => undefined);
    };
    const fused = { birth: () => authority.birth() } as Record<string, unknown>;
    for (const name of requests) {
      const ask = authority[name].bind(authority) as (request: unknown) => Promise<unknown>;
      fused[name] = async (request: unknown) => {
        if (this.isBlown) return new Promise(() => undefined);
        const isLast = --this.left < 0;
        if (isLast && this.when === "before") return blow();
        const answer = await ask(request);
        return isLast ? blow() : answer;
      };
    }
    this.authority = fused as unknown as Authority;
  }
}

/** A replica that can be killed. */
export function mortal(cluster: Cluster): { readonly site: Site; readonly fuse: Fuse } {
  const environment = cluster.world.environment();
  const fuse = new Fuse(cluster.distant, environment);
  const backend = memoryLocks({ store: { authority: fuse.authority }, environment, answerMs });
  return { site: cluster.site({ environment, backend }), fuse };
}
