/** The procedures that write values. */
import { operationsRemembered } from "../../locks.ts";
import {
  ascii,
  common,
  enter,
  guardArgs,
  knownVersion,
  type Names,
  transaction,
  write,
} from "./procedure.ts";

const item = (list: string, i: string): string =>
  `SUBSTRING_INDEX(SUBSTRING_INDEX(${list}, ',', ${i}), ',', -1)`;

/** Most often it is one, and goes through. */
const commitOne = (names: Names): string => `
    IF parts = 1 AND lengths <> '-' THEN
      SET one_guard = UNHEX(guards);
      SELECT g.birth, g.holder, g.token, g.version, ${knownVersion(names, "one_guard")}
        INTO found_birth, was_holder, o_token, o_version, known_version
        FROM ${names.t("guards")} g WHERE g.guard = one_guard FOR UPDATE;
      IF found_birth <=> a_birth AND was_holder <=> nonces AND o_token = tokens AND o_version = seen
        AND known_version IS NULL THEN
        ${write(names, "one_guard", "contents", "NULL")}
        SET o_kind = 'committed', o_versions = o_version;
        LEAVE step;
      END IF;
    END IF;`;

/** Lists are joined by commas, values one after the other with their lengths beside; `-`: only checked. */
export const createCommit = (names: Names): readonly string[] => {
  const { t, f } = names;
  return [
    `${transaction(
      `${f("commit")}(
  IN parts INT, IN locking TEXT CHARACTER SET ascii, IN guards TEXT CHARACTER SET ascii,
  IN nonces TEXT CHARACTER SET ascii, IN tokens TEXT CHARACTER SET ascii,
  IN seen TEXT CHARACTER SET ascii, IN lengths TEXT CHARACTER SET ascii, IN contents LONGBLOB,
  IN a_birth ${ascii(64)}, IN a_operation VARBINARY(512)
)`,
      `${common}
  DECLARE i, o_part, is_known, writes, found INT DEFAULT 0;
  DECLARE at_byte BIGINT DEFAULT 1;
  DECLARE o_versions TEXT CHARACTER SET ascii;
  DECLARE one_guard VARBINARY(32);
  DECLARE one_birth ${ascii(64)};
  DECLARE one_seen BIGINT;`,
      `${commitOne(names)}
    -- In one order for all, so that no two commits wait for each other.
    WHILE i < parts DO
      SET i = i + 1;
      SET one_guard = UNHEX(${item("guards", item("locking", "i"))});
      SELECT 1 INTO found FROM ${t("guards")} WHERE guard = one_guard FOR UPDATE;
    END WHILE;
    SET i = 0;
    WHILE i < parts DO
      SET i = i + 1;
      SET one_guard = UNHEX(${item("guards", "i")}), one_seen = ${item("seen", "i")},
        writes = ${item("lengths", "i")} <> '-';
      SET one_birth = NULL, was_holder = NULL, o_version = 0, o_token = 0, known_version = NULL;
      SELECT birth, holder, version, token INTO one_birth, was_holder, o_version, o_token
        FROM ${t("guards")} WHERE guard = one_guard;
      IF one_birth IS NULL THEN SELECT birth INTO one_birth FROM ${t("guards")} WHERE guard = ''; END IF;
      IF NOT (one_birth <=> a_birth) THEN
        SET o_kind = 'reborn', o_born = COALESCE(one_birth, '');
        LEAVE step;
      END IF;
      IF writes THEN
        SELECT version INTO known_version FROM ${t("operations")}
          WHERE guard = one_guard AND operation = a_operation LIMIT 1;
        SET o_forgotten = o_forgotten OR o_version - ${operationsRemembered} > one_seen;
      END IF;
      SET is_known = is_known OR known_version IS NOT NULL;
      SET o_versions = CONCAT_WS(',', o_versions, COALESCE(known_version, one_seen + writes));
      -- A fence that is not the installed one says more than a version that moved.
      IF NOT (was_holder <=> ${item("nonces", "i")} AND o_token = ${item("tokens", "i")}) THEN
        IF NOT (o_kind <=> 'stale') THEN
          SET o_kind = 'stale', o_part = i - 1, o_installed = IF(was_holder IS NULL, 0, o_token);
        END IF;
      ELSEIF o_version <> one_seen AND o_kind IS NULL THEN
        SET o_kind = 'moved', o_part = i - 1, o_installed = o_token;
      END IF;
    END WHILE;
    IF is_known THEN SET o_kind = NULL; END IF;
    IF o_kind IS NOT NULL THEN LEAVE step; END IF;
    SET o_kind = 'committed', i = IF(is_known, parts, 0);
    WHILE i < parts DO
      SET i = i + 1;
      IF ${item("lengths", "i")} <> '-' THEN
        SET one_guard = UNHEX(${item("guards", "i")});
        SELECT version INTO o_version FROM ${t("guards")} WHERE guard = one_guard;
        ${write(names, "one_guard", `SUBSTRING(contents, at_byte, ${item("lengths", "i")})`, "NULL")}
        SET at_byte = at_byte + ${item("lengths", "i")};
      END IF;
    END WHILE;`,
    )}  SELECT o_kind AS kind, o_born AS born, o_versions AS versions, o_part AS part,
    o_installed AS installed, o_forgotten AS forgotten;
END`,
  ];
};

/** Writes without a lease. */
export const createWrites = (names: Names): readonly string[] => [
  `${transaction(
    `${names.f("compare_and_set")}(
  ${guardArgs}, IN a_resource VARBINARY(2048), IN expected BIGINT, IN a_value LONGBLOB,
  IN a_operation VARBINARY(512), IN claim_ms DOUBLE
)`,
    common,
    `${enter(names, { into: ", known_version", from: `, ${knownVersion(names, "a_guard")}` })}
    IF known_version IS NULL AND (is_held OR o_version <> expected) THEN
      -- Again, by a statement that surely began after the row was locked: a refusal must be right.
      SELECT version INTO known_version FROM ${names.t("operations")}
        WHERE guard = a_guard AND operation = a_operation LIMIT 1;
      IF known_version IS NULL THEN
        SET o_kind = IF(is_held, 'held', 'moved');
        SET o_forgotten = o_version - ${operationsRemembered} > expected;
        IF NOT is_held THEN
          SELECT value INTO o_value FROM ${names.t("guards")} WHERE guard = a_guard;
        END IF;
        LEAVE step;
      END IF;
    END IF;
    IF known_version IS NOT NULL THEN
      SET o_kind = 'written', o_version = known_version;
      LEAVE step;
    END IF;
    SET o_kind = 'written';
    ${write(names, "a_guard", "a_value", "NULL")}`,
  )}  SELECT o_kind AS kind, o_born AS born, o_token AS token, o_version AS version, o_value AS value,
    0 AS part, o_installed AS installed, o_forgotten AS forgotten;
END`,
  // set_value: what to set if nothing is there; without it, an amount is added within bounds.
  `${transaction(
    `${names.f("operate")}(
  ${guardArgs}, IN a_resource VARBINARY(2048), IN a_operation VARBINARY(512), IN since BIGINT,
  IN claim_ms DOUBLE, IN set_value LONGBLOB, IN amount DECIMAL(65, 0), IN least_sum DECIMAL(65, 0),
  IN most_sum DECIMAL(65, 0)
)`,
    `${common}
  DECLARE digits VARCHAR(21) CHARACTER SET latin1;
  DECLARE total DECIMAL(65, 0);`,
    `${enter(names)}
    SELECT version, COALESCE(value, set_value, '') INTO known_version, o_value
      FROM ${names.t("operations")} WHERE guard = a_guard AND operation = a_operation LIMIT 1;
    IF known_version IS NOT NULL THEN
      SET o_kind = 'applied', o_version = known_version;
      LEAVE step;
    END IF;
    IF o_version - ${operationsRemembered} > since THEN SET o_kind = 'forgotten'; LEAVE step; END IF;
    IF is_held THEN SET o_kind = 'held'; LEAVE step; END IF;
    SELECT value INTO o_value FROM ${names.t("guards")} WHERE guard = a_guard;
    IF set_value IS NOT NULL THEN
      SET o_kind = IF(o_value IS NULL, 'applied', 'kept');
      IF o_value IS NULL THEN
        SET o_value = set_value;
        ${write(names, "a_guard", "o_value", "NULL")}
      END IF;
      LEAVE step;
    END IF;
    SET digits = IF(o_value IS NULL, '0', CONVERT(LEFT(o_value, 21) USING latin1));
    -- The point keeps a line break at the end from being overlooked.
    IF CONCAT(digits, '.') NOT REGEXP '^(0|-?[1-9][0-9]{0,18})[.]$' THEN
      SET o_kind = 'no-integer';
      LEAVE step;
    END IF;
    SET total = digits;
    IF total NOT BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
      SET o_kind = 'no-integer';
      LEAVE step;
    END IF;
    SET total = total + amount;
    IF total BETWEEN GREATEST(least_sum, -9223372036854775808) AND LEAST(most_sum, 9223372036854775807) THEN
      SET o_kind = 'applied', o_value = CAST(total AS CHAR);
      ${write(names, "a_guard", "o_value", "o_value")}
    ELSE
      SET o_kind = 'kept', o_value = digits;
    END IF;`,
  )}  SELECT o_kind AS kind, o_born AS born, o_token AS token, o_version AS version, o_value AS value,
    0 AS part, o_installed AS installed, o_forgotten AS forgotten;
END`,
];
