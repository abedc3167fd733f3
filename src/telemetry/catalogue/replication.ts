/** Metrics of what is held, written, sent and stored. */
import { bytesBuckets, counter, distribution, gauge, type Metric, msBuckets } from "../metric.ts";

const writes: readonly Metric[] = [
  counter(
    "trellis_changes_total",
    "slots",
    ["collection", "kind"],
    "Slots (a counter, a register, an element, a field) that local batches changed, by `increment`, `set`, `add` or `remove`; all writes to one slot within one batch are one change.",
  ),
  counter(
    "trellis_batches_total",
    "batches",
    ["slots"],
    "Local batches that were closed, by size: at most `1`, `10`, `100`, `1000` or `10000` slots and above the class before, or `more`.",
  ),
  counter(
    "trellis_lww_losers_total",
    "values",
    ["collection"],
    "Concurrent values that lost to a later one, as seen here.",
  ),
  counter(
    "trellis_stamps_held_total",
    "writes",
    [],
    "Writes of peers whose stamps were too far ahead of our clock, so that they lose to all others.",
  ),
  distribution(
    "trellis_causal_wait_ms",
    msBuckets,
    "ms",
    [],
    "How long `waitFor` waited, where the version was not there at once.",
  ),
  counter("trellis_causal_waits_total", "calls", [], "Calls of `waitFor`."),
  counter(
    "trellis_causal_wait_timeouts_total",
    "calls",
    [],
    "Calls of `waitFor` whose time was over.",
  ),
];

const held: readonly Metric[] = [
  gauge("trellis_keys", "keys", ["collection"], "Keys under which anything is live."),
  gauge(
    "trellis_collection_bytes",
    "bytes",
    ["collection"],
    "What the names, cells and values of a collection take in memory, estimated by a walk through all of it, at most one a minute, while somebody reads the figures.",
  ),
  gauge(
    "trellis_state_bytes",
    "bytes",
    [],
    "The arrays that hold cells and names, exactly; strings and values come on top.",
  ),
  gauge(
    "trellis_removals_kept",
    "removals",
    [],
    "Removals that are kept for peers that have not heard of them.",
  ),
  counter(
    "trellis_removals_forgotten_total",
    "removals",
    [],
    "Removals that were forgotten, since all had heard of them or there were too many.",
  ),
  gauge("trellis_clock_ahead_ms", "ms", [], "How far the latest stamp is ahead of our wall clock."),
];

const links: readonly Metric[] = [
  gauge(
    "trellis_members",
    "replicas",
    [],
    "This replica, its configured peers, and those that are connected.",
  ),
  gauge("trellis_peers", "peers", ["state"], "Peers by the state of the link to them."),
  gauge("trellis_links", "links", [], "Links that are not over, observers and strangers included."),
  counter("trellis_links_started_total", "links", [], "Links that began to stream."),
  counter(
    "trellis_links_ended_total",
    "links",
    ["code"],
    "Links that ended, by why: `clock` and `schema` are refusals of a peer, `unauthorized` one by it.",
  ),
  counter(
    "trellis_forks_total",
    "forks",
    [],
    "How often somebody else wrote as our actor, so that we took another.",
  ),
  gauge("trellis_peer_connected", "links", ["peer"], "Links that stream, to the peers of a name."),
  gauge(
    "trellis_peer_lag_batches",
    "batches",
    ["peer"],
    "Batches that the peer has not acknowledged; of several of one name the most.",
  ),
  gauge(
    "trellis_peer_lag_ms",
    "ms",
    ["peer"],
    "For how long the oldest frame has been on the way to the peer; of several of one name the most.",
  ),
  gauge(
    "trellis_peer_staged_bytes",
    "bytes",
    ["peer"],
    "Bytes of a series that is half received from the peer.",
  ),
  gauge(
    "trellis_peer_buffered_bytes",
    "bytes",
    ["peer"],
    "Bytes for the peer that the network has not taken yet.",
  ),
  gauge(
    "trellis_peer_clock_offset_ms",
    "ms",
    ["peer"],
    "How far the peer's wall clock was ahead of ours when its hello came, less what that took on the way; the largest in size of one name.",
  ),
  counter("trellis_peer_sent_frames_total", "frames", ["peer"], "Frames of changes to the peer."),
  counter(
    "trellis_peer_received_frames_total",
    "frames",
    ["peer"],
    "Frames of changes from the peer.",
  ),
  counter("trellis_peer_sent_bytes_total", "bytes", ["peer"], "Bytes of all messages to the peer."),
  counter(
    "trellis_peer_received_bytes_total",
    "bytes",
    ["peer"],
    "Bytes of all messages from the peer; `unknown` is who has not said hello.",
  ),
  distribution("trellis_frame_out_bytes", bytesBuckets, "bytes", [], "Frames that were sent."),
  distribution("trellis_frame_in_bytes", bytesBuckets, "bytes", [], "Frames that were taken in."),
  distribution(
    "trellis_frame_apply_ms",
    msBuckets,
    "ms",
    [],
    "How long a frame took to be read and joined, or staged.",
  ),
  counter(
    "trellis_service_messages_total",
    "messages",
    ["service", "direction"],
    "Messages of what else replicas talk about over links, `in` or `out`: the lock authority, recalls of rights.",
  ),
];

const stored: readonly Metric[] = [
  distribution(
    "trellis_storage_write_ms",
    msBuckets,
    "ms",
    ["sync"],
    "How long one atomic write to the storage took; with `sync` `true` until the disk had it.",
  ),
  counter(
    "trellis_storage_written_bytes_total",
    "bytes",
    [],
    "Keys and values that were written to the storage.",
  ),
  counter(
    "trellis_storage_write_failures_total",
    "writes",
    [],
    "Writes that the storage refused; each is tried again.",
  ),
  gauge(
    "trellis_storage_pending",
    "slots",
    [],
    "Slots that changed since they were last written to the storage.",
  ),
];

/** Of replication and storage. */
export const replicationMetrics: readonly Metric[] = [...writes, ...held, ...links, ...stored];
