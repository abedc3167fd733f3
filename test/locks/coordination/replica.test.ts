/** The locks of a replica, over the authority that it hosts, and of another over its link. */
import { expect, test } from "vitest";
import { counter, openReplica } from "../../../src/index.ts";
import { embeddedLocks } from "../../../src/escalate/locks/embedded.ts";

const schema = { likes: counter() };

test("every lock of one replica keeps out another that finds the authority over its link", async () => {
  await using host = await openReplica({
    ...{ schema, listen: { port: 0 } },
    locks: embeddedLocks({ host: true }),
  });
  const peers = [`ws://127.0.0.1:${host.address?.port}`];
  await using other = await openReplica({ schema, peers });
  await other.synced();
  const owned = await host.locks.own("shard", { owner: "host" });
  expect(await other.locks.owner("shard")).toMatchObject({ owner: "host", token: owned.token });
  const waiting = other.locks.own("shard");
  await owned.handOver({ offset: 3 });
  const next = await waiting;
  expect(next.handedOver).toEqual({ offset: 3 });
  await next.release();
  const order: string[] = [];
  await host.locks.shared("book", async () => {
    await other.locks.shared("book", () => void order.push("both read"));
    const writing = other.locks.exclusive("book", () => void order.push("written"));
    order.push("still reading");
    void writing.then(() => order.push("told"));
  });
  await other.locks.exclusive("book", () => void order.push("again"));
  expect(order.slice(0, 4)).toEqual(["both read", "still reading", "written", "told"]);
  expect(await other.locks.withPermit("p", 1, ({ token }) => token)).toBeGreaterThan(0n);
  expect(await host.locks.permitHolders("p")).toHaveLength(1);
  expect(await other.locks.campaign("l", ({ term }) => term)).toBeGreaterThan(0n);
  expect(await host.locks.advisory("mail", () => "sent")).toEqual({ ran: true, value: "sent" });
});
