/** Observers of the replicas of a cluster. */
import { digest } from "../../src/sync/digest.ts";
import type { Hello, Message } from "../../src/sync/message.ts";
import type { ObserverOptions } from "../../src/sync/observer.ts";
import { PeerWitness } from "../../src/sync/peer-witness.ts";
import { MessageWriter, readMessage } from "../../src/sync/protocol.ts";
import type { Reply } from "../../src/sync/question.ts";
import type { Connection, Receiver } from "../../src/sync/transport.ts";
import type { Cluster } from "./cluster.ts";
import { hello } from "./stranger.ts";

/** Lets the world go on until a promise is settled. */
export async function through<T>(cluster: Cluster, promise: Promise<T>): Promise<T> {
  let isOver = false;
  const settled = promise.finally(() => {
    isOver = true;
  });
  settled.catch(() => undefined);
  await cluster.world.settle({ until: () => isOver, forMs: 600_000 });
  if (!isOver) throw new Error(`seed ${cluster.world.seed}: it takes for ever`);
  return await settled;
}

/** How an observer reaches a host. */
export const optionsOf = (cluster: Cluster, host: string): ObserverOptions => {
  const environment = cluster.world.environment();
  const transport = cluster.network.transport("somewhere else", environment);
  return { environment, transport, target: { url: `mem://${host}` } };
};

/** One that asks a host. */
export const witness = (cluster: Cluster, host: string): Promise<PeerWitness> =>
  through(cluster, PeerWitness.open(optionsOf(cluster, host)));

/** A peer that answers what the test tells it to answer, or nothing. */
export async function liar(
  cluster: Cluster,
  reply: Reply | undefined,
  more: Partial<Hello> = {},
): Promise<void> {
  const transport = cluster.network.transport("liar", cluster.world.environment());
  const accept = (connection: Connection): Receiver => {
    const writer = new MessageWriter();
    let sent = 0;
    const say = (message: Message): void => connection.send(writer.write(++sent, message));
    return {
      opened: () => say(hello({ name: "liar", ...more })),
      message: (bytes) => {
        const { message } = readMessage(bytes);
        if (message.kind === "ping") say({ kind: "pong" });
        if (message.kind === "ask" && reply) say({ kind: "answer", digest: digest([]), reply });
      },
      drained: () => undefined,
      closed: () => undefined,
    };
  };
  await transport.listen({ port: 0 }, { linksMax: 10, accept });
}
