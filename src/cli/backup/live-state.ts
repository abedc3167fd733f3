/**
 * What a live peer holds, at one moment: a replica in memory is brought up to it over the sync protocol, and
 * then the link is ended, so nothing changes any more. What was joined until then is one causal state. The
 * replica writes nothing, so it leaves no trace; a token that may only read is enough.
 */
import { systemEnvironment } from "../../environment.ts";
import { UsageError } from "../../errors.ts";
import { Exchanges } from "../../store/exchanges.ts";
import { Keyspace } from "../../store/keyspace.ts";
import { Waiting } from "../../store/waiting.ts";
import { Sync } from "../../sync/sync.ts";
import type { DialTarget } from "../../sync/transport.ts";
import { webSocketTransport } from "../../sync/transport/websocket.ts";

/** How to wait for it. */
export interface LiveStateOptions {
  readonly target: DialTarget;
  /** For people: shown at the peer meanwhile. */
  readonly name: string;
  readonly timeoutMs: number;
}

/** @throws UsageError when the peer refuses or cannot be reached; WaitTimeoutError. */
export async function readLiveState(options: LiveStateOptions): Promise<Keyspace> {
  const environment = systemEnvironment;
  const { target, name, timeoutMs } = options;
  const keyspace = new Keyspace({ schema: {}, environment });
  const waiting = new Waiting(environment);
  const sync = new Sync({
    ...{ keyspace, environment, name },
    exchanges: new Exchanges(keyspace),
    transport: webSocketTransport(environment),
    peers: [target],
    onReceived: () => waiting.check(),
    onChange: () => waiting.check(),
  });
  const refusal = (): string | undefined => sync.peers[0]?.refused;
  const isDecided = (): boolean => sync.members.isSynced || refusal() !== undefined;
  try {
    await sync.start();
    await waiting
      .until(isDecided, `synchronising with ${target.url}`, { timeoutMs })
      .catch((error: unknown) => {
        const why = sync.peers[0]?.lastEnd;
        if (why === undefined) throw error;
        throw new UsageError(`${target.url} cannot be reached: ${why}`, { cause: error });
      });
    const refused = refusal();
    if (refused !== undefined) {
      throw new UsageError(`${target.url} refused: ${refused}`, { cause: new Error(refused) });
    }
    // Nothing is joined after this line.
    sync.removePeer(target.url);
    return keyspace;
  } finally {
    waiting.close();
    await sync.close();
  }
}
