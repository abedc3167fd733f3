/** What the procedures in MySQL and MariaDB have in common: each is one transaction on the row of a guard. */
import { operationsRemembered } from "../../locks.ts";

/** No wait for a row may be longer, in s: who asked has given up by then. */
const lockSeconds = 2;

/** Of what a statement names: tables, and procedures that run within another's transaction. */
export interface Names {
  readonly t: (table: string) => string;
  readonly f: (routine: string) => string;
}

/** The type of short text. */
export const ascii = (characters: number): string =>
  `VARCHAR(${characters}) CHARACTER SET ascii COLLATE ascii_bin`;

/** The time in microseconds. */
export const nowUs: string = `(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', SYSDATE(6))
    + TIMESTAMPDIFF(SECOND, NOW(), UTC_TIMESTAMP()) * 1000000)`;

/** So far away that nothing is later. */
const neverUs = "9000000000000000000";

/** When no renewal helps any more, as of `moment`. */
export const endOf = (holdMs: string): string =>
  `IF(${holdMs} IS NULL, ${neverUs}, moment + CAST(${holdMs} * 1000 AS SIGNED))`;

/** So much later than `moment`. */
export const after = (ms: string): string => `moment + CAST(${ms} * 1000 AS SIGNED)`;

/** A procedure that is a transaction: whatever goes wrong, nothing of it stays. */
export const transaction = (head: string, declare: string, body: string): string => `
CREATE PROCEDURE ${head} SQL SECURITY INVOKER
BEGIN
  DECLARE lock_wait INT DEFAULT @@innodb_lock_wait_timeout;
  ${declare}
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    ROLLBACK;
    SET SESSION innodb_lock_wait_timeout = lock_wait;
    RESIGNAL;
  END;
  SET SESSION innodb_lock_wait_timeout = ${lockSeconds};
  SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
  START TRANSACTION;
  step: BEGIN
${body}
  END step;
  COMMIT;
  SET SESSION innodb_lock_wait_timeout = lock_wait;
`;

/** What every step of one guard takes. */
export const guardArgs: string = `IN a_guard VARBINARY(32), IN a_birth ${ascii(64)}`;
/** What every step of one guard declares. */
export const common: string = `
  DECLARE o_kind, o_born ${ascii(64)};
  DECLARE o_token, o_version, moment BIGINT DEFAULT 0;
  DECLARE o_value LONGBLOB;
  DECLARE o_installed BIGINT DEFAULT 0;
  DECLARE o_forgotten, is_held INT DEFAULT 0;
  DECLARE was_holder ${ascii(64)};
  DECLARE was_until BIGINT;
  DECLARE known_version BIGINT;
  DECLARE found_birth ${ascii(64)};
  DECLARE is_waited INT DEFAULT 0;`;

/** The version that the id of a write has left, if it is remembered; a part of a SELECT. */
export const knownVersion = ({ t }: Names, guard: string): string =>
  `(SELECT o.version FROM ${t("operations")} o
        WHERE o.guard = ${guard} AND o.operation = a_operation LIMIT 1)`;

/** A guard whose row is locked, and that is at `o_version`, moves on. */
export const write = ({ t }: Names, guard: string, value: string, remembered: string): string => `
    SET o_version = o_version + 1;
    UPDATE ${t("guards")} SET value = ${value}, version = o_version WHERE guard = ${guard};
    INSERT INTO ${t("operations")} (guard, slot, version, operation, value)
      VALUES (${guard}, o_version MOD ${operationsRemembered}, o_version, a_operation, ${remembered})
      ON DUPLICATE KEY UPDATE version = o_version, operation = a_operation, value = ${remembered};`;

/**
 * Locks the guard, hands it to the next in line if it is free, and reads it. Most often it is there and nobody
 * is to come: one statement. What its inner ones overlook, if they looked before it had waited for the row,
 * came later than this.
 */
export const enter = (
  { t, f }: Names,
  known: { readonly into: string; readonly from: string } = { into: "", from: "" },
): string => `
    SELECT g.birth, g.token, g.version, g.holder, g.until_us,
        EXISTS (SELECT 1 FROM ${t("line")} l WHERE l.guard = a_guard)${known.from}
      INTO found_birth, o_token, o_version, was_holder, was_until, is_waited${known.into}
      FROM ${t("guards")} g WHERE g.guard = a_guard FOR UPDATE;
    SET moment = ${nowUs};
    SET is_held = was_holder IS NOT NULL AND was_until > moment;
    IF NOT (found_birth <=> a_birth) OR (is_waited AND NOT is_held) THEN
      CALL ${f("enter")}(a_guard, a_resource, a_birth, o_born);
      IF o_born IS NOT NULL THEN SET o_kind = 'reborn'; LEAVE step; END IF;
      SET moment = ${nowUs};
      CALL ${f("advance")}(a_guard, moment, claim_ms);
      SELECT token, version, holder, until_us, holder IS NOT NULL AND until_us > moment
        INTO o_token, o_version, was_holder, was_until, is_held
        FROM ${t("guards")} WHERE guard = a_guard;
    END IF;
    SET o_installed = IF(was_holder IS NULL, 0, o_token);`;
