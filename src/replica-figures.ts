/**
 * What a replica says when its figures are read. All of it is there anyway, or counted in a plain number where
 * it happens; nothing is done for it until somebody looks.
 */
import { stampsPerMs } from "./crdt/hybrid-logical-clock.ts";
import type { Durability } from "./durability.ts";
import type { Environment } from "./environment.ts";
import type { Escalation, EscalationCounts } from "./escalation.ts";
import type { BackendFigures } from "./escalate/resilience.ts";
import type { Locking } from "./locking.ts";
import { CollectionBytes } from "./store/collection-bytes.ts";
import type { Keyspace } from "./store/keyspace.ts";
import { WriteCounts } from "./store/write-counts.ts";
import type { PeerView, Sync } from "./sync/sync.ts";
import type { FigureSink, Telemetry } from "./telemetry.ts";
import type { Versions } from "./versions.ts";

/** What is looked at. */
export interface FiguresOptions {
  readonly environment: Environment;
  readonly keyspace: Keyspace;
  readonly sync: Sync;
  readonly locking: Locking;
  readonly escalation: Escalation;
  readonly versions: Versions;
  readonly durability: Durability | undefined;
}

/** Lets a telemetry that is read see a replica. Returns a function that ends it. */
export function collectFigures(telemetry: Telemetry, options: FiguresOptions): () => void {
  if (telemetry.collect === undefined) return () => undefined;
  const { keyspace, environment } = options;
  const writes = new WriteCounts(keyspace);
  const weights = new CollectionBytes(keyspace, environment);
  const end = telemetry.collect((sink) => {
    tellKeyspace(sink, options, writes);
    for (const [collection, bytes] of weights.read()) {
      sink.gauge("trellis_collection_bytes", bytes, { collection });
    }
    tellLinks(sink, options.sync);
    tellPeers(sink, options.sync.peers);
    const { rights, ...guarded } = options.escalation.counts;
    tellGuards(sink, guarded);
    tellBackend(sink, options.locking.figures);
    tellRights(sink, rights);
  });
  return () => {
    end();
    keyspace.listeners.delete(writes);
  };
}

function tellKeyspace(
  sink: FigureSink,
  { keyspace, environment, versions, durability }: FiguresOptions,
  writes: WriteCounts,
): void {
  const { nodes, cells, retention, clock } = keyspace;
  const lastStampMs = Math.floor(clock.last / stampsPerMs);
  for (const { collection, kind, count } of writes.changes()) {
    sink.total("trellis_changes_total", count, { collection, kind });
  }
  for (const { slots, count } of writes.batches()) {
    sink.total("trellis_batches_total", count, { slots });
  }
  for (const { name, live } of nodes.roots) sink.gauge("trellis_keys", live, { collection: name });
  sink.gauge("trellis_state_bytes", nodes.bytes + cells.bytes);
  sink.gauge("trellis_removals_kept", retention.count);
  sink.total("trellis_removals_forgotten_total", retention.forgotten);
  sink.gauge("trellis_clock_ahead_ms", Math.max(0, lastStampMs - environment.now()));
  sink.total("trellis_causal_waits_total", versions.waits);
  const pending = durability?.status.pending;
  if (pending !== undefined) sink.gauge("trellis_storage_pending", pending);
}

function tellLinks(sink: FigureSink, { members, figures }: Sync): void {
  sink.gauge("trellis_members", members.count);
  sink.gauge("trellis_links", figures.links);
  for (const [peer, traffic] of figures.traffic) {
    sink.total("trellis_peer_sent_frames_total", traffic.framesOut, { peer });
    sink.total("trellis_peer_received_frames_total", traffic.framesIn, { peer });
    sink.total("trellis_peer_sent_bytes_total", traffic.bytesOut, { peer });
    sink.total("trellis_peer_received_bytes_total", traffic.bytesIn, { peer });
  }
  for (const [service, count] of figures.services) {
    const messages = "trellis_service_messages_total";
    sink.total(messages, count.in, { service, direction: "in" });
    sink.total(messages, count.out, { service, direction: "out" });
  }
}

/** Of the peers of one name. */
interface PeerFigures {
  connected: number;
  lagBatches: number;
  lagMs: number;
  stagedBytes: number;
  bufferedBytes: number;
  clockOffsetMs: number | undefined;
}

function tellPeers(sink: FigureSink, peers: readonly PeerView[]): void {
  const byName = new Map<string, PeerFigures>();
  for (const view of peers) {
    sink.gauge("trellis_peers", 1, { state: view.state });
    const peer = view.name ?? view.url;
    if (peer === undefined || view.state === "self") continue;
    byName.set(peer, worse(byName.get(peer), view));
  }
  for (const [peer, figures] of byName) {
    sink.gauge("trellis_peer_connected", figures.connected, { peer });
    sink.gauge("trellis_peer_lag_batches", figures.lagBatches, { peer });
    sink.gauge("trellis_peer_lag_ms", figures.lagMs, { peer });
    sink.gauge("trellis_peer_staged_bytes", figures.stagedBytes, { peer });
    sink.gauge("trellis_peer_buffered_bytes", figures.bufferedBytes, { peer });
    const { clockOffsetMs } = figures;
    if (clockOffsetMs !== undefined) {
      sink.gauge("trellis_peer_clock_offset_ms", clockOffsetMs, { peer });
    }
  }
}

/** Two peers may have one name: bytes are added up, and of the rest the worse counts. */
function worse(before: PeerFigures | undefined, view: PeerView): PeerFigures {
  const { lagBatches, lagMs, stagedBytes, bufferedBytes, clockOffsetMs } = view;
  const connected = view.state === "streaming" ? 1 : 0;
  const figures = { connected, lagBatches, lagMs, stagedBytes, bufferedBytes, clockOffsetMs };
  if (before === undefined) return figures;
  const isFurther = Math.abs(clockOffsetMs ?? 0) >= Math.abs(before.clockOffsetMs ?? 0);
  return {
    connected: before.connected + connected,
    lagBatches: Math.max(before.lagBatches, lagBatches),
    lagMs: Math.max(before.lagMs, lagMs),
    stagedBytes: before.stagedBytes + stagedBytes,
    bufferedBytes: before.bufferedBytes + bufferedBytes,
    clockOffsetMs: isFurther ? (clockOffsetMs ?? before.clockOffsetMs) : before.clockOffsetMs,
  };
}

function tellGuards(sink: FigureSink, { updates, locks }: Omit<EscalationCounts, "rights">): void {
  for (const [of, tally] of Object.entries(updates)) {
    const writes = "trellis_guard_writes_total";
    sink.total(writes, tally.optimistic, { of, route: "optimistic" });
    sink.total(writes, tally.lease, { of, route: "lease" });
    sink.total("trellis_guard_calls_combined_total", tally.combined, { of });
    const conflicts = "trellis_guard_conflicts_total";
    sink.total(conflicts, tally.overtaken, { of, reason: "overtaken" });
    sink.total(conflicts, tally.held, { of, reason: "held" });
    sink.gauge("trellis_guard_queued", tally.queued, { of });
  }
  sink.gauge("trellis_locks_waiting", locks.waiting);
  sink.gauge("trellis_locks_held", locks.held);
}

function tellBackend(sink: FigureSink, { circuits, ...backend }: BackendFigures): void {
  sink.total("trellis_lease_renewal_failures_total", backend.renewalFailures);
  sink.total("trellis_leases_lost_total", backend.leasesLost);
  sink.gauge("trellis_backend_active", backend.active);
  sink.gauge("trellis_backend_queued", backend.queued);
  sink.total("trellis_backend_shed_total", backend.shed);
  for (const { circuit, state, failures, openings } of circuits) {
    sink.total("trellis_backend_failures_total", failures, { circuit });
    sink.total("trellis_breaker_opened_total", openings, { circuit });
    for (const one of ["closed", "open", "probing"]) {
      sink.gauge("trellis_breaker_state", one === state ? 1 : 0, { circuit, state: one });
    }
  }
}

function tellRights(
  sink: FigureSink,
  { collections, repetitions }: EscalationCounts["rights"],
): void {
  sink.total("trellis_rights_repetitions_total", repetitions);
  for (const { collection, sides, refusals, ...figures } of collections) {
    for (const { side, ...sum } of sides) {
      const of = { collection, side };
      sink.gauge("trellis_rights_held", sum.held, of);
      sink.gauge("trellis_rights_reserved", sum.reserved, of);
      sink.gauge("trellis_rights_stranded", sum.stranded, of);
      sink.total("trellis_rights_granted_total", sum.granted, of);
      sink.total("trellis_rights_returned_total", sum.returned, of);
      sink.total("trellis_rights_created_total", sum.created, of);
      sink.total("trellis_rights_spent_total", sum.spent, of);
    }
    sink.gauge("trellis_rights_waiting", figures.waiting, { collection });
    sink.gauge("trellis_rights_stopped", figures.stopped, { collection });
    sink.gauge("trellis_rights_unsettled", figures.unsettled, { collection });
    sink.total("trellis_rights_waits_total", figures.waits, { collection });
    sink.total("trellis_rights_recalls_total", figures.recalls, { collection });
    for (const [reason, count] of Object.entries(refusals)) {
      sink.total("trellis_rights_refusals_total", count, { collection, reason });
    }
  }
}
