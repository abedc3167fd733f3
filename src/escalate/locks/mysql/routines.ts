/**
 * The tables and procedures of one prefix in MySQL and MariaDB. Each procedure is one transaction and one
 * step of `fence/guard.ts` and `fence/guard-table.ts`: it locks the row of the guard before it looks at
 * anything else, and what it reads after that lock is what was committed before (READ COMMITTED).
 *
 * Tokens are a column of a row that is never deleted, not AUTO_INCREMENT, which may go back at a restart,
 * and not GET_LOCK, which has no token at all. Time is `SYSDATE`, since `NOW` is when a statement began,
 * in microseconds of UTC: the clocks of summer time step back.
 */
import type { Routine } from "../sql/authority.ts";
import {
  after,
  ascii,
  common,
  endOf,
  enter,
  guardArgs,
  type Names,
  nowUs,
  transaction,
} from "./procedure.ts";
import { createCommit, createWrites } from "./writes.ts";

/** Ends the name of each procedure; a release that changes any counts on, and old and new serve side by side. */
const layout = "3";

/** The name of a procedure. */
export const procedureName = (name: string, routine: Routine | "turns"): string =>
  `${name}_${routine}_${layout}`;

/** Made last, so where it is all procedures are. */
export const lastProcedure = (name: string): string => procedureName(name, "turns");

/** The tables, without which the procedures are nothing. */
export const tablesOf = (name: string): readonly string[] =>
  ["guards", "operations", "line"].map((table) => `${name}_${table}`);

const createTables = ({ t }: Names): readonly string[] => [
  `CREATE TABLE IF NOT EXISTS ${t("guards")} (
  guard VARBINARY(32) PRIMARY KEY COMMENT 'SHA-256 of the resource; empty: the store itself',
  resource VARBINARY(2048) NOT NULL,
  birth ${ascii(64)} NOT NULL,
  value LONGBLOB,
  version BIGINT NOT NULL DEFAULT 0,
  token BIGINT NOT NULL DEFAULT 0,
  holder ${ascii(64)},
  until_us BIGINT NOT NULL DEFAULT 0,
  ends_us BIGINT NOT NULL DEFAULT 0,
  claimant ${ascii(80)} COMMENT 'the client that was made the holder and has not come yet',
  KEY claimant (claimant)
) ENGINE = InnoDB`,
  `CREATE TABLE IF NOT EXISTS ${t("operations")} (
  guard VARBINARY(32) NOT NULL,
  slot SMALLINT NOT NULL COMMENT 'of a ring',
  version BIGINT NOT NULL,
  operation VARBINARY(512) NOT NULL,
  value LONGBLOB,
  PRIMARY KEY (guard, slot)
) ENGINE = InnoDB`,
  `CREATE TABLE IF NOT EXISTS ${t("line")} (
  guard VARBINARY(32) NOT NULL,
  place BIGINT NOT NULL,
  nonce ${ascii(64)} NOT NULL,
  client ${ascii(80)} NOT NULL,
  ttl_ms DOUBLE NOT NULL,
  hold_ms DOUBLE,
  leaves_us BIGINT NOT NULL,
  PRIMARY KEY (guard, place),
  UNIQUE KEY nonce (nonce),
  KEY client (client)
) ENGINE = InnoDB`,
];

/** What runs within the transaction of another. */
const createParts = ({ t, f }: Names): readonly string[] => [
  // Locks the row of a guard, made if need be. Answers the birth that was found if it is another one.
  `CREATE PROCEDURE ${f("enter")}(
  IN a_guard VARBINARY(32), IN a_resource VARBINARY(2048), IN a_birth ${ascii(64)}, OUT born ${ascii(64)}
) SQL SECURITY INVOKER
BEGIN
  DECLARE found_birth ${ascii(64)};
  SELECT birth INTO found_birth FROM ${t("guards")} WHERE guard = a_guard FOR UPDATE;
  IF found_birth IS NULL THEN
    INSERT INTO ${t("guards")} (guard, resource, birth)
      SELECT a_guard, a_resource, s.birth FROM ${t("guards")} s WHERE s.guard = '' AND s.birth = a_birth
      ON DUPLICATE KEY UPDATE token = ${t("guards")}.token;
    SELECT birth INTO found_birth FROM ${t("guards")} WHERE guard = a_guard FOR UPDATE;
  END IF;
  IF found_birth IS NULL THEN
    SELECT birth INTO found_birth FROM ${t("guards")} WHERE guard = '';
    SET found_birth = COALESCE(found_birth, '');
  END IF;
  SET born = NULLIF(found_birth, a_birth);
END`,
  // If the guard is free: makes the first of the line the holder, for as long as it may take to come.
  `CREATE PROCEDURE ${f("advance")}(IN a_guard VARBINARY(32), IN moment BIGINT, IN claim_ms DOUBLE)
SQL SECURITY INVOKER
BEGIN
  DECLARE next_place, next_leaves BIGINT;
  DECLARE next_nonce ${ascii(64)};
  DECLARE next_client ${ascii(80)};
  DECLARE next_ttl, next_hold DOUBLE;
  DECLARE is_over INT DEFAULT 0;
  SELECT COUNT(*) INTO is_over FROM ${t("guards")}
    WHERE guard = a_guard AND holder IS NOT NULL AND until_us > moment;
  WHILE NOT is_over DO
    SET next_place = NULL;
    SELECT place, nonce, client, ttl_ms, hold_ms, leaves_us
      INTO next_place, next_nonce, next_client, next_ttl, next_hold, next_leaves
      FROM ${t("line")} WHERE guard = a_guard ORDER BY place LIMIT 1;
    SET is_over = next_place IS NULL OR next_leaves > moment;
    IF next_place IS NOT NULL THEN
      DELETE FROM ${t("line")} WHERE guard = a_guard AND place = next_place;
      IF is_over THEN
        UPDATE ${t("guards")} SET token = token + 1, holder = next_nonce, claimant = next_client,
          ends_us = ${endOf("next_hold")},
          until_us = LEAST(${after("LEAST(claim_ms, next_ttl)")}, ${endOf("next_hold")})
          WHERE guard = a_guard;
      END IF;
    END IF;
  END WHILE;
END`,
];

const createLeases = (names: Names): readonly string[] => {
  const { t, f } = names;
  return [
    `${transaction(
      `${f("birth")}(IN candidate ${ascii(64)})`,
      `DECLARE o_born ${ascii(64)};`,
      `    INSERT INTO ${t("guards")} (guard, resource, birth) VALUES ('', '', candidate)
      ON DUPLICATE KEY UPDATE token = token;
    SELECT birth INTO o_born FROM ${t("guards")} WHERE guard = '';`,
    )}  SELECT o_born AS born;
END`,
    `${transaction(
      `${f("open")}(
  ${guardArgs}, IN a_resource VARBINARY(2048), IN a_nonce ${ascii(64)}, IN a_client ${ascii(80)},
  IN a_ttl DOUBLE, IN a_hold DOUBLE, IN a_wait DOUBLE, IN claim_ms DOUBLE, IN line_max INT
)`,
      `${common}
  DECLARE o_place, mine, last_place, waiting BIGINT;
  DECLARE o_left DOUBLE;`,
      `${enter(names)}
    IF is_held AND was_holder <> a_nonce THEN
      SET o_kind = 'held', o_place = -1, o_left = (was_until - moment) / 1000;
      SELECT place INTO mine FROM ${t("line")} WHERE nonce = a_nonce;
      IF mine IS NULL AND a_wait > 0 THEN
        SELECT COUNT(*), MAX(place) INTO waiting, last_place FROM ${t("line")} WHERE guard = a_guard;
        IF waiting >= line_max THEN SET o_kind = 'full'; LEAVE step; END IF;
        SET mine = COALESCE(last_place, 0) + 1;
        INSERT INTO ${t("line")} (guard, place, nonce, client, ttl_ms, hold_ms, leaves_us)
          VALUES (a_guard, mine, a_nonce, a_client, a_ttl, a_hold, ${after("a_wait")});
      END IF;
      IF mine IS NOT NULL THEN
        SELECT COUNT(*) INTO o_place FROM ${t("line")} WHERE guard = a_guard AND place < mine;
      END IF;
      LEAVE step;
    END IF;
    SET o_kind = 'opened', o_token = o_token + IF(is_held, 0, 1);
    UPDATE ${t("guards")} SET token = o_token, holder = a_nonce, claimant = NULL,
      ends_us = ${endOf("a_hold")}, until_us = LEAST(${after("a_ttl")}, ${endOf("a_hold")})
      WHERE guard = a_guard;
    SELECT value INTO o_value FROM ${t("guards")} WHERE guard = a_guard;`,
    )}  SELECT o_kind AS kind, o_born AS born, o_token AS token, o_version AS version, o_value AS value,
    o_place AS place, o_left AS left_ms;
END`,
    `${transaction(
      `${f("cancel")}(${guardArgs}, IN a_nonce ${ascii(64)}, IN claim_ms DOUBLE)`,
      `DECLARE found_birth ${ascii(64)};
  DECLARE is_mine, is_waited INT DEFAULT 0;`,
      `    SELECT birth, holder <=> a_nonce INTO found_birth, is_mine
      FROM ${t("guards")} WHERE guard = a_guard FOR UPDATE;
    IF NOT (found_birth <=> a_birth) THEN LEAVE step; END IF;
    -- Who holds stands in no line.
    IF is_mine THEN
      UPDATE ${t("guards")} SET holder = NULL, claimant = NULL WHERE guard = a_guard;
    ELSE
      DELETE FROM ${t("line")} WHERE nonce = a_nonce;
    END IF;
    SELECT EXISTS (SELECT 1 FROM ${t("line")} WHERE guard = a_guard) INTO is_waited;
    IF is_waited THEN CALL ${f("advance")}(a_guard, ${nowUs}, claim_ms); END IF;`,
    )}  SELECT 'cancelled' AS kind;
END`,
    `${transaction(
      `${f("renew")}(${guardArgs}, IN a_nonce ${ascii(64)}, IN a_token BIGINT, IN a_ttl DOUBLE)`,
      "DECLARE moment BIGINT; DECLARE lives INT DEFAULT 0;",
      `    SELECT 0 INTO lives FROM ${t("guards")} WHERE guard = a_guard FOR UPDATE;
    SET moment = ${nowUs};
    SELECT COUNT(*) INTO lives FROM ${t("guards")} WHERE guard = a_guard AND birth = a_birth
      AND holder = a_nonce AND token = a_token AND until_us > moment;
    IF lives THEN
      UPDATE ${t("guards")} SET until_us = LEAST(${after("a_ttl")}, ends_us) WHERE guard = a_guard;
    END IF;`,
    )}  SELECT IF(lives, 'renewed', 'ended') AS kind;
END`,
  ];
};

const createReads = ({ t, f }: Names): readonly string[] => [
  `${transaction(
    `${f("read")}(${guardArgs})`,
    common,
    `    SELECT COALESCE(g.birth, s.birth), COALESCE(g.token, 0), COALESCE(g.version, 0), g.value
      INTO o_born, o_token, o_version, o_value
      FROM ${t("guards")} s LEFT JOIN ${t("guards")} g ON g.guard = a_guard WHERE s.guard = '';`,
  )}  SELECT IF(o_born <=> a_birth, 'present', 'reborn') AS kind, COALESCE(o_born, '') AS born,
    o_token AS token, o_version AS version, o_value AS value;
END`,
  // Waits until it is somebody's turn, or nobody of the client stands in line, or long enough. Who of a client was made the holder and has not
  // come; and where nobody was, its first in the line.
  `CREATE PROCEDURE ${f("turns")}(IN a_client ${ascii(80)}, IN wait_s DOUBLE) SQL SECURITY INVOKER
BEGIN
  DECLARE nonces LONGTEXT CHARACTER SET ascii;
  DECLARE until_us BIGINT DEFAULT ${nowUs} + CAST(wait_s * 1000000 AS SIGNED);
  DECLARE looks, standing INT DEFAULT 0;
  REPEAT
    IF looks > 0 THEN DO SLEEP(LEAST(0.05, 0.004 + looks / 1000)); END IF;
    SET looks = looks + 1;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    START TRANSACTION READ ONLY;
    SELECT GROUP_CONCAT(x.nonce) INTO nonces FROM (
      SELECT g.holder AS nonce FROM ${t("guards")} g WHERE g.claimant = a_client AND g.holder IS NOT NULL
      UNION ALL
      SELECT l.nonce FROM ${t("line")} l JOIN ${t("guards")} g ON g.guard = l.guard
        WHERE l.client = a_client AND (g.holder IS NULL OR g.until_us <= ${nowUs})
        AND l.place = (SELECT MIN(m.place) FROM ${t("line")} m
          WHERE m.guard = l.guard AND m.client = a_client)
    ) x;
    SELECT COUNT(*) INTO standing FROM ${t("line")} WHERE client = a_client;
    COMMIT;
  UNTIL nonces IS NOT NULL OR standing = 0 OR ${nowUs} >= until_us END REPEAT;
  SELECT nonces;
END`,
];

/** Statements that make everything, one by one; what is there already may be refused. */
export function createAll(name: string): readonly string[] {
  const names: Names = {
    t: (table) => `${name}_${table}`,
    f: (routine) => `${name}_${routine}_${layout}`,
  };
  const creates = [
    createTables,
    createParts,
    createLeases,
    createCommit,
    createWrites,
    createReads,
  ];
  return creates.flatMap((create) => create(names));
}
