/**
 * Faults that are planted around the replicas, never in them: each must be found out by the checks.
 */
import type { Environment } from "../../src/environment.ts";
import type { Change } from "../../src/store/watch.ts";
import { MessageWriter, readMessage } from "../../src/sync/protocol.ts";
import type { Message } from "../../src/sync/message.ts";
import type { Receiver, Transport } from "../../src/sync/transport.ts";
import type { Seams } from "./seams.ts";

/** One planted fault, and how it is to be noticed. */
export interface Canary {
  readonly name: string;
  /** What the failure may say. */
  readonly notices: RegExp;
  /** Faults remember how far they are, so each run has its own. */
  readonly seams: () => Seams;
}

/** What a tampered receiver makes of each message: the ones that arrive in its place. */
type Tamper = (message: Message) => readonly Message[];

/** Numbers messages anew on their way in, so that no replica can tell that any are missing. */
function rewritten(receiver: Receiver, tamper: Tamper): Receiver {
  const writer = new MessageWriter();
  let taken = 0;
  let given = 0;
  return {
    opened: () => receiver.opened(),
    drained: () => receiver.drained(),
    closed: (end) => receiver.closed(end),
    message: (bytes) => {
      const { number, message } = readMessage(bytes);
      // What the network doubled or lost is for the replica to notice, not for the tampering.
      if (number !== taken + 1) return number > taken ? receiver.message(bytes) : undefined;
      taken = number;
      for (const other of tamper(message)) receiver.message(writer.write(++given, other));
      return undefined;
    },
  };
}

/** A transport whose connections each get a `Tamper` of their own, for what comes in. */
const tampering =
  (tamper: (host: string) => Tamper) =>
  (transport: Transport, host: string): Transport => ({
    check: (url) => transport.check(url),
    dial: (target, receiver) => transport.dial(target, rewritten(receiver, tamper(host))),
    listen: (options, acceptor) =>
      transport.listen(options, {
        linksMax: acceptor.linksMax,
        accept: (connection, replicate) =>
          rewritten(acceptor.accept(connection, replicate), tamper(host)),
      }),
  });

/** Every `every`th frame of a connection is tampered with. */
const frames = (every: number, tamper: Tamper) => (): Tamper => {
  let count = 0;
  return (message) =>
    message.kind === "frame" && ++count % every === 0 ? tamper(message) : [message];
};

/** Frames change places with the message after them. */
const overtaking = (): Tamper => {
  let late: Message | undefined;
  let count = 0;
  return (message) => {
    if (late === undefined && message.kind === "frame" && ++count % 5 === 0) {
      late = message;
      return [];
    }
    const both = late ? [message, late] : [message];
    late = undefined;
    return both;
  };
};

/** Some calls are left out, or made again. */
const sometimes = (times: number): ((perform: () => void) => void) => {
  let count = 0;
  return (perform) => {
    for (let i = ++count % 40 === 0 ? times : 1; i > 0; i--) perform();
  };
};

async function* someOf(changes: AsyncIterable<Change>): AsyncIterable<Change> {
  let count = 0;
  for await (const change of changes) if (++count % 4 !== 0) yield change;
}

/** Every replica of a host is the same actor, as a copied image with its randomness would be. */
export function sameActors(): NonNullable<Seams["environment"]> {
  const first = new Map<string, Uint8Array>();
  return (environment, host) => {
    let isFirst = true;
    return {
      ...environment,
      randomBytes: (count) => {
        const bytes = environment.randomBytes(count);
        if (!isFirst) return bytes;
        isFirst = false;
        const before = first.get(host) ?? bytes;
        first.set(host, before);
        return before;
      },
    };
  };
}

/** What is to happen at the end of a turn happens later: so a frame goes on late, too. */
const sluggish = (environment: Environment): Environment => ({
  ...environment,
  defer: (task) => void environment.schedule(15, task),
});

/** Heartbeats of five seconds come more often. */
const beatingFast = (environment: Environment): Environment => ({
  ...environment,
  schedule: (delayMs, task) =>
    environment.schedule(delayMs >= 4_000 && delayMs <= 6_000 ? delayMs / 8 : delayMs, task),
});

/** Every hello says the time that its receiver has. */
function hidingClocks(): Seams {
  const clocks = new Map<string, () => number>();
  return {
    environment: (environment, host) => {
      clocks.set(host, () => environment.now());
      return environment;
    },
    transport: tampering((host) => (message) => {
      const wallMs = clocks.get(host)?.() ?? 0;
      return [message.kind === "hello" ? { ...message, wallMs } : message];
    }),
  };
}

/** All planted faults. */
export const canaries: readonly Canary[] = [
  {
    name: "a frame that is lost while its link goes on",
    notices: /malformed|causes|convergence|protocol/u,
    seams: () => ({ transport: tampering(frames(6, () => [])) }),
  },
  {
    name: "a frame that is taken in twice",
    notices: /malformed|protocol|convergence/u,
    seams: () => ({ transport: tampering(frames(6, (message) => [message, message])) }),
  },
  {
    name: "frames that overtake each other on one link",
    notices: /malformed|causes|half a transaction|protocol|convergence/u,
    seams: () => ({ transport: tampering(overtaking) }),
  },
  {
    name: "an end that is kept from the others",
    notices: /isFinal/u,
    seams: () => ({
      transport: tampering(() => (message) => (message.kind === "ended" ? [] : [message])),
    }),
  },
  {
    name: "a frame that goes on late",
    notices: /has not heard of|did not happen within/u,
    seams: () => ({ environment: sluggish }),
  },
  {
    name: "a hello that hides a wrong clock",
    notices: /has a wrong clock, but/u,
    seams: hidingClocks,
  },
  {
    name: "heartbeats all the time",
    notices: /messages, \d+ bytes at rest/u,
    seams: () => ({ environment: beatingFast }),
  },
  {
    name: "one actor for two processes",
    notices: /lives twice|two meanings/u,
    seams: () => ({ environment: sameActors() }),
  },
  {
    name: "a write that is lost",
    notices: /is shown|the ledger says|half a transaction|carries writes/u,
    seams: () => ({ perform: sometimes(0) }),
  },
  {
    name: "a write that is made twice",
    notices: /is shown|the ledger says|half a transaction/u,
    seams: () => ({ perform: sometimes(2) }),
  },
  {
    name: "a transaction that is taken apart",
    notices: /half a transaction|carries writes|undone transaction/u,
    seams: () => ({ transact: (_, writes) => writes() }),
  },
  {
    name: "a counter that is off by one",
    notices: /is shown/u,
    seams: () => ({ shown: (_, shown) => (typeof shown === "number" ? shown + 1 : shown) }),
  },
  {
    name: "a change that watchers are not told of",
    notices: /who watches/u,
    seams: () => ({ told: someOf }),
  },
  {
    name: "a wait that ends before its time",
    notices: /was waited for in vain|other replicas do/u,
    seams: () => ({ waited: () => Promise.resolve() }),
  },
  {
    name: "a wait that does not end",
    notices: /still waits/u,
    seams: () => ({ waited: () => new Promise(() => undefined) }),
  },
];
