/** Answers the requests of other replicas to the authority: hosted here, or asked for them over another link. */
import { LockUnavailableError } from "../../errors.ts";
import type { TraceContext } from "../../trace-context.ts";
import type { Authority } from "../fence/authority.ts";
import { readCall, writeReply } from "./authority-codec.ts";
import type { Call, Reply } from "./authority-message.ts";

/** How many requests of one peer may be open, but those that wait for a turn. */
const openMax = 4_096;

/** Answers one request, which has come over so many links, in that span of another process. */
export type Asked = (call: Call, hops: number, trace: TraceContext | undefined) => Promise<Reply>;

/** One peer of an authority. */
export class AuthorityHost {
  readonly #ask: Asked;
  readonly #send: (bytes: Uint8Array) => boolean;
  #open = 0;

  /** `ask` rejects with what is to be said to the peer when nobody answers. */
  constructor(ask: Asked, send: (bytes: Uint8Array) => boolean) {
    this.#ask = ask;
    this.#send = send;
  }

  /** @throws MalformedError when it is no request. */
  received(bytes: Uint8Array): void {
    const { number, call, hops, trace } = readCall(bytes);
    // An answer that finds no room is lost; who asked asks again.
    void this.#reply(call, hops, trace).then((reply) => this.#send(writeReply(number, reply)));
  }

  async #reply(call: Call, hops: number, trace: TraceContext | undefined): Promise<Reply> {
    const counts = call.kind !== "turn";
    if (counts && this.#open >= openMax) {
      return { kind: "unavailable", reason: `${openMax} requests of this peer are open` };
    }
    this.#open += counts ? 1 : 0;
    try {
      return await this.#ask(call, hops, trace);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return { kind: error instanceof LockUnavailableError ? "unavailable" : "failed", reason };
    } finally {
      this.#open -= counts ? 1 : 0;
    }
  }
}

/** What an authority answers. */
export async function answer(authority: Authority, call: Call): Promise<Reply> {
  switch (call.kind) {
    case "birth":
      return { kind: "born", birth: await authority.birth() };
    case "open":
      return await authority.open(call.request);
    case "turn":
      await authority.turn(call.request);
      return { kind: "done" };
    case "cancel":
      await authority.cancel(call.request);
      return { kind: "done" };
    case "renew":
      return { kind: "alive", isAlive: await authority.renew(call.request) };
    case "read":
      return await authority.read(call.request);
    case "commit":
      return await authority.commit(call.request);
    case "compareAndSet":
      return await authority.compareAndSet(call.request);
    case "operate":
      if (!authority.operate) throw new LockUnavailableError("this authority cannot operate");
      return await authority.operate(call.request);
    case "give":
    case "take":
      throw new LockUnavailableError("an authority by itself cannot be moved");
  }
}
