/**
 * A network in memory: the twin of the real one, for tests and simulation. It is as broken as it is
 * told to be, and under a seeded environment every run is the same.
 *
 * A host is a name; it listens at `mem://name`. What a host receives is delivered on that host's own
 * environment, so that a process which is paused or killed receives nothing.
 */
import type { Grant } from "../../access.ts";
import type { DoorOptions } from "../../door.ts";
import type { Environment } from "../../environment.ts";
import { OverloadedError, UnauthorizedError, UsageError } from "../../errors.ts";
import type {
  Acceptor,
  Connection,
  ConnectionEnd,
  DialTarget,
  Listener,
  Receiver,
  Transport,
} from "../transport.ts";

/** How broken the network is. Rates are between 0 and 1, for each message. */
export interface Faults {
  readonly lossRate: number;
  readonly duplicateRate: number;
  /** A message that overtakes those before it. */
  readonly reorderRate: number;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
}

/** A network on which nothing goes wrong. */
export const noFaults: Faults = {
  lossRate: 0,
  duplicateRate: 0,
  reorderRate: 0,
  delayMsMin: 1,
  delayMsMax: 1,
};

const scheme = "mem://";

interface Bound {
  readonly host: string;
  readonly environment: Environment;
  readonly options: DoorOptions;
  readonly acceptor: Acceptor;
  links: number;
}

/** Hosts, and what lies between them. */
export class MemoryNetwork {
  readonly #environment: Environment;
  readonly #bound = new Map<string, Bound>();
  readonly #wires = new Set<Wire>();
  readonly #cuts = new Set<string>();
  readonly #silences = new Set<string>();
  readonly #stalled = new Set<string>();
  #ports = 0;
  /** May be changed at any time. */
  faults: Faults = noFaults;
  /** Messages and bytes that were sent so far. */
  messages = 0;
  bytes = 0;

  /** `environment` gives the network its randomness. */
  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** The network as one host sees it. */
  transport(host: string, environment: Environment): Transport {
    return {
      check: (url) => void hostOf(url),
      dial: (target, receiver) => this.#dial({ host, environment, receiver }, target),
      listen: (options, acceptor) => this.#listen({ host, environment, options, acceptor }),
    };
  }

  /** Connections between the two end, and none can be made. */
  cut(left: string, right: string): void {
    this.#cuts.add(pair(left, right));
    this.#cuts.add(pair(right, left));
    for (const wire of [...this.#wires]) {
      if (wire.joins(left) && wire.joins(right)) wire.breakOff("the network was cut");
    }
  }

  /** What `from` sends to `to` is lost, and neither is told. */
  silence(from: string, to: string): void {
    this.#silences.add(pair(from, to));
  }

  /** `host` reads nothing for now; what is sent to it stays with the sender. */
  stall(host: string): void {
    this.#stalled.add(host);
  }

  /** `host` reads again. */
  resume(host: string): void {
    this.#stalled.delete(host);
    for (const wire of [...this.#wires]) if (wire.joins(host)) wire.resume(host);
  }

  /** Takes back every cut and every silence. Messages that were lost stay lost. */
  heal(): void {
    this.#cuts.clear();
    this.#silences.clear();
  }

  /** The process is gone: it listens no more. Peers are told, unless the machine went with it. */
  kill(host: string, options: { readonly quietly?: boolean } = {}): void {
    this.#bound.delete(host);
    for (const wire of [...this.#wires]) {
      if (!wire.joins(host)) continue;
      if (options.quietly === true) wire.abandon();
      else wire.breakOff("the process is gone");
    }
  }

  /** Connections that stand. */
  get connections(): number {
    return this.#wires.size;
  }

  // For wires.

  /** A number at least 0 and below 1. */
  random(): number {
    const [a = 0, b = 0, c = 0] = this.#environment.randomBytes(3);
    return (a * 65536 + b * 256 + c) / 2 ** 24;
  }

  isSilent(from: string, to: string): boolean {
    return this.#silences.has(pair(from, to));
  }

  isStalled(host: string): boolean {
    return this.#stalled.has(host);
  }

  remove(wire: Wire): void {
    this.#wires.delete(wire);
  }

  #listen(bound: Omit<Bound, "links">): Promise<Listener> {
    const { host } = bound;
    if (this.#bound.has(host)) {
      return Promise.reject(new UsageError(`${scheme}${host} is taken; nothing was bound`));
    }
    const entry = { ...bound, links: 0 };
    this.#bound.set(host, entry);
    return Promise.resolve({
      address: { host, port: bound.options.port || ++this.#ports },
      close: () => {
        if (this.#bound.get(host) === entry) this.#bound.delete(host);
        for (const wire of [...this.#wires]) if (wire.accepted === entry) wire.breakOff("closed");
        return Promise.resolve();
      },
    });
  }

  #dial(
    dialer: {
      readonly host: string;
      readonly environment: Environment;
      readonly receiver: Receiver;
    },
    target: DialTarget,
  ): Connection {
    const host = hostOf(target.url);
    const wire = new Wire(this, dialer, host);
    this.#wires.add(wire);
    dialer.environment.schedule(this.#delayMs(), () => this.#connect(wire, target));
    return wire.near;
  }

  /** In one turn unless the authentication is a promise, so that a run without promises works. */
  #connect(wire: Wire, target: DialTarget): void {
    const { from, to } = wire;
    if (this.isSilent(from, to) || this.isSilent(to, from)) return;
    const bound = this.#bound.get(to);
    if (bound === undefined || this.#cuts.has(pair(from, to))) {
      return wire.refuse({ reason: `${to} cannot be reached` });
    }
    const { token } = target;
    const request = { remoteAddress: from, ...(token === undefined ? {} : { token }) };
    const verdict = bound.options.authenticate?.(request) ?? true;
    if (!(verdict instanceof Promise)) return letIn(wire, bound, verdict);
    verdict.then(
      (accepted) => letIn(wire, bound, accepted),
      () => letIn(wire, bound, undefined),
    );
  }

  #delayMs(): number {
    const { delayMsMin, delayMsMax } = this.faults;
    return delayMsMin + this.random() * (delayMsMax - delayMsMin);
  }
}

/** `accepted` is undefined when nobody could tell. */
function letIn(wire: Wire, bound: Bound, accepted: boolean | Grant | undefined): void {
  const { host, acceptor } = bound;
  const replicate = typeof accepted === "object" ? accepted.replicate : "write";
  if (accepted === false || replicate === "nothing") {
    const error = new UnauthorizedError(`${host} refused the token; nothing was sent`);
    return wire.refuse({ reason: error.message, error });
  }
  if (accepted === undefined || bound.links >= acceptor.linksMax) {
    const error = new OverloadedError(`${host} takes no more links now`);
    return wire.refuse({ reason: error.message, error });
  }
  wire.accept(bound, replicate);
}

/** One connection, both ends of it. */
class Wire {
  readonly from: string;
  readonly to: string;
  readonly near: End;
  readonly #network: MemoryNetwork;
  #far: End | undefined;
  #isOver = false;
  accepted: Bound | undefined;

  constructor(
    network: MemoryNetwork,
    dialer: {
      readonly host: string;
      readonly environment: Environment;
      readonly receiver: Receiver;
    },
    to: string,
  ) {
    this.#network = network;
    this.from = dialer.host;
    this.to = to;
    this.near = new End(network, this, { host: dialer.host, environment: dialer.environment });
    this.near.remoteAddress = to;
    this.near.receiver = dialer.receiver;
  }

  joins(host: string): boolean {
    return this.from === host || this.to === host;
  }

  accept(bound: Bound, replicate: "read" | "write"): void {
    if (this.#isOver) return;
    const far = new End(this.#network, this, bound);
    far.remoteAddress = this.from;
    far.peer = this.near;
    this.near.peer = far;
    this.#far = far;
    this.accepted = bound;
    bound.links++;
    far.receiver = bound.acceptor.accept(far, replicate);
    far.open();
    this.near.open();
  }

  refuse(end: ConnectionEnd): void {
    if (this.#end()) this.near.over(end);
  }

  breakOff(reason: string): void {
    if (!this.#end()) return;
    this.near.over({ reason });
    this.#far?.over({ reason });
  }

  /** Nobody is told. */
  abandon(): void {
    this.near.mute();
    this.#far?.mute();
  }

  resume(host: string): void {
    if (this.from === host) this.near.resume();
    if (this.to === host) this.#far?.resume();
  }

  #end(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#network.remove(this);
    if (this.accepted) this.accepted.links--;
    return true;
  }
}

/** One end of a connection: sends to its peer, receives on its own environment. */
class End implements Connection {
  readonly #network: MemoryNetwork;
  readonly #wire: Wire;
  readonly #host: string;
  readonly #environment: Environment;
  /** Messages that wait while this end does not read. */
  readonly #waiting: (() => void)[] = [];
  #isOpen = false;
  #isOver = false;
  #isMute = false;
  /** When the latest message to this end arrives. */
  #latestMs = 0;
  #buffered = 0;
  remoteAddress = "";
  receiver: Receiver | undefined;
  peer: End | undefined;

  constructor(
    network: MemoryNetwork,
    wire: Wire,
    at: { readonly host: string; readonly environment: Environment },
  ) {
    this.#network = network;
    this.#wire = wire;
    this.#host = at.host;
    this.#environment = at.environment;
  }

  get bufferedBytes(): number {
    return this.#buffered;
  }

  send(bytes: Uint8Array): void {
    const { peer } = this;
    if (this.#isOver || peer === undefined) return;
    const network = this.#network;
    network.messages++;
    network.bytes += bytes.length;
    this.#buffered += bytes.length;
    const arrives = (): void => {
      this.#buffered -= bytes.length;
      peer.#receive(bytes);
      this.#drained();
    };
    const { lossRate, duplicateRate } = network.faults;
    const isLost = network.random() < lossRate || network.isSilent(this.#host, peer.#host);
    if (isLost || this.#isMute) {
      peer.#arrive(() => {
        this.#buffered -= bytes.length;
        this.#drained();
      });
      return;
    }
    peer.#arrive(arrives);
    if (network.random() < duplicateRate) peer.#arrive(() => peer.#receive(bytes));
  }

  close(reason: string): void {
    const { peer } = this;
    if (peer === undefined || peer.#isOver || this.#isMute) return this.#wire.breakOff(reason);
    // After what was sent; a peer that hears nothing is given up on.
    peer.#arrive(() => this.#wire.breakOff(reason));
    this.#environment.schedule(1_000, () => this.#wire.breakOff(reason));
  }

  terminate(): void {
    this.#wire.breakOff("terminated");
  }

  // For the wire.

  open(): void {
    this.#environment.defer(() => {
      if (this.#isOver) return;
      this.#isOpen = true;
      this.receiver?.opened();
      this.resume();
    });
  }

  over(end: ConnectionEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiting.length = 0;
    this.#environment.defer(() => this.receiver?.closed(end));
  }

  mute(): void {
    this.#isMute = true;
  }

  resume(): void {
    for (const task of this.#waiting.splice(0)) this.#environment.defer(() => this.#deliver(task));
  }

  /** Brings something to this end, after what is on its way already unless it overtakes. */
  #arrive(task: () => void): void {
    const { delayMsMin, delayMsMax, reorderRate } = this.#network.faults;
    const delayMs = delayMsMin + this.#network.random() * (delayMsMax - delayMsMin);
    const nowMs = this.#environment.monotonic();
    const overtakes = reorderRate > 0 && this.#network.random() < reorderRate;
    const atMs = overtakes ? nowMs + delayMsMin : Math.max(this.#latestMs, nowMs + delayMs);
    if (!overtakes) this.#latestMs = atMs;
    this.#environment.schedule(atMs - nowMs, () => this.#deliver(task));
  }

  #deliver(task: () => void): void {
    if (this.#isOver) return;
    if (!this.#isOpen || this.#network.isStalled(this.#host)) this.#waiting.push(task);
    else task();
  }

  #receive(bytes: Uint8Array): void {
    if (!this.#isOver) this.receiver?.message(bytes);
  }

  #drained(): void {
    if (this.#isOver) return;
    this.#environment.defer(() => {
      if (!this.#isOver) this.receiver?.drained();
    });
  }
}

function hostOf(url: string): string {
  if (!url.startsWith(scheme) || url.length === scheme.length) {
    throw new UsageError(`${JSON.stringify(url)} is no address of this network: ${scheme}name is`);
  }
  return url.slice(scheme.length);
}

const pair = (from: string, to: string): string => `${from} ${to}`;
