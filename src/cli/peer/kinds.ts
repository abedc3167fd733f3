/** What a setting may be: read from a file, a flag or a variable, said in words, shown without secrets. */
import type { Given, GivenMap } from "./config-file.ts";
import { nearest } from "./problems.ts";

/** Where a value stands, and who hears what is wrong with it. */
export interface At {
  /** Such as `tokens[2].rights`. */
  readonly path: string;
  readonly problems: { add(where: string, what: string): void };
}

/** A kind of value. */
export interface Kind<T> {
  /** In words, after "is". */
  readonly expects: string;
  /** Undefined when it is none: `at.problems` was told then. */
  read(given: Given, at: At): T | undefined;
  /** As JSON, with `***` in the place of secrets. */
  show(value: T): unknown;
  /** True for what nobody else may see. */
  readonly isSecret?: true;
}

const shownMax = 80;

function wrong(given: Given, { path, problems }: At, expects: string): undefined {
  let shown = given.kind === "scalar" ? JSON.stringify(given.value) : `a ${given.kind}`;
  if (given.kind === "scalar" && given.value === null) shown = "empty";
  if (shown.length > shownMax) shown = `${shown.slice(0, shownMax)}…`;
  problems.add(given.where, `${path} is ${shown}: ${expects}`);
  return undefined;
}

const plainly = (value: unknown): unknown => value;

/** An integer in a range, which numbers with units in their names are. */
export function integer(min: number, max: number): Kind<number> {
  const expects = `an integer from ${min} to ${max}`;
  return {
    expects,
    read(given, at) {
      const { value, isText } = given.kind === "scalar" ? given : { value: undefined };
      const isDigits = isText === true && /^-?\d{1,16}$/u.test(String(value));
      const number = isDigits ? Number(value) : value;
      if (typeof number !== "number" || !Number.isSafeInteger(number)) {
        return wrong(given, at, expects);
      }
      return number >= min && number <= max ? number : wrong(given, at, expects);
    },
    show: plainly,
  };
}

/** The same, or `never`. */
export const orNever = (kind: Kind<number>): Kind<number> => ({
  expects: `${kind.expects}, or never`,
  read(given, at) {
    if (given.kind === "scalar" && given.value === "never") return Number.POSITIVE_INFINITY;
    const add = (where: string, what: string): void => at.problems.add(where, `${what}, or never`);
    return kind.read(given, { ...at, problems: { add } });
  },
  show: (value) => (value === Number.POSITIVE_INFINITY ? "never" : kind.show(value)),
});

/** True or false. */
export const yesOrNo: Kind<boolean> = {
  expects: "true or false",
  read(given, at) {
    if (given.kind === "scalar") {
      if (typeof given.value === "boolean") return given.value;
      if (given.isText && (given.value === "true" || given.value === "false")) {
        return given.value === "true";
      }
    }
    return wrong(given, at, "true or false");
  },
  show: plainly,
};

/** True, false, or a name that is neither. */
export const yesOrNoOr = (name: string): Kind<boolean | string> => ({
  expects: `true, false or ${name}`,
  read(given, at) {
    if (given.kind === "scalar" && typeof given.value === "string" && isPlain(given.value)) {
      const isWord = given.isText && (given.value === "true" || given.value === "false");
      return isWord ? given.value === "true" : given.value;
    }
    if (given.kind === "scalar" && typeof given.value === "boolean") return given.value;
    return wrong(given, at, `true, false or ${name}`);
  },
  show: plainly,
});

/** Text that `isFine`. */
export function text(expects: string, isFine: (value: string) => boolean): Kind<string> {
  return {
    expects,
    read(given, at) {
      if (given.kind === "scalar" && typeof given.value === "string" && isFine(given.value)) {
        return given.value;
      }
      return wrong(given, at, expects);
    },
    show: plainly,
  };
}

const textLengthMax = 4_096;
const isPlain = (value: string): boolean =>
  value !== "" && value.length <= textLengthMax && !value.includes("\0");

/** Text that is not empty. */
export const words: Kind<string> = text("text that is not empty", isPlain);
/** The name of a file, from the working directory. */
export const file: Kind<string> = text("the name of a file", isPlain);
/** The name of a directory, from the working directory. */
export const directory: Kind<string> = text("the name of a directory", isPlain);

/** Text that is never shown, whatever is wrong with it. */
export function secret(kind: Kind<string>): Kind<string> {
  return {
    ...{ expects: kind.expects, isSecret: true as const },
    read(given, at) {
      const value = kind.read(given, { ...at, problems: { add: () => undefined } });
      if (value === undefined) at.problems.add(given.where, `${at.path} is not ${kind.expects}`);
      return value;
    },
    show: () => "***",
  };
}

/** One of a few words. */
export function choice<const W extends string>(...allowed: readonly W[]): Kind<W> {
  const expects = `one of ${allowed.join(", ")}`;
  return {
    expects,
    read(given, at) {
      const value = given.kind === "scalar" ? given.value : undefined;
      return allowed.find((word) => word === value) ?? wrong(given, at, expects);
    },
    show: plainly,
  };
}

/** Several of one kind. As text: separated by commas. */
export function list<T>(kind: Kind<T>, countMax: number): Kind<readonly T[]> {
  const expects = `a list, each ${kind.expects}`;
  return {
    expects,
    read(given, at) {
      const items = itemsOf(given);
      if (items === undefined) return wrong(given, at, expects);
      if (items.length > countMax) {
        at.problems.add(given.where, `${at.path} has ${items.length} entries, at most ${countMax}`);
        return undefined;
      }
      const read = items.map((item, index) =>
        kind.read(item, { ...at, path: `${at.path}[${index}]` }),
      );
      const known = read.filter((item) => item !== undefined);
      return known.length === read.length ? known : undefined;
    },
    show: (values) => values.map((value) => kind.show(value)),
  };
}

function itemsOf(given: Given): readonly Given[] | undefined {
  if (given.kind === "list") return given.items;
  if (given.kind !== "scalar" || !given.isText) return undefined;
  if (given.value === "") return [];
  const parts = String(given.value).split(",");
  return parts.map((part) => ({ ...given, value: part.trim() }));
}

/** Either of two kinds: the second for maps, the first for the rest. */
export const eitherMap = <A, B>(plain: Kind<A>, map: Kind<B>, toMap: (value: A) => B): Kind<B> => ({
  expects: `${plain.expects}, or ${map.expects}`,
  read(given, at) {
    if (given.kind === "map") return map.read(given, at);
    const value = plain.read(given, at);
    return value === undefined ? undefined : toMap(value);
  },
  show: (value) => map.show(value),
});

/** The kinds of a record's fields. */
export type Fields<T> = { readonly [N in keyof T]-?: Kind<Exclude<T[N], undefined>> };

/** A map with fields of which some have to be there. */
export function record<T extends object>(
  fields: Fields<T>,
  required: readonly (keyof T & string)[],
): Kind<T> {
  const kinds = Object.entries<Kind<unknown>>(fields);
  const names = kinds.map(([name]) => name);
  const expects = names.length === 0 ? "a map" : `a map of ${names.join(", ")}`;
  return {
    expects,
    read(given, at) {
      if (given.kind !== "map") return wrong(given, at, expects);
      const isKnown = allKnown(given, names, at);
      const read: Record<string, unknown> = {};
      let isWhole = isKnown;
      for (const [name, kind] of kinds) {
        const entry = given.entries.get(name);
        if (entry === undefined) continue;
        const value = kind.read(entry.given, { ...at, path: `${at.path}.${name}` });
        if (value === undefined) isWhole = false;
        else read[name] = value;
      }
      for (const name of required.filter((one) => !given.entries.has(one))) {
        at.problems.add(given.where, `${at.path} has no ${name}`);
        isWhole = false;
      }
      // Every field was read by its kind.
      return isWhole ? (read as T) : undefined;
    },
    show(value) {
      const shown = kinds.flatMap(([name, kind]) => {
        const field: unknown = Object.entries(value).find(([own]) => own === name)?.[1];
        return field === undefined ? [] : [[name, kind.show(field)] as const];
      });
      return Object.fromEntries(shown);
    },
  };
}

/** Tells of each key that is not among `names`. */
export function allKnown(
  given: GivenMap,
  names: readonly string[],
  { path, problems }: At,
): boolean {
  const unknown = [...given.entries].filter(([key]) => !names.includes(key));
  for (const [key, { where }] of unknown) {
    const near = nearest(key, names);
    const hint = near === undefined ? `there are ${names.join(", ")}` : `did you mean ${near}?`;
    const prefix = path === "" ? "" : `${path}.`;
    problems.add(where, `there is no ${prefix}${key}: ${hint}`);
  }
  return unknown.length === 0;
}
