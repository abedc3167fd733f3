/** One replica in a process of its own, started, asked and ended from here. */
import { type Bounds, WorkerProcess } from "../worker-process.ts";
import { type Command, isSoldSoFar, type Reply } from "./messages.ts";

/** A replica's process. */
export type ReplicaProcess = WorkerProcess<Command, Reply> & {
  /** Told how many units were sold so far in the sale that is under way. */
  onSold: (sold: number) => void;
};

/** Starts one. It ends when this process does. */
export function startReplicaProcess(name: string, bounds: Bounds): ReplicaProcess {
  const module = new URL("worker.js", import.meta.url);
  const onNews = (news: unknown): void => {
    if (isSoldSoFar(news)) replica.onSold(news.sold);
  };
  const worker = new WorkerProcess<Command, Reply>({ name, module, onNews, ...bounds });
  const replica = Object.assign(worker, { onSold: (_sold: number): void => undefined });
  return replica;
}
