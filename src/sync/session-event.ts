/** What can happen on a link, and what a session has done about it. */
import type { StagePoint } from "../store/stage.ts";
import type { Entry } from "./digest.ts";
import type {
  Ack,
  Answer,
  Ask,
  Bye,
  Ended,
  Frame,
  Greeting,
  Hello,
  Message,
  Ping,
  Pong,
  ServiceMessage,
  Stored,
  Summary,
  Vector,
} from "./message.ts";
import type { Question } from "./question.ts";
import type { Acquaintance, LinkEnd } from "./refusal.ts";

/** A message of the peer's hello, with what it is judged by. */
export interface HelloEvent {
  readonly kind: "hello";
  readonly hello: Hello;
  readonly acquaintance: Acquaintance;
}

/** How a link is doing, told now and then. */
export interface Tick {
  readonly kind: "tick";
  /** Since the link was begun, in ms. */
  readonly ageMs: number;
  /** Ticks in a row during which nothing was heard. */
  readonly silentTicks: number;
  /** How long frames are on the way without an acknowledgement, in ms; 0 if none are. */
  readonly stalledMs: number;
}

/** Each kind of event. */
export interface Events {
  /** The connection is made; `ours` is our hello. */
  readonly opened: { readonly kind: "opened"; readonly ours: Greeting };
  readonly hello: HelloEvent;
  /** The link may go on; `stage` is what we have of a series of the peer's. */
  readonly admitted: { readonly kind: "admitted"; readonly stage: StagePoint | undefined };
  readonly summary: Summary;
  readonly vector: Vector;
  readonly frame: Frame;
  readonly ack: Ack;
  readonly stored: Stored;
  readonly ended: Ended;
  readonly service: ServiceMessage;
  readonly ask: Ask;
  readonly answer: Answer;
  /** We ask who is observed. */
  readonly question: { readonly kind: "question"; readonly question: Question };
  /** What we say to the question at hand is found. */
  readonly answered: { readonly kind: "answered"; readonly answer: Answer };
  readonly ping: Ping;
  readonly pong: Pong;
  readonly bye: Bye;
  readonly tick: Tick;
  /** We end the link; the peer is told. */
  readonly leave: { readonly kind: "leave"; readonly end: LinkEnd };
  /** The connection is gone. */
  readonly lost: { readonly kind: "lost"; readonly end: LinkEnd };
}

/** What can happen on a link. */
export type SessionEvent = Events[keyof Events];

/** What the link is to do, in this order. */
export type Effect =
  | { readonly kind: "send"; readonly message: Message }
  /** Asks whether the link may go on: `admitted` or `leave` follows. */
  | { readonly kind: "meet"; readonly hello: Hello }
  /** Both vectors are known: `known` is the peer's, `told` is ours as the peer knows it. */
  | {
      readonly kind: "start";
      readonly told: readonly Entry[];
      readonly known: readonly Entry[];
      readonly resume: StagePoint | undefined;
    }
  /** The peer is observed: we may ask it. `known` is its vector. */
  | { readonly kind: "observe"; readonly known: readonly Entry[] }
  /** Finds what there is to say to the question at hand: `answered` follows. */
  | { readonly kind: "consider" }
  /** Hands over the answer at hand. */
  | { readonly kind: "hear" }
  /** Joins the frame at hand. */
  | { readonly kind: "take" }
  /** Passes the acknowledgement at hand on. */
  | { readonly kind: "acknowledge" }
  /** Notes what the peer has on its disk. */
  | { readonly kind: "store" }
  /** Hands the bytes at hand to their service. */
  | { readonly kind: "serve" }
  /** Notes which actors have ended. */
  | { readonly kind: "learn"; readonly endings: Ended["endings"] }
  /** The link is over. `tell` is whether the peer can be told why. */
  | { readonly kind: "end"; readonly end: LinkEnd; readonly tell: boolean };
