import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test, vi } from "vitest";
import { exchange } from "../../src/cli/servers/exchange.ts";
import { isSkipped } from "../../src/cli/servers/installed.ts";
import { isServiceSkipped, service } from "./service.ts";
import { services } from "../../src/cli/servers/shared.ts";

afterEach(() => vi.unstubAllEnvs());

describe("a shared server", () => {
  test.skipIf(isServiceSkipped("redis"))("is one for all that ask", async () => {
    const [first, second] = await Promise.all([service("redis"), service("redis")]);
    expect(first).toHaveLength(1);
    expect(second).toEqual(first);
    const port = Number(new URL(String(first[0])).port);
    const soon = AbortSignal.timeout(5_000);
    const reply = await exchange(port, "PING\r\n", (bytes) => bytes.includes("\n"), soon);
    expect(reply.toString()).toBe("+PONG\r\n");
  });

  test("is the one that the environment names", async () => {
    vi.stubEnv("TRELLIS_TEST_ETCD_HOSTS", "127.0.0.1:1,127.0.0.1:2");
    expect(await service("etcd")).toEqual(["127.0.0.1:1", "127.0.0.1:2"]);
    expect(isServiceSkipped("etcd")).toBe(false);
  });

  test.each([
    ["CI", "true"],
    ["TRELLIS_CI", "1"],
  ])("is never skipped where %s is set", (name, value) => {
    vi.stubEnv("PATH", "");
    vi.stubEnv("CI", "");
    vi.stubEnv("TRELLIS_CI", "");
    expect(isSkipped("redis")).toBe(true);
    vi.stubEnv(name, value);
    expect(isSkipped("redis")).toBe(false);
  });
});

test("the file for Docker names every service, on ports that its containers have", () => {
  const read = (file: string): string => readFileSync(new URL(file, import.meta.url), "utf8");
  const variables = read("compose.env").trim().split("\n");
  expect(variables.map((line) => line.split("=")[0])).toEqual(
    Object.values(services).map(({ variable }) => variable),
  );
  const named = [...read("compose.env").matchAll(/127\.0\.0\.1:(\d+)/gu)].map(([, port]) => port);
  const published = [...read("compose.yaml").matchAll(/"127\.0\.0\.1:(\d+):\d+"/gu)].map(
    ([, port]) => port,
  );
  expect(new Set(published)).toEqual(new Set(named));
});
