/** Metrics of the operations that may have to wait for others: guarded values, locks, rights. */
import { counter, distribution, gauge, type Metric, msBuckets } from "../metric.ts";

const fenced: readonly Metric[] = [
  counter(
    "trellis_fenced_updates_total",
    "calls",
    ["collection"],
    "Updates of fenced values and claims, before they are decided.",
  ),
  counter(
    "trellis_fenced_sections_total",
    "sections",
    [],
    "Sections over fenced values that were committed.",
  ),
  counter(
    "trellis_fenced_repetitions_total",
    "calls",
    ["collection"],
    "Calls whose idempotency key was known, so that they had the first result and no second effect.",
  ),
  counter(
    "trellis_claims_lost_total",
    "calls",
    ["collection"],
    "Claims of a name that belongs to another.",
  ),
  counter(
    "trellis_guard_writes_total",
    "attempts",
    ["of", "route"],
    "Attempts at changing a guard, of fenced `values` or of pools of `rights`: `optimistic`, one conditional write, or under a `lease`.",
  ),
  counter(
    "trellis_guard_calls_combined_total",
    "calls",
    ["of"],
    "Calls that were decided by an attempt together with another call, beyond the first of each.",
  ),
  counter(
    "trellis_guard_conflicts_total",
    "attempts",
    ["of", "reason"],
    "Attempts that wrote nothing: `overtaken` by another write, or a lease `held` them off.",
  ),
  gauge(
    "trellis_guard_queued",
    "calls",
    ["of"],
    "Calls in line here for the guards that they change.",
  ),
];

const locks: readonly Metric[] = [
  distribution(
    "trellis_lock_wait_ms",
    msBuckets,
    "ms",
    [],
    "How long a lock, or a value of a section, was waited for until it was granted.",
  ),
  distribution(
    "trellis_lock_hold_ms",
    msBuckets,
    "ms",
    [],
    "How long a lock, or a value of a section, was held.",
  ),
  counter(
    "trellis_lock_timeouts_total",
    "locks",
    [],
    "Locks and values of sections that were not granted in time.",
  ),
  gauge("trellis_locks_waiting", "calls", [], "Calls that wait for locks or values of sections."),
  gauge("trellis_locks_held", "locks", [], "Locks and values of sections that are held here."),
  counter(
    "trellis_lease_renewal_failures_total",
    "renewals",
    [],
    "Renewals of leases that failed; each lease is tried again until its time is over.",
  ),
  counter(
    "trellis_leases_lost_total",
    "leases",
    [],
    "Leases that were lost before they were given back.",
  ),
];

const backend: readonly Metric[] = [
  distribution(
    "trellis_backend_call_ms",
    msBuckets,
    "ms",
    ["call"],
    "How long the lock backend took: `acquire` (its line included), `read`, `compareAndSet`, `operate`, `commit`, `renew`, `release`, `birth`.",
  ),
  counter(
    "trellis_backend_failures_total",
    "calls",
    ["circuit"],
    "Calls that the lock backend did not answer, or answered with a fault; a conflict is an answer.",
  ),
  gauge(
    "trellis_breaker_state",
    "breakers",
    ["circuit", "state"],
    "1 for the state that the breaker is in: `closed`, `open` or `probing`; that of `leases` turns nobody away.",
  ),
  counter(
    "trellis_breaker_opened_total",
    "times",
    ["circuit"],
    "How often the breaker opened, failed probes included.",
  ),
  gauge("trellis_backend_active", "calls", [], "Calls of the lock backend that are under way."),
  gauge("trellis_backend_queued", "calls", [], "Calls that wait for a place among those."),
  counter(
    "trellis_backend_shed_total",
    "calls",
    [],
    "Calls that were refused because too many were waiting already.",
  ),
];

const rights: readonly Metric[] = [
  gauge(
    "trellis_rights_held",
    "units",
    ["collection", "side"],
    "Rights that can be spent here without asking anybody, to decrement (`down`) or, with an upper bound, to increment (`up`).",
  ),
  gauge(
    "trellis_rights_reserved",
    "units",
    ["collection", "side"],
    "Of the rights held here, what a crash would strand.",
  ),
  gauge(
    "trellis_rights_stranded",
    "units",
    ["collection", "side"],
    "Rights of holders that are closed, as the pools said when they were last asked from here.",
  ),
  gauge(
    "trellis_rights_unsettled",
    "units",
    ["collection"],
    "Rights to decrement that earlier openings of this directory had left and that are not returned yet.",
  ),
  gauge("trellis_rights_waiting", "calls", ["collection"], "Calls that wait for rights."),
  gauge(
    "trellis_rights_stopped",
    "counters",
    ["collection"],
    "Counters from which nothing is spent here any more: their pool was set back, or their rights were taken.",
  ),
  counter(
    "trellis_rights_granted_total",
    "units",
    ["collection", "side"],
    "Rights that pools granted to this replica.",
  ),
  counter(
    "trellis_rights_returned_total",
    "units",
    ["collection", "side"],
    "Rights that this replica gave back.",
  ),
  counter(
    "trellis_rights_created_total",
    "units",
    ["collection", "side"],
    "Rights that came of what was done here: an increment creates rights to decrement.",
  ),
  counter(
    "trellis_rights_spent_total",
    "units",
    ["collection", "side"],
    "Rights that were spent here, by calls that waited and by those that did not.",
  ),
  counter(
    "trellis_rights_waits_total",
    "calls",
    ["collection"],
    "Calls for which the rights here did not suffice, so that they waited; the others cost nothing and are told by what they spent.",
  ),
  distribution(
    "trellis_rights_wait_ms",
    msBuckets,
    "ms",
    ["collection"],
    "How long those calls waited, whether they were served or refused.",
  ),
  counter(
    "trellis_rights_refusals_total",
    "calls",
    ["collection", "reason"],
    "Calls that got no rights: `insufficient`, so much was not left anywhere; `affordable`, it was left, as far as the pool record told, and its holders did not give it up; `unreachable`, the pool was not heard.",
  ),
  counter(
    "trellis_rights_recalls_total",
    "recalls",
    ["collection"],
    "How often others were asked to give back.",
  ),
  counter(
    "trellis_rights_repetitions_total",
    "calls",
    [],
    "Changes of bounded counters whose idempotency key was used before, so that they changed nothing.",
  ),
];

/** Of guarded values, locks and rights. */
export const escalationMetrics: readonly Metric[] = [...fenced, ...locks, ...backend, ...rights];
