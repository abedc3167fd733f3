/** What examples/deploy has is run here as far as it can be without Docker, systemd and a cluster. */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments, parseDocument } from "yaml";
import { resolve, type Resolved } from "../../src/cli/peer/resolve.ts";
import { until } from "../../src/cli/servers/until.ts";
import { boundedCounter, counter, openReplica, type PeerOption } from "../../src/index.ts";
import { assertBuilt, Run } from "../cli/command.ts";

const deploy = fileURLToPath(new URL("../../examples/deploy", import.meta.url));
const textOf = (path: string): string => readFileSync(join(deploy, path), "utf8");
const folder = mkdtempSync(join(tmpdir(), "trellis-deploy-"));
const secrets = join(folder, "secrets");

beforeAll(() => {
  assertBuilt();
  execFileSync(join(deploy, "secrets.sh"), [secrets], { stdio: "pipe" });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What one path of a YAML document leads to. */
function at(document: unknown, ...path: readonly (string | number)[]): unknown {
  let value = document;
  for (const key of path) {
    value = typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
  }
  return value;
}

const settle = async (config: string, variables: Record<string, string>): Promise<Resolved> =>
  await resolve({ flags: new Map(), variables, config });

/** Runs the health check of compose.yaml. @throws when it does not end with 0 */
function isHealthy(url: string): void {
  const compose: unknown = parseDocument(textOf("docker/compose.yaml"), { merge: true }).toJS();
  const check = at(compose, "services", "peer-1", "healthcheck", "test") as string[];
  expect(check.slice(0, 3)).toEqual(["CMD", "node", "-e"]);
  const here = String(check[3]).replace("localhost:7000", new URL(url).host);
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: join(folder, "peers/secrets/ca.pem") };
  execFileSync(process.execPath, ["-e", here], { env, stdio: "pipe" });
}

describe("three-peers.mjs", () => {
  test("runs three peers with TLS and tokens, restarts one that was killed, and ends them all", async () => {
    const script = spawn(
      process.execPath,
      [join(deploy, "three-peers.mjs"), "--ports", "auto", "--dir", join(folder, "peers")],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const lines: Record<string, unknown>[] = [];
    let text = "";
    script.stdout.setEncoding("utf8").on("data", (more: string) => {
      text += more;
      const whole = text.split("\n");
      text = whole.pop() ?? "";
      for (const line of whole) lines.push(JSON.parse(line) as Record<string, unknown>);
    });
    const ended = new Promise((told) => void script.once("close", told));
    try {
      await until("all three run", 25_000, () => lines.some(({ ready }) => ready === true));
      const of = (name: string): readonly Record<string, unknown>[] =>
        lines.filter((line) => line.name === name && line.pid !== undefined);
      const target = (name: string): Exclude<PeerOption, string> => ({
        url: String(of(name)[0]?.url),
        token: readFileSync(join(folder, "peers/secrets/cluster.token"), "utf8").trim(),
        tls: { caFile: join(folder, "peers/secrets/ca.pem") },
      });
      const schema = { likes: counter(), stock: boundedCounter({ min: 0 }) };
      for (const { url } of ["peer-1", "peer-2", "peer-3"].map(target)) isHealthy(url);
      await using first = await openReplica({ schema, peers: [target("peer-2")] });
      first.collections.likes.increment("a", 4);
      first.collections.stock.increment("s", 3);
      process.kill(Number(of("peer-3")[0]?.pid), "SIGKILL");
      await until("it runs again", 20_000, () => of("peer-3").length === 2);
      await using second = await openReplica({ schema, peers: [target("peer-3")] });
      await second.waitFor(first.version(), { timeoutMs: 15_000 });
      expect(second.collections.likes.value("a")).toBe(4);
      await until("the stock is seen", 15_000, () => second.collections.stock.value("s") === 3);
      // Rights come by way of peer-1, the lock authority.
      await second.collections.stock.decrement("s", 1, { waitMs: 15_000 });
      expect(second.collections.stock.value("s")).toBe(2);
    } finally {
      script.kill("SIGTERM");
    }
    expect(await ended).toBe(0);
    const pids = lines.map(({ pid }) => pid).filter((pid) => typeof pid === "number");
    expect(pids).toHaveLength(4);
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  }, 90_000);
});

describe("the systemd unit", () => {
  const unit = textOf("systemd/trellis-peer.service");

  test.skipIf(!existsSync("/usr/bin/systemd-analyze"))("passes systemd-analyze verify", () => {
    // What it starts has to be there.
    const path = join(folder, "trellis-peer.service");
    writeFileSync(path, unit.replace("/usr/bin/trellis", "/bin/true"));
    expect(execFileSync("systemd-analyze", ["verify", path], { encoding: "utf8" })).toBe("");
  });

  test("starts a peer by its line ExecStart and its settings, and stops it in time", async () => {
    const [, program, ...args] =
      /^ExecStart=(\S+) (.+)$/mu
        .exec(unit)
        ?.flatMap((part) => part.split(" "))
        .slice(-4) ?? [];
    expect([program, ...args]).toEqual(["peer", "--config", "/etc/trellis/peer.yaml"]);
    const here = textOf("systemd/peer.yaml")
      .replaceAll("/etc/trellis/", `${secrets}/`)
      .replaceAll("/var/lib/trellis", folder)
      .replace("port: 7000", "port: 0")
      .replace("0.0.0.0", "127.0.0.1");
    const config = join(folder, "unit.yaml");
    writeFileSync(config, here);
    const pairs = /^Environment=(.+)$/mu.exec(unit)?.[1]?.split(" ") ?? [];
    const environment = Object.fromEntries(
      pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
    );
    await using peer = new Run(["peer", "--config", config], environment);
    expect(await peer.firstLine()).toMatch(/^wss:/u);
    peer.signal("SIGTERM");
    expect(await peer.outcome).toMatchObject({ status: 0 });
  });

  test("gives the peer longer to stop than it takes at most", async () => {
    const { settings } = await settle(join(deploy, "systemd/peer.yaml"), {});
    const seconds = Number(/^TimeoutStopSec=(\d+)$/mu.exec(unit)?.[1]);
    expect(seconds * 1_000).toBeGreaterThan(settings.drainMs + 10_000);
  });
});

describe("compose.yaml", () => {
  const compose: unknown = parseDocument(textOf("docker/compose.yaml"), { merge: true }).toJS();
  const names = ["peer-1", "peer-2", "peer-3"];

  test.each(names)("gives %s settings that are fine, with files that are mounted", async (name) => {
    const service = at(compose, "services", name);
    const variables = at(service, "environment") as Record<string, string>;
    const { settings, warnings } = await settle(join(deploy, "peer.yaml"), variables);
    expect(warnings).toEqual([]);
    expect(settings).toMatchObject({ name, "listen.host": "0.0.0.0", "listen.port": 7000 });
    const others = names.filter((other) => other !== name);
    expect(settings.join.map(({ url }) => url)).toEqual(
      others.map((other) => `wss://${other}:7000`),
    );
    expect(settings["locks.host"]).toBe(name === "peer-1");
    const mounted = String(at(service, "volumes"));
    expect(mounted).toContain(`../peer.yaml:${variables.TRELLIS_CONFIG}:ro`);
    expect(mounted).toContain("./secrets:/var/lib/trellis/secrets:ro");
    expect(mounted).toContain(`:/var/lib/trellis/${settings["storage.directory"]}`);
    expect(service).toMatchObject({ read_only: true, stop_grace_period: "30s" });
  });

  test("every secret that peer.yaml names is one that secrets.sh makes", () => {
    const named = [...textOf("peer.yaml").matchAll(/secrets\/[\w.-]+/gu)].map(([path]) => path);
    expect(named.length).toBeGreaterThan(5);
    for (const path of named) expect(existsSync(join(folder, path))).toBe(true);
  });

  test("copies into the image what there is", () => {
    const lines = textOf("docker/Dockerfile").split("\n");
    const copied = lines.filter((line) => line.startsWith("COPY ") && !line.includes("--from"));
    const files = copied.flatMap((line) => line.split(" ").slice(1, -1));
    expect(files).toContain("src");
    for (const file of files) expect(existsSync(join(deploy, "../..", file))).toBe(true);
    expect(lines).toContain("USER 1000:1000");
  });
});

describe("the StatefulSet", () => {
  const documents: unknown[] = [];
  for (const one of parseAllDocuments(textOf("kubernetes/trellis.yaml")))
    documents.push(one.toJS());
  const of = (kind: string): unknown => documents.find((one) => at(one, "kind") === kind);
  const pod = at(of("StatefulSet"), "spec", "template", "spec");
  const container = at(pod, "containers", 0);

  test("has every part, and time to stop", () => {
    expect(documents.map((one) => at(one, "kind"))).toEqual([
      ...["ConfigMap", "Service", "Service", "PodDisruptionBudget", "StatefulSet"],
    ]);
    expect(at(of("StatefulSet"), "spec", "serviceName")).toBe(at(documents[1], "metadata", "name"));
    expect(at(documents[1], "spec", "clusterIP")).toBe("None");
    expect(at(pod, "terminationGracePeriodSeconds")).toBeGreaterThan(5 + 10 + 10);
  });

  test("starts a peer with its arguments and settings, which finds itself among those it dials", async () => {
    const config = join(folder, "pod.yaml");
    const directory = join(folder, "pod");
    const settings = String(at(of("ConfigMap"), "data", "peer.yaml"));
    const port = await freePort();
    writeFileSync(
      config,
      settings
        .replaceAll("secrets/", `${secrets}/`)
        .replace("directory: data", `directory: ${directory}`)
        .replace("port: 7000", `port: ${port}`)
        .replace("0.0.0.0", "127.0.0.1")
        .replace("trellis-0.trellis:7000", `127.0.0.1:${port}`),
    );
    const args = (at(container, "args") as string[]).map((arg) =>
      arg === "/etc/trellis/peer.yaml" ? config : arg,
    );
    await using peer = new Run(args, { TRELLIS_NAME: "trellis-0" });
    expect(await peer.firstLine()).toBe(`wss://127.0.0.1:${port}`);
    const token = readFileSync(join(secrets, "cluster.token"), "utf8").trim();
    await using client = await openReplica({
      schema: { likes: counter() },
      peers: [{ url: `wss://127.0.0.1:${port}`, token, tls: { caFile: join(secrets, "ca.pem") } }],
    });
    await client.synced();
    expect(client.status().peers[0]?.name).toBe("trellis-0");
    peer.signal("SIGTERM");
    expect(await peer.outcome).toMatchObject({ status: 0 });
  });
});

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  await using replica = await openReplica({ schema: {}, listen: { port: 0 } });
  return replica.address?.port ?? 0;
}
