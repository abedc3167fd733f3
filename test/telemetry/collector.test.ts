/** Two processes and a collector: one escalated call is one trace, whole, from who asks to the lock authority. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../../src/cli/servers/until.ts";
import { assertBuilt } from "../cli/command.ts";
import { type CollectedSpan, Collector } from "./collector.ts";

const script = fileURLToPath(new URL("traced-process.mjs", import.meta.url));

let collector: Collector;
let host: ChildProcess;
let asks: ChildProcess;

const start = (options: object): ChildProcess =>
  fork(script, [JSON.stringify({ ...options, collector: collector.url })], {
    // A short delay between what ends and what is sent.
    env: { ...process.env, OTEL_BSP_SCHEDULE_DELAY: "100" },
  });

async function told<T>(child: ChildProcess): Promise<T> {
  const gone = once(child, "exit").then(([status]) => {
    throw new Error(`a process ended with ${String(status)}`);
  });
  const message = once(child, "message").then(([first]) => first as T);
  return Promise.race([message, gone]);
}

async function request(name: string): Promise<string> {
  const answer = told<{ readonly outcome: string }>(asks);
  asks.send({ request: name });
  return (await answer).outcome;
}

beforeAll(async () => {
  assertBuilt();
  collector = await Collector.start();
  host = start({ name: "host", host: true });
  const { port } = await told<{ readonly port: number }>(host);
  asks = start({ name: "asks", host: false, peer: `ws://127.0.0.1:${port}` });
  await told(asks);
}, 60_000);

afterAll(async () => {
  host.kill("SIGKILL");
  asks.kill("SIGKILL");
  await collector[Symbol.asyncDispose]();
});

/** The trace of a request, once all that it waits for has come. */
async function traceOf(
  root: string,
  isWhole: (names: readonly string[]) => boolean,
): Promise<readonly CollectedSpan[]> {
  const find = (): readonly CollectedSpan[] => {
    const first = collector.spans.find(({ name }) => name === root);
    return collector.spans.filter(({ traceId }) => traceId === first?.traceId);
  };
  await until(`the trace of ${root}`, 20_000, () => isWhole(find().map(({ name }) => name)));
  return find();
}

/** From a span up to where its trace begins: `name@process`. */
function chain(trace: readonly CollectedSpan[], span: CollectedSpan): readonly string[] {
  const parent = trace.find(({ spanId }) => spanId === span.parentSpanId);
  return [`${span.name}@${span.scope}`, ...(parent ? chain(trace, parent) : [])];
}

const chains = (trace: readonly CollectedSpan[]): readonly string[] =>
  trace.map((span) => chain(trace, span).join(" < "));

const attribute = (span: CollectedSpan | undefined, key: string): unknown =>
  Object.values(span?.attributes.find((each) => each.key === key)?.value ?? {})[0];

/** One trace, in which every span but the first has its parent, and all have ended. */
function expectWhole(trace: readonly CollectedSpan[], root: string): void {
  const ids = new Set(trace.map(({ spanId }) => spanId));
  const orphans = trace.filter(({ parentSpanId }) => !ids.has(parentSpanId ?? ""));
  expect(orphans.map(({ name }) => name)).toEqual([root]);
  expect(new Set(trace.map(({ traceId }) => traceId)).size).toBe(1);
  for (const { startTimeUnixNano, endTimeUnixNano } of trace) {
    expect(BigInt(endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(startTimeUnixNano));
  }
}

const callOf = (trace: readonly CollectedSpan[], kind: string): readonly CollectedSpan[] =>
  trace.filter(({ name }) => name === `trellis.authority.${kind}`);

test("an update is one trace: escalate, compare_and_set, and the authority in the other process", async () => {
  expect(await request("update")).toBe("done");
  const trace = await traceOf("request update", (names) =>
    names.includes("trellis.authority.compare_and_set"),
  );
  expectWhole(trace, "request update");
  expect(chains(trace)).toContain(
    "trellis.authority.compare_and_set@host < trellis.compare_and_set@asks < " +
      "trellis.escalate@asks < request update@asks",
  );
});

test("a section is one trace: acquires and the commit, each with the authority below", async () => {
  expect(await request("transfer")).toBe("done");
  const trace = await traceOf(
    "request transfer",
    (names) =>
      names.filter((name) => name === "trellis.authority.cancel").length === 2 &&
      names.includes("trellis.authority.commit"),
  );
  expectWhole(trace, "request transfer");
  const below = "trellis.escalate@asks < request transfer@asks";
  const found = chains(trace);
  const opened = `trellis.authority.open@host < trellis.acquire@asks < ${below}`;
  expect(found.filter((each) => each === opened)).toHaveLength(2);
  expect(found).toContain(`trellis.authority.commit@host < trellis.commit@asks < ${below}`);
  const [commit] = callOf(trace, "commit");
  expect(attribute(commit, "trellis.outcome")).toBe("committed");
  expect(attribute(commit, "trellis.peer")).toBe("asks");
});

test("a call that fails ends its spans too, in both processes, and says its code and no message", async () => {
  expect(await request("failure")).toBe("RangeError");
  const trace = await traceOf("request failure", (names) =>
    names.includes("trellis.authority.cancel"),
  );
  expectWhole(trace, "request failure");
  const escalate = trace.find(({ name }) => name === "trellis.escalate");
  expect(escalate?.status).toMatchObject({ code: 2, message: "RangeError" });
  expect(callOf(trace, "open")).toHaveLength(1);
  expect(collector.text).not.toContain("the message of an error");
});

test("a call to an authority that is gone ends its spans, with the code", async () => {
  host.kill("SIGKILL");
  await once(host, "exit");
  const outcome = await request("late");
  expect(outcome).toMatch(/^TRELLIS_(?:LOCK_UNAVAILABLE|UNKNOWN_OUTCOME|LOCK_TIMEOUT)$/u);
  const trace = await traceOf("request late", (names) => names.includes("request late"));
  expectWhole(trace, "request late");
  const escalate = trace.find(({ name }) => name === "trellis.escalate");
  expect(attribute(escalate, "error.code")).toBe(outcome);
  expect(escalate?.status.code).toBe(2);
});
