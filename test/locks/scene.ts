/** A store in memory, one round trip away from its clients, in virtual time. */
import type { Authority } from "../../src/escalate/fence/authority.ts";
import { GuardTable } from "../../src/escalate/fence/guard-table.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { memoryLocks } from "../../src/escalate/locks/memory.ts";
import { World } from "../simulation/virtual-environment.ts";
import { UnreliableAuthority } from "./unreliable-authority.ts";

const delayMs = 3;

/** A store and its clients in virtual time; each answer takes 3 ms, or as long as the client is away. */
export function scene(): {
  readonly world: World;
  readonly environment: ReturnType<World["environment"]>;
  readonly client: (awayMs?: number) => {
    readonly backend: LockBackend;
    readonly way: UnreliableAuthority;
  };
} {
  const world = new World(1);
  const environment = world.environment();
  const table = new GuardTable(environment);
  const distant = (awayMs: number): Authority => {
    const slow = <T>(answer: Promise<T>): Promise<T> =>
      new Promise((resolve) => {
        environment.schedule(awayMs, () => resolve(answer));
      });
    return {
      birth: () => slow(table.birth()),
      open: (request) => slow(table.open(request)),
      turn: (request) => slow(table.turn(request)),
      cancel: (request) => slow(table.cancel(request)),
      renew: (request) => slow(table.renew(request)),
      read: (request) => slow(table.read(request)),
      commit: (request) => slow(table.commit(request)),
      compareAndSet: (request) => slow(table.compareAndSet(request)),
    };
  };
  const client = (awayMs = delayMs): { backend: LockBackend; way: UnreliableAuthority } => {
    const way = new UnreliableAuthority(distant(awayMs));
    return { backend: memoryLocks({ store: { authority: way }, environment, answerMs: 50 }), way };
  };
  return { world, environment, client };
}

/** Runs the world until this is settled. */
export async function run<T>(world: World, promise: Promise<T>): Promise<T> {
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  promise.then(over, over);
  await world.settle({ until: () => isOver, forMs: 120_000 });
  if (!isOver) throw new Error("this hangs");
  return promise;
}
