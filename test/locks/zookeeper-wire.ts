/** What requests of ZooKeeper look like on the wire. */

/** Its length, and then a number that answers are told apart by, and what is asked. */
const ping = Buffer.from([0, 0, 0, 8, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 11]);

/** True of pings and nothing else: a client that asks nothing keeps its session by them. */
export function isPing(requests: Buffer): boolean {
  if (requests.length === 0 || requests.length % ping.length > 0) return false;
  const count = requests.length / ping.length;
  return requests.equals(Buffer.concat(Array<Buffer>(count).fill(ping)));
}
