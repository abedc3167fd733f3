/** Where the locks are: a server that all processes reach. */

/** @param flags the URL of Redis, or a host of etcd */
export async function backendOf({ redis, etcd }) {
  if (etcd !== undefined) {
    const { etcdLocks } = await import("trellis-state/locks/etcd");
    return etcdLocks({ hosts: [etcd] });
  }
  if (redis === undefined) {
    console.error("--redis redis://HOST:PORT or --etcd HOST:PORT says where the locks are");
    process.exit(2);
  }
  const { redisLocks } = await import("trellis-state/locks/redis");
  // What a Redis without `appendfsync always` promises; leave it out where it has that.
  return redisLocks({ url: redis, fencing: "until-restart" });
}
