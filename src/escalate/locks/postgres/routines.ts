/**
 * The tables and functions of one prefix in PostgreSQL. Each function is one step of `fence/guard.ts`
 * and `fence/guard-table.ts`: it locks the row of the guard before it looks at anything else, so steps of
 * one guard come one after the other, and each statement after that lock sees what was committed before.
 *
 * Why a row and no sequence? What `nextval` handed out is durable only when the transaction that drew it
 * commits: a crash in between hands it out again. For the same reason a row is never deleted. Time is
 * `clock_timestamp()`: `now()` stands still while the function waits for a lock.
 */
import type { Routine } from "../sql/authority.ts";
import { operationsRemembered } from "../../locks.ts";

/** Ends the name of each function; a release that changes any counts on, and old and new serve side by side. */
const layout = "3";
/** No wait for a row may be longer, in ms: who asked has given up by then. */
const lockMs = 2_000;

/** The name of a function. */
export const functionName = (name: string, routine: Routine | "turns"): string =>
  `${name}_${routine}_${layout}`;

/** How many of the tables are missing; the last function is there only if all are. */
export const countMissing = (name: string): string => {
  const found = ["guards", "operations", "line"].map((table) => `to_regclass('${name}_${table}')`);
  return `num_nulls(${found.join(", ")}, to_regproc('${functionName(name, "turns")}'))`;
};

/** Makes everything where it is missing. One at a time: who makes the same at once does not wait, but fails. */
export const createMissing = (name: string): string => `
DO $create$ BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('${name}'));
  IF ${countMissing(name)} > 0 THEN EXECUTE $all$ ${createAll(name)} $all$; END IF;
END $create$`;

/** Of what a statement names: tables and functions. */
interface Names {
  readonly t: (table: string) => string;
  readonly f: (routine: string) => string;
}

function createAll(name: string): string {
  const names: Names = {
    t: (table) => `${name}_${table}`,
    f: (routine) => `${name}_${routine}_${layout}`,
  };
  const creates = [createTables, createParts, createLeases, createCommit];
  creates.push(createCompareAndSet, createOperate, createReads);
  return creates.map((create) => create(names)).join("\n");
}

const header = `LANGUAGE plpgsql SET lock_timeout = '${lockMs}ms' AS $body$`;

/** Only for what changes no guard: its row is locked until the transaction is on the disk. */
const hasty = "PERFORM set_config('synchronous_commit', 'off', true) WHERE NOT granted;";

/** When no renewal helps any more. */
const hold = (ms: string, moment = "moment"): string =>
  `CASE WHEN ${ms} IS NULL THEN 'infinity' ELSE ${moment} + ${ms} * interval '1 ms' END`;

/** Nobody holds, as of now, also when a row was waited for. */
const isFree = "(g.holder IS NULL OR g.until <= clock_timestamp())";

/** The id of the write that left `version`. */
const remember = (t: Names["t"], key: string, remembered: string): string => `
  INSERT INTO ${t("operations")} AS o
    VALUES (${key}, version % ${operationsRemembered}, version, a_operation, ${remembered})
    ON CONFLICT (guard, slot) DO UPDATE
    SET version = excluded.version, operation = excluded.operation, value = excluded.value;`;

const createTables = ({ t }: Names): string => `
CREATE TABLE IF NOT EXISTS ${t("guards")} (
  key bytea PRIMARY KEY, -- SHA-256 of the resource; empty: the store itself
  resource bytea NOT NULL,
  birth text NOT NULL,
  value bytea,
  version bigint NOT NULL DEFAULT 0,
  token bigint NOT NULL DEFAULT 0,
  holder text,
  until timestamptz NOT NULL DEFAULT '-infinity',
  ends timestamptz NOT NULL DEFAULT 'infinity',
  claimant text -- the client that was made the holder and has not come yet
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS ${t("guards_claimant")} ON ${t("guards")} (claimant)
  WHERE claimant IS NOT NULL;
CREATE TABLE IF NOT EXISTS ${t("operations")} (
  guard bytea NOT NULL,
  slot smallint NOT NULL, -- of a ring
  version bigint NOT NULL,
  operation bytea NOT NULL,
  value bytea,
  PRIMARY KEY (guard, slot)
) WITH (fillfactor = 70);
CREATE TABLE IF NOT EXISTS ${t("line")} (
  guard bytea NOT NULL,
  place bigint NOT NULL,
  nonce text NOT NULL UNIQUE,
  client text NOT NULL,
  ttl_ms float8 NOT NULL,
  hold_ms float8,
  leaves timestamptz NOT NULL,
  PRIMARY KEY (guard, place)
);
CREATE INDEX IF NOT EXISTS ${t("line_client")} ON ${t("line")} (client);
`;

const createParts = ({ t, f }: Names): string => `
CREATE OR REPLACE FUNCTION ${f("birth")}(candidate text, OUT born text) ${header}
BEGIN
  INSERT INTO ${t("guards")} (key, resource, birth) VALUES ('', '', candidate) ON CONFLICT DO NOTHING;
  SELECT g.birth INTO born FROM ${t("guards")} g WHERE g.key = '';
END $body$;

-- Locks the row of a guard, made if need be. Answers the birth that was found if it is another one.
CREATE OR REPLACE FUNCTION ${f("enter")}(a_key bytea, a_resource bytea, a_birth text) RETURNS text
LANGUAGE plpgsql AS $body$
DECLARE found_birth text; made bigint;
BEGIN
  LOOP
    SELECT g.birth INTO found_birth FROM ${t("guards")} g WHERE g.key = a_key FOR UPDATE;
    IF FOUND THEN RETURN NULLIF(found_birth, a_birth); END IF;
    INSERT INTO ${t("guards")} (key, resource, birth)
      SELECT a_key, a_resource, g.birth FROM ${t("guards")} g WHERE g.key = '' AND g.birth = a_birth
      ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS made = ROW_COUNT;
    IF made > 0 THEN RETURN NULL; END IF;
    SELECT g.birth INTO found_birth FROM ${t("guards")} g WHERE g.key = '';
    IF found_birth IS DISTINCT FROM a_birth THEN RETURN coalesce(found_birth, ''); END IF;
  END LOOP;
END $body$;

-- If the guard is free: makes the first of the line the holder, for as long as it may take to come.
CREATE OR REPLACE FUNCTION ${f("advance")}(a_key bytea, moment timestamptz, claim_ms float8)
RETURNS boolean LANGUAGE plpgsql AS $body$
DECLARE next record;
BEGIN
  PERFORM FROM ${t("guards")} g WHERE g.key = a_key AND g.holder IS NOT NULL AND g.until > moment;
  IF FOUND THEN RETURN false; END IF;
  LOOP
    DELETE FROM ${t("line")} l WHERE l.guard = a_key
      AND l.place = (SELECT min(m.place) FROM ${t("line")} m WHERE m.guard = a_key)
      RETURNING l.nonce, l.client, l.ttl_ms, l.hold_ms, l.leaves INTO next;
    IF NOT FOUND THEN RETURN false; END IF;
    IF next.leaves > moment THEN
      UPDATE ${t("guards")} g SET token = g.token + 1, holder = next.nonce, claimant = next.client,
        ends = ${hold("next.hold_ms")},
        until = least(moment + least(claim_ms, next.ttl_ms) * interval '1 ms', ${hold("next.hold_ms")})
        WHERE g.key = a_key;
      PERFORM pg_notify(next.client, next.nonce);
      RETURN true;
    END IF;
  END LOOP;
END $body$;

-- Moves a guard to its next version.
CREATE OR REPLACE FUNCTION ${f("write")}(
  a_key bytea, a_value bytea, a_operation bytea, remembered bytea, OUT version bigint
) LANGUAGE plpgsql AS $body$
BEGIN
  UPDATE ${t("guards")} g SET value = a_value, version = g.version + 1 WHERE g.key = a_key
    RETURNING g.version INTO version;
  ${remember(t, "a_key", "remembered")}
END $body$;
`;

const createLeases = ({ t, f }: Names): string => `
CREATE OR REPLACE FUNCTION ${f("open")}(
  a_key bytea, a_birth text, a_resource bytea, a_nonce text, a_client text,
  a_ttl float8, a_hold float8, a_wait float8, claim_ms float8, line_max int,
  OUT kind text, OUT born text, OUT token bigint, OUT version bigint, OUT value bytea,
  OUT place bigint, OUT left_ms float8
) ${header}
DECLARE moment timestamptz; granted boolean; was record; mine bigint;
BEGIN
  -- Most often it is free and nobody waits: one statement. Whoever enters the line while this waits for the
  -- row came later.
  UPDATE ${t("guards")} g SET token = g.token + 1, holder = a_nonce, claimant = NULL,
    ends = ${hold("a_hold", "clock_timestamp()")},
    until = least(clock_timestamp() + a_ttl * interval '1 ms', ${hold("a_hold", "clock_timestamp()")})
    WHERE g.key = a_key AND g.birth = a_birth AND ${isFree}
    AND NOT EXISTS (SELECT FROM ${t("line")} l WHERE l.guard = a_key)
    RETURNING g.token, g.version, g.value INTO token, version, value;
  IF FOUND THEN kind := 'opened'; RETURN; END IF;
  born := ${f("enter")}(a_key, a_resource, a_birth);
  IF born IS NOT NULL THEN kind := 'reborn'; RETURN; END IF;
  moment := clock_timestamp();
  granted := ${f("advance")}(a_key, moment, claim_ms);
  SELECT g.holder, g.until, g.holder IS NOT NULL AND g.until > moment AS is_held
    INTO was FROM ${t("guards")} g WHERE g.key = a_key;
  IF was.is_held AND was.holder <> a_nonce THEN
    kind := 'held';
    ${hasty}
    left_ms := extract(epoch FROM was.until - moment) * 1000;
    SELECT l.place INTO mine FROM ${t("line")} l WHERE l.nonce = a_nonce;
    IF mine IS NULL AND a_wait > 0 THEN
      SELECT count(*), max(l.place) AS last INTO was FROM ${t("line")} l WHERE l.guard = a_key;
      IF was.count >= line_max THEN kind := 'full'; RETURN; END IF;
      mine := coalesce(was.last, 0) + 1;
      INSERT INTO ${t("line")} (guard, place, nonce, client, ttl_ms, hold_ms, leaves)
        VALUES (a_key, mine, a_nonce, a_client, a_ttl, a_hold, moment + a_wait * interval '1 ms');
    END IF;
    place := -1;
    IF mine IS NULL THEN RETURN; END IF;
    SELECT count(*) INTO place FROM ${t("line")} l WHERE l.guard = a_key AND l.place < mine;
    RETURN;
  END IF;
  kind := 'opened';
  UPDATE ${t("guards")} g SET token = g.token + CASE WHEN was.is_held THEN 0 ELSE 1 END,
    holder = a_nonce, claimant = NULL, ends = ${hold("a_hold")},
    until = least(moment + a_ttl * interval '1 ms', ${hold("a_hold")})
    WHERE g.key = a_key RETURNING g.token, g.version, g.value INTO token, version, value;
END $body$;

CREATE OR REPLACE FUNCTION ${f("cancel")}(
  a_key bytea, a_birth text, a_nonce text, claim_ms float8, OUT kind text, OUT born text
) ${header}
BEGIN
  kind := 'cancelled';
  UPDATE ${t("guards")} g SET holder = NULL, claimant = NULL
    WHERE g.key = a_key AND g.holder = a_nonce AND g.birth = a_birth;
  -- A statement of its own sees who entered the line while the row was waited for.
  IF FOUND AND NOT EXISTS (SELECT FROM ${t("line")} l WHERE l.guard = a_key) THEN RETURN; END IF;
  SELECT g.birth INTO born FROM ${t("guards")} g WHERE g.key = a_key FOR UPDATE;
  IF born IS DISTINCT FROM a_birth THEN RETURN; END IF;
  DELETE FROM ${t("line")} l WHERE l.nonce = a_nonce;
  UPDATE ${t("guards")} g SET holder = NULL, claimant = NULL WHERE g.key = a_key AND g.holder = a_nonce;
  PERFORM ${f("advance")}(a_key, clock_timestamp(), claim_ms);
END $body$;

CREATE OR REPLACE FUNCTION ${f("renew")}(
  a_key bytea, a_birth text, a_nonce text, a_token bigint, a_ttl float8, OUT kind text
) ${header}
DECLARE moment timestamptz;
BEGIN
  PERFORM FROM ${t("guards")} g WHERE g.key = a_key FOR UPDATE;
  moment := clock_timestamp();
  UPDATE ${t("guards")} g SET until = least(moment + a_ttl * interval '1 ms', g.ends)
    WHERE g.key = a_key AND g.birth = a_birth AND g.holder = a_nonce AND g.token = a_token
    AND g.until > moment;
  kind := CASE WHEN FOUND THEN 'renewed' ELSE 'ended' END;
END $body$;
`;

const createReads = ({ t, f }: Names): string => `
CREATE OR REPLACE FUNCTION ${f("read")}(
  a_key bytea, a_birth text,
  OUT kind text, OUT born text, OUT token bigint, OUT version bigint, OUT value bytea
) ${header}
BEGIN
  SELECT coalesce(g.birth, s.birth), coalesce(g.token, 0), coalesce(g.version, 0), g.value
    INTO born, token, version, value
    FROM ${t("guards")} s LEFT JOIN ${t("guards")} g ON g.key = a_key WHERE s.key = '';
  kind := CASE WHEN born = a_birth THEN 'present' ELSE 'reborn' END;
  born := coalesce(born, '');
END $body$;

-- Who of a client was made the holder and has not come; and where nobody was, its first in the line.
CREATE OR REPLACE FUNCTION ${f("turns")}(a_client text) RETURNS SETOF text LANGUAGE sql AS $body$
  SELECT g.holder FROM ${t("guards")} g WHERE g.claimant = a_client AND g.holder IS NOT NULL
  UNION ALL (
    SELECT DISTINCT ON (l.guard) l.nonce FROM ${t("line")} l JOIN ${t("guards")} g ON g.key = l.guard
    WHERE l.client = a_client AND (g.holder IS NULL OR g.until <= clock_timestamp())
    ORDER BY l.guard, l.place
  )
$body$;
`;

const createCommit = ({ t, f }: Names): string => `
CREATE OR REPLACE FUNCTION ${f("commit")}(
  keys bytea[], nonces text[], tokens bigint[], versions_seen bigint[], values_new bytea[],
  a_birth text, a_operation bytea,
  OUT kind text, OUT born text, OUT versions text, OUT part int, OUT installed bigint, OUT forgotten boolean
) ${header}
DECLARE one record; granted boolean := false; known boolean := false; left_versions bigint[] := versions_seen;
  version bigint;
BEGIN
  -- Most often it is one, and goes through. A version that is the expected one, also when the row was waited
  -- for, has seen no other write: so all ids of writes before it were there when this statement began.
  IF cardinality(keys) = 1 AND values_new[1] IS NOT NULL THEN
    UPDATE ${t("guards")} g SET value = values_new[1], version = g.version + 1
      WHERE g.key = keys[1] AND g.birth = a_birth AND g.holder = nonces[1] AND g.token = tokens[1]
      AND g.version = versions_seen[1] AND NOT EXISTS (
        SELECT FROM ${t("operations")} o WHERE o.guard = keys[1] AND o.operation = a_operation)
      RETURNING g.version INTO version;
    IF FOUND THEN
      ${remember(t, "keys[1]", "NULL")}
      kind := 'committed'; versions := version::text;
      RETURN;
    END IF;
  END IF;
  -- In one order for all, so that no two commits wait for each other.
  PERFORM FROM ${t("guards")} g WHERE g.key = ANY(keys) ORDER BY g.key FOR UPDATE;
  forgotten := false;
  FOR one IN
    SELECT i, g.version, g.token, g.holder, o.version AS known,
      coalesce(g.birth, (SELECT s.birth FROM ${t("guards")} s WHERE s.key = ''), '') AS birth,
      values_new[i] IS NOT NULL AS writes
    FROM generate_subscripts(keys, 1) i LEFT JOIN ${t("guards")} g ON g.key = keys[i]
    LEFT JOIN ${t("operations")} o
      ON o.guard = keys[i] AND o.operation = a_operation AND values_new[i] IS NOT NULL
    ORDER BY i
  LOOP
    IF one.birth <> a_birth THEN kind := 'reborn'; born := one.birth; RETURN; END IF;
    known := known OR one.known IS NOT NULL;
    left_versions[one.i] := coalesce(one.known, versions_seen[one.i] + one.writes::int);
    forgotten := forgotten
      OR one.writes AND one.version - ${operationsRemembered} > versions_seen[one.i];
    -- A fence that is not the installed one says more than a version that moved.
    IF (one.holder, one.token) IS DISTINCT FROM (nonces[one.i], tokens[one.i]) THEN
      IF kind IS DISTINCT FROM 'stale' THEN
        kind := 'stale'; part := one.i - 1;
        installed := CASE WHEN one.holder IS NULL THEN 0 ELSE one.token END;
      END IF;
    ELSIF one.version <> versions_seen[one.i] AND kind IS NULL THEN
      kind := 'moved'; part := one.i - 1; installed := one.token;
    END IF;
  END LOOP;
  versions := array_to_string(left_versions, ',');
  IF kind IS NOT NULL AND NOT known THEN ${hasty} RETURN; END IF;
  kind := 'committed';
  IF known THEN RETURN; END IF;
  FOR i IN 1 .. cardinality(keys) LOOP
    IF values_new[i] IS NOT NULL THEN
      PERFORM ${f("write")}(keys[i], values_new[i], a_operation, NULL);
    END IF;
  END LOOP;
END $body$;
`;

const createCompareAndSet = ({ t, f }: Names): string => `
CREATE OR REPLACE FUNCTION ${f("compare_and_set")}(
  a_key bytea, a_birth text, a_resource bytea, expected bigint, a_value bytea, a_operation bytea,
  claim_ms float8,
  OUT kind text, OUT born text, OUT token bigint, OUT version bigint, OUT value bytea,
  OUT part int, OUT installed bigint, OUT forgotten boolean
) ${header}
DECLARE moment timestamptz; granted boolean; was record;
BEGIN
  -- As in a commit, for one that is free and that nobody waits for.
  UPDATE ${t("guards")} g SET value = a_value, version = g.version + 1
    WHERE g.key = a_key AND g.birth = a_birth AND g.version = expected AND ${isFree}
    AND NOT EXISTS (SELECT FROM ${t("line")} l WHERE l.guard = a_key) AND NOT EXISTS (
      SELECT FROM ${t("operations")} o WHERE o.guard = a_key AND o.operation = a_operation)
    RETURNING g.token, g.version INTO token, version;
  IF FOUND THEN
    ${remember(t, "a_key", "NULL")}
    kind := 'written';
    RETURN;
  END IF;
  born := ${f("enter")}(a_key, a_resource, a_birth);
  IF born IS NOT NULL THEN kind := 'reborn'; RETURN; END IF;
  moment := clock_timestamp();
  granted := ${f("advance")}(a_key, moment, claim_ms);
  SELECT g.version, g.token, g.holder, g.holder IS NOT NULL AND g.until > moment AS is_held
    INTO was FROM ${t("guards")} g WHERE g.key = a_key;
  token := was.token;
  SELECT o.version INTO version FROM ${t("operations")} o
    WHERE o.guard = a_key AND o.operation = a_operation;
  IF FOUND THEN kind := 'written'; RETURN; END IF;
  IF was.is_held OR was.version <> expected THEN
    kind := CASE WHEN was.is_held THEN 'held' ELSE 'moved' END; version := was.version;
    SELECT g.value INTO value FROM ${t("guards")} g WHERE g.key = a_key AND NOT was.is_held;
    part := 0;
    installed := CASE WHEN was.holder IS NULL THEN 0 ELSE was.token END;
    forgotten := was.version - ${operationsRemembered} > expected;
    ${hasty}
    RETURN;
  END IF;
  kind := 'written';
  version := ${f("write")}(a_key, a_value, a_operation, NULL);
END $body$;
`;

const createOperate = ({ t, f }: Names): string => `
-- set_value: what to set if nothing is there; without it, an amount is added within bounds.
CREATE OR REPLACE FUNCTION ${f("operate")}(
  a_key bytea, a_birth text, a_resource bytea, a_operation bytea, since bigint, claim_ms float8,
  set_value bytea, amount numeric, least_sum numeric, most_sum numeric,
  OUT kind text, OUT born text, OUT token bigint, OUT version bigint, OUT value bytea,
  OUT part int, OUT installed bigint, OUT forgotten boolean
) ${header}
DECLARE moment timestamptz; granted boolean; was record; digits text; sum numeric;
BEGIN
  born := ${f("enter")}(a_key, a_resource, a_birth);
  IF born IS NOT NULL THEN kind := 'reborn'; RETURN; END IF;
  moment := clock_timestamp();
  granted := ${f("advance")}(a_key, moment, claim_ms);
  SELECT g.version, g.token, g.holder, g.holder IS NOT NULL AND g.until > moment AS is_held
    INTO was FROM ${t("guards")} g WHERE g.key = a_key;
  token := was.token;
  SELECT o.version, coalesce(o.value, set_value, '') INTO version, value FROM ${t("operations")} o
    WHERE o.guard = a_key AND o.operation = a_operation;
  IF FOUND THEN kind := 'applied'; RETURN; END IF;
  version := was.version;
  IF was.version - ${operationsRemembered} > since THEN kind := 'forgotten'; RETURN; END IF;
  IF was.is_held THEN
    kind := 'held'; part := 0; installed := was.token; forgotten := false;
    ${hasty}
    RETURN;
  END IF;
  SELECT g.value INTO value FROM ${t("guards")} g WHERE g.key = a_key;
  IF set_value IS NOT NULL THEN
    IF value IS NOT NULL THEN kind := 'kept'; RETURN; END IF;
    kind := 'applied';
    value := set_value;
    version := ${f("write")}(a_key, value, a_operation, NULL);
    RETURN;
  END IF;
  digits := CASE WHEN value IS NULL THEN '0' ELSE encode(substring(value FOR 21), 'escape') END;
  IF digits !~ '^(0|-?[1-9][0-9]{0,18})$'
    OR digits::numeric NOT BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
    kind := 'no-integer';
    RETURN;
  END IF;
  sum := digits::numeric + amount;
  IF sum BETWEEN greatest(least_sum, -9223372036854775808) AND least(most_sum, 9223372036854775807) THEN
    kind := 'applied';
    value := convert_to(sum::text, 'SQL_ASCII');
    version := ${f("write")}(a_key, value, a_operation, value);
  ELSE
    kind := 'kept';
    value := convert_to(digits, 'SQL_ASCII');
  END IF;
END $body$;
`;
