/** A telemetry that breaks its promise and throws. */
import { expect, test } from "vitest";
import { until } from "../../src/cli/servers/until.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import { fencedRegister, lwwRegister, openReplica } from "../../src/index.ts";
import { memoryStorage } from "../../src/store/storage/memory.ts";
import { silentLogger, type Telemetry } from "../../src/telemetry.ts";

const thrower = (): never => {
  throw new Error("the figures are not for us");
};

test.each<{ readonly what: string; readonly telemetry: Telemetry }>([
  {
    what: "at every call",
    telemetry: { count: thrower, gauge: thrower, observe: thrower, collect: thrower },
  },
  {
    what: "when it ends",
    telemetry: { count: thrower, gauge: thrower, observe: thrower, collect: () => thrower },
  },
])("does a replica no harm when it throws $what, and is logged once", async ({ telemetry }) => {
  const schema = {
    profile: lwwRegister<string>(),
    accounts: fencedRegister<number>({ weakFence: true }),
  };
  const lines: string[] = [];
  const logger = { ...silentLogger, error: (_: object, line: string) => void lines.push(line) };
  const host = await openReplica({
    ...{ schema, listen: { port: 0 }, storage: memoryStorage(), telemetry, logger },
    locks: embeddedLocks({ host: true }),
  });
  host.collections.profile.set("u", "host");
  await using guest = await openReplica({ schema });
  guest.collections.profile.set("u", "guest");
  guest.addPeer(`ws://127.0.0.1:${host.address?.port ?? 0}`);
  // Written within one ms, the actors decide which of the two it is.
  await until("both have one of the values", 10_000, () => {
    const [one, other] = [host, guest].map(({ collections }) => collections.profile.get("u"));
    return one === other;
  });
  await host.acknowledged(host.version(), { by: "durable" });
  await host.waitFor(guest.version());
  await host.collections.accounts.update("a", () => 1);
  await host.close();
  expect(lines).toEqual(["the telemetry threw"]);
});
