/** The span of what another replica asks of the authority, below the one that it is asked in. */
import type { Attributes, Tracer } from "../../telemetry.ts";
import { type TraceContext, writeTraceparent } from "../../trace-context.ts";
import type { Call, Reply } from "./authority-message.ts";

/** One request, as it came. */
export interface TracedCall {
  readonly call: Call;
  readonly hops: number;
  /** Absent: whoever asks takes no spans. */
  readonly trace: TraceContext | undefined;
  /** Who handed it on to us. */
  readonly peer: string;
}

/** What a span is called after. */
const names: Readonly<Record<Call["kind"], string>> = {
  birth: "birth",
  open: "open",
  turn: "turn",
  cancel: "cancel",
  renew: "renew",
  read: "read",
  commit: "commit",
  compareAndSet: "compare_and_set",
  operate: "operate",
  give: "give",
  take: "take",
};

/** Answers it in the span `trellis.authority.<call>`, if somebody takes spans at both ends. */
export function inItsSpan(
  tracer: Tracer | undefined,
  { call, hops, trace, peer }: TracedCall,
  answer: () => Promise<Reply>,
): Promise<Reply> {
  if (tracer === undefined || trace === undefined) return answer();
  const attributes: Attributes = {
    ...{ "trellis.backend": "embedded", "trellis.peer": peer, "trellis.hops": hops },
    ...(tracer.keys === true ? resourceOf(call) : {}),
  };
  return tracer.follow(writeTraceparent(trace), () =>
    tracer.span(`trellis.authority.${names[call.kind]}`, attributes, async (span) => {
      const reply = await answer();
      span.set({ "trellis.outcome": reply.kind });
      return reply;
    }),
  );
}

function resourceOf(call: Call): Attributes {
  if (!("request" in call)) return {};
  const { request } = call;
  const resource = "parts" in request ? request.parts[0]?.resource : request.resource;
  return resource === undefined ? {} : { "trellis.resource": resource };
}
