/** A Redlock client behind a network of its own to each master. */
import type { LockBackend } from "../../src/escalate/locks.ts";
import { redlockLocks } from "../../src/escalate/locks/redlock.ts";
import { Proxy } from "../../src/cli/servers/proxy.ts";
import { answerMs } from "./redis-subject.ts";

/** One client. */
export interface Behind {
  readonly locks: LockBackend;
  /** In the order of the masters. */
  readonly proxies: readonly Proxy[];
  /** It and these masters do not hear of each other from now on; it and the others do. */
  readonly cut: (...masters: readonly number[]) => void;
}

/** Opens one; what has to be disposed of afterwards is handed to `owns`. */
export async function openBehind(
  urls: readonly string[],
  owns: (one: AsyncDisposable) => void,
): Promise<Behind> {
  const proxies = await Promise.all(urls.map((url) => Proxy.start(url)));
  proxies.forEach(owns);
  const through = proxies.map((proxy, i) => proxy.through(urls[i] ?? ""));
  const locks = redlockLocks({ urls: through, fencing: "durable", answerMs });
  owns(locks);
  return {
    ...{ locks, proxies },
    cut: (...masters) => {
      for (const [i, proxy] of proxies.entries()) {
        proxy.requests.fate = proxy.replies.fate = masters.includes(i) ? "lose" : "pass";
        proxy.cut("reset");
      }
    },
  };
}
