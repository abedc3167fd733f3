/** The built-in data types, each once. */
export { counter, type CounterType } from "./counter.ts";
export { flag, type FlagType } from "./flag.ts";
export { lwwMap, type LwwMapType } from "./lww-map.ts";
export { lwwRegister, type LwwRegisterType } from "./lww-register.ts";
export { mvRegister, type MvRegisterType } from "./mv-register.ts";
export { type FieldType, type FieldTypes, orMap, type OrMapType } from "./or-map.ts";
export { orSet, type OrSetType } from "./or-set.ts";
