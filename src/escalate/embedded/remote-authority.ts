/**
 * An authority at the other end of a link. It asks each request once: who wants it asked again asks again,
 * and so knows whether another copy is on its way. When the link ends, what has no answer is not known to
 * have been done, nor not to.
 */
import { LockUnavailableError } from "../../errors.ts";
import { malformed } from "../../store/bytes.ts";
import type { TraceContext } from "../../trace-context.ts";
import type {
  Authority,
  CommitReply,
  CommitRequest,
  CompareAndSetRequest,
  NonceRequest,
  OpenReply,
  OpenRequest,
  OperateReply,
  OperateRequest,
  Present,
  Reborn,
  RenewRequest,
  ResourceRequest,
  WriteReply,
} from "../fence/authority.ts";
import { authorityBytesMax, numberOfReply, readReply, writeCall } from "./authority-codec.ts";
import type { Call, Replies } from "./authority-message.ts";

/** Requests without an answer, at most. */
const openMax = 65_536;

interface Pending {
  readonly settle: (bytes: Uint8Array) => void;
  readonly fail: (error: Error) => void;
}

/** The span that a request is made in, or relayed in: undefined if the peer does not understand it. */
export type TracePresent = (relayed: TraceContext | undefined) => TraceContext | undefined;

/** Asks over one link. */
export class RemoteAuthority implements Authority {
  readonly #send: (bytes: Uint8Array) => boolean;
  readonly #present: TracePresent;
  readonly #pending = new Map<number, Pending>();
  #asked = 0;
  #isOver = false;

  /** `send` is false when there is no room; then nothing was sent. `present`: see `TracePresent`. */
  constructor(send: (bytes: Uint8Array) => boolean, present: TracePresent = () => undefined) {
    this.#send = send;
    this.#present = present;
  }

  async birth(): Promise<string> {
    const { birth } = await this.ask({ kind: "birth" });
    return birth;
  }

  open(request: OpenRequest): Promise<OpenReply | Reborn> {
    return this.ask({ kind: "open", request });
  }

  async turn(request: NonceRequest): Promise<void> {
    await this.ask({ kind: "turn", request });
  }

  async cancel(request: NonceRequest): Promise<void> {
    await this.ask({ kind: "cancel", request });
  }

  async renew(request: RenewRequest): Promise<boolean> {
    const { isAlive } = await this.ask({ kind: "renew", request });
    return isAlive;
  }

  read(
    request: ResourceRequest,
  ): Promise<{ readonly kind: "present"; readonly present: Present } | Reborn> {
    return this.ask({ kind: "read", request });
  }

  commit(request: CommitRequest): Promise<CommitReply> {
    return this.ask({ kind: "commit", request });
  }

  compareAndSet(request: CompareAndSetRequest): Promise<WriteReply> {
    return this.ask({ kind: "compareAndSet", request });
  }

  operate(request: OperateRequest): Promise<OperateReply> {
    return this.ask({ kind: "operate", request });
  }

  /**
   * An answer came; one that nobody waits for is passed over. One that cannot be the answer to its request
   * rejects that. @throws MalformedError when it is no answer at all.
   */
  received(bytes: Uint8Array): void {
    const number = numberOfReply(bytes);
    if (number > this.#asked) malformed(`an answer to request ${number} of ${this.#asked}`);
    const pending = this.#pending.get(number);
    this.#pending.delete(number);
    pending?.settle(bytes);
  }

  /** The link is over. */
  end(): void {
    this.#isOver = true;
    for (const { fail } of this.#pending.values()) {
      fail(new Error("the link to the lock authority ended before it answered"));
    }
    this.#pending.clear();
  }

  /**
   * Asks, for somebody else when `hops` links brought the request here, in the span `trace` of theirs.
   * @throws LockUnavailableError when surely nothing was done; Error when that is not known.
   */
  async ask<C extends Call>(call: C, hops = 0, trace?: TraceContext): Promise<Replies[C["kind"]]> {
    if (this.#isOver) throw unavailable("the link to it is over");
    if (this.#pending.size >= openMax) throw unavailable(`${openMax} requests have no answer yet`);
    const number = this.#asked + 1;
    const bytes = writeCall({ number, call, hops, trace: this.#present(trace) });
    if (bytes.length > authorityBytesMax) {
      throw unavailable(`a request of ${bytes.length} bytes, more than ${authorityBytesMax}`);
    }
    this.#asked = number;
    const answered = await new Promise<Uint8Array>((settle, fail) => {
      this.#pending.set(number, { settle, fail });
      if (this.#send(bytes)) return;
      this.#pending.delete(number);
      fail(unavailable("more is on its way to it than there is room for"));
    });
    const kind: C["kind"] = call.kind;
    const reply = readReply(kind, answered);
    if (reply.kind === "unavailable") throw unavailable(reply.reason);
    if (reply.kind === "failed") throw new Error(`the lock authority failed: ${reply.reason}`);
    return reply;
  }
}

const unavailable = (why: string): LockUnavailableError =>
  new LockUnavailableError(`the lock authority was not asked, or refused: ${why}`, {
    backend: "embedded",
  });
