/** The built-in data types, each once. */
export { boundedCounter, type BoundedCounterType, type Bounds } from "./bounded-counter.ts";
export { counter, type CounterType } from "./counter.ts";
export { type ExpiringType, type ExpiryOptions } from "./expiring.ts";
export {
  fencedRegister,
  type FencedRegisterType,
  type GuardedTypeOptions,
  type IdempotencyOptions,
} from "./fenced-register.ts";
export { flag, type FlagType } from "./flag.ts";
export { lwwMap, type LwwMapType } from "./lww-map.ts";
export { lwwRegister, type LwwRegisterType } from "./lww-register.ts";
export { mvRegister, type MvRegisterType } from "./mv-register.ts";
export { type FieldType, type FieldTypes, orMap, type OrMapType } from "./or-map.ts";
export { orSet, type OrSetType } from "./or-set.ts";
export { rateWindow, type RateWindowOptions, type RateWindowType } from "./rate-window.ts";
export { uniqueClaims, type UniqueClaimsType } from "./unique-claims.ts";
