/** The public names. */
export {
  boundedCounter,
  type BoundedCounterType,
  type Bounds,
  counter,
  type CounterType,
  type ExpiringType,
  type ExpiryOptions,
  fencedRegister,
  type FencedRegisterType,
  type FieldType,
  type FieldTypes,
  flag,
  type FlagType,
  type GuardedTypeOptions,
  type IdempotencyOptions,
  lwwMap,
  type LwwMapType,
  lwwRegister,
  type LwwRegisterType,
  mvRegister,
  type MvRegisterType,
  orMap,
  type OrMapType,
  orSet,
  type OrSetType,
  rateWindow,
  type RateWindowOptions,
  type RateWindowType,
  uniqueClaims,
  type UniqueClaimsType,
} from "./crdt/index.ts";
export type { DataType } from "./crdt/data-type.ts";
export { type Environment, systemEnvironment, type Timer } from "./environment.ts";
export * from "./errors.ts";
export type { StorageStatus } from "./durability.ts";
export type {
  AcquireOptions,
  Guarded,
  Lease,
  LockBackend,
  LockGuarantees,
  Operated,
  Operation,
  ReadOptions,
  Section,
} from "./escalate/locks.ts";
export type { Explanation, Route } from "./escalate/policy.ts";
export { openReplica } from "./open-replica.ts";
export type { Replica } from "./replica.ts";
export type { PeerStatus, ReplicaEvents, ReplicaStatus, Warning } from "./replica-status.ts";
export type {
  DocumentsOptions,
  PeerOption,
  ReplicaOptions,
  RetentionOptions,
  StorageOptions,
} from "./replica-options.ts";
export type { Collections } from "./collections.ts";
export type { Expiring, ExpiringHandle } from "./store/collections/expiring.ts";
export type { KeysOptions } from "./store/collections/keys.ts";
export type { RateWindowCollection, RateWindowHandle } from "./store/collections/rate-windows.ts";
export type { Conflict } from "./store/conflicts.ts";
export type { FsyncPolicy } from "./store/journal.ts";
export type { Schema } from "./store/schema.ts";
export type { StorageBackend, StorageEngine, StoredRecord, WriteBatch } from "./store/storage.ts";
export type { Json } from "./store/values.ts";
export type { WaitOptions } from "./store/waiting.ts";
export type { Change, Watcher, WatchOptions } from "./store/watch.ts";
export type { Grant, Scope } from "./access.ts";
export { grantOf } from "./access.ts";
export { anyOf } from "./access/any-of.ts";
export type {
  Address,
  Authenticate,
  ConnectionRequest,
  DialTlsOptions,
  DoorOptions as ListenOptions,
  Door,
  HttpHandler,
  TlsOptions,
} from "./door.ts";
export type { Transport } from "./sync/transport.ts";
export {
  type Attributes,
  type FigureSink,
  type Labels,
  type Logger,
  silentTelemetry,
  type Span,
  type SpanPlace,
  type Telemetry,
  type Tracer,
  withTracer,
} from "./telemetry.ts";
export { traceFields } from "./trace-context.ts";
export type { AcknowledgedBy, AcknowledgedOptions } from "./versions.ts";
export type { OutsideLocks } from "./escalate/outside-locks.ts";
export type { WithLockOptions } from "./escalate/named-locks.ts";
export type {
  FencedRegisterCollection,
  FencedRegisterHandle,
} from "./escalate/collections/fenced-registers.ts";
export type { UniqueClaimsCollection } from "./escalate/collections/unique-claims.ts";
export type { FencedHandle } from "./escalate/fenced/fenced-target.ts";
export type { EscalateOptions, FencedSection } from "./escalate/fenced/sections.ts";
export type {
  Expected,
  FencedOptions,
  FencedVersion,
  Peeked,
  Replaced,
  Update,
  UpdateContext,
  UpdateOptions,
  Versioned,
} from "./escalate/fenced.ts";
export type { Adopted } from "./escalate/fenced/adoption.ts";
export type {
  BoundedCounterCollection,
  BoundedCounterHandle,
  DecrementOptions,
  OnceOptions,
  SpendOptions,
} from "./escalate/collections/bounded-counters.ts";
export type { RightsStatus } from "./escalate/escrow.ts";
