/**
 * What Redis does in one step: the guard of `fence/guard.ts`, as scripts. All keys of a prefix are in
 * one hash slot, so a script may touch several resources, and the counter that all tokens come from.
 *
 * A resource is one hash: `b` birth of the store, `v` version, `d` value, `f` the largest token granted,
 * `n` `u` `e` nonce (empty: nobody's), end and last end of the lease, in µs of the server's clock, and the ids of the latest
 * writes: `o<id>` says which version it left, `s<version mod 128>` which id to forget. Numbers beyond 2^53
 * stay text, since Lua has only doubles.
 *
 * Nothing runs by itself when a lease ends. So each script that finds no holder makes the first of the
 * line the holder, for as long as it takes to come and say so, and tells that one alone.
 */
import { createHash } from "node:crypto";
import { operationsRemembered } from "../../locks.ts";
import { lineMax } from "../../fence/guard-table.ts";

/** A script, and the hash by which Redis knows it. */
export interface Script {
  readonly source: string;
  readonly sha: string;
}

/** Guards that were only locked, and lines of nobody, are kept so long after their end, in ms. */
export const idleMs = 60_000;

/** What all scripts of a guard have. Whatever takes time is done only by those who need it. */
const shared = `
local birth = ARGV[1]

local nowUs
local function now()
  if not nowUs then
    local clock = redis.call('TIME')
    nowUs = clock[1] * 1000000 + clock[2]
  end
  return nowUs
end

local function whole(number) return string.format('%.0f', number) end

-- With other fields of the same hash, if any are named.
local function load(key, ...)
  local found = redis.call('HMGET', key, 'b', 'v', 'f', 'n', 'u', 'e', ...)
  local guard = { birth = found[1], version = found[2] or '0', token = found[3] or '0',
    nonce = found[4] ~= '' and found[4] }
  if guard.nonce then guard.untilUs, guard.endUs = tonumber(found[5]), tonumber(found[6]) end
  return guard, found[7], found[8]
end

local function isHeld(guard) return guard.nonce and now() < guard.untilUs end

-- A guard of the birth that is known says enough: it would not be there in another store.
local function reborn(guard)
  if guard.birth == birth then return end
  local found = redis.call('GET', KEYS[1]) or 'nothing'
  if found ~= birth then return { 'reborn', found } end
  if guard.birth then return { 'reborn', guard.birth } end
end
`;

/** For scripts that write. */
const writing = `
local function hasForgotten(guard, since)
  return tonumber(guard.version) - ${operationsRemembered} > tonumber(since)
end

local function refuse(kind, index, guard, isForgotten)
  return { kind, index, guard.nonce and guard.token or '0', isForgotten and 1 or 0 }
end

-- Where the version after this one remembers its id.
local function slotAfter(version) return 's' .. (version + 1) % ${operationsRemembered} end

-- 'forgotten' is what was in its slot.
local function write(key, guard, value, id, forgotten, told)
  local version = tonumber(guard.version) + 1
  local after, slot = whole(version), slotAfter(version - 1)
  if forgotten then redis.call('HDEL', key, 'o' .. forgotten) end
  if not guard.birth then
    -- First what is always read: small hashes are searched from the front.
    redis.call('HSET', key, 'b', birth, 'v', after, 'f', '0', 'n', '', 'u', '0', 'e', '0')
  end
  redis.call('HSET', key, 'v', after, 'd', value, slot, id,
    'o' .. id, told and after .. ':' .. told or after)
  if version == 1 then redis.call('PERSIST', key) end
  return after
end
`;

/** For scripts of one resource: its keys, the line, and how a turn comes. */
const lined = `
local guardKey, lineKey, waitersKey, counterKey = KEYS[2], KEYS[3], KEYS[4], KEYS[5]

-- Decimal integers of any size.
local function isLess(a, b)
  local isNegative = a:sub(1, 1) == '-'
  if isNegative ~= (b:sub(1, 1) == '-') then return isNegative end
  if isNegative then a, b = b:sub(2), a:sub(2) end
  if #a ~= #b then return #a < #b end
  return a < b
end

local function keepUnwritten(guard, untilUs)
  if guard.version == '0' then
    redis.call('PEXPIRE', guardKey, whole((untilUs - now()) / 1000 + ${idleMs}))
  end
end

local function tokenAbove(seen)
  local token = redis.call('INCR', counterKey)
  token = token < 2 ^ 53 and whole(token) or redis.call('GET', counterKey)
  if isLess(seen, token) then return token end
  redis.call('SET', counterKey, seen)
  redis.call('INCR', counterKey)
  return redis.call('GET', counterKey)
end

local function grant(guard, nonce, ttlUs, holdUs)
  if not isHeld(guard) then guard.token = tokenAbove(guard.token) end
  guard.nonce, guard.endUs = nonce, now() + holdUs
  guard.untilUs = math.min(now() + ttlUs, guard.endUs)
  redis.call('HSET', guardKey, 'b', birth, 'f', guard.token, 'n', nonce,
    'u', whole(guard.untilUs), 'e', whole(guard.endUs))
  keepUnwritten(guard, guard.untilUs)
end

local function advance(guard, claimUs, asking)
  while not isHeld(guard) do
    local first = redis.call('ZRANGE', lineKey, 0, 0)[1]
    if not first then return end
    local waiter = redis.call('HGET', waitersKey, first) or ''
    redis.call('ZREM', lineKey, first)
    redis.call('HDEL', waitersKey, first)
    local ttlUs, holdUs, leaveUs, channel = waiter:match('^(%d+) (%d+) (%d+) (.+)$')
    -- Who has no connection to be told by is gone, or will ask again.
    if channel and tonumber(leaveUs) > now()
      and (first == asking or redis.call('PUBLISH', channel, first) > 0) then
      grant(guard, first, math.min(tonumber(ttlUs), claimUs), tonumber(holdUs))
    end
  end
end
`;

/** A script of these parts. */
export const script = (...parts: readonly string[]): Script => {
  const source = parts.join("");
  return { source, sha: createHash("sha1").update(source).digest("hex") };
};

/** Draws the birth of the store, if it has none, from what the client drew. */
const birth = script(`
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
`);

/** `birth nonce ttlUs holdUs waitUs claimUs channel` */
const open = script(
  shared,
  lined,
  `
local nonce, ttlUs, holdUs, waitUs = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local guard = load(guardKey)
local other = reborn(guard)
if other then return other end
advance(guard, tonumber(ARGV[6]), nonce)
if not isHeld(guard) or guard.nonce == nonce then
  grant(guard, nonce, ttlUs, holdUs)
  return { 'opened', guard.token, guard.version, redis.call('HGET', guardKey, 'd') }
end
if waitUs > 0 and not redis.call('ZSCORE', lineKey, nonce) then
  if redis.call('ZCARD', lineKey) >= ${lineMax} then return { 'full' } end
  local last = redis.call('ZRANGE', lineKey, -1, -1, 'WITHSCORES')[2] or 0
  redis.call('ZADD', lineKey, whole(last + 1), nonce)
  redis.call('HSET', waitersKey, nonce,
    ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. whole(now() + waitUs) .. ' ' .. ARGV[7])
  local keepMs = waitUs / 1000 + ${idleMs}
  if redis.call('PTTL', lineKey) < keepMs then
    redis.call('PEXPIRE', lineKey, whole(keepMs))
    redis.call('PEXPIRE', waitersKey, whole(keepMs))
  end
end
return { 'held', redis.call('ZRANK', lineKey, nonce) or -1, whole((guard.untilUs - now()) / 1000) }
`,
);

/** `birth nonce claimUs` */
const cancel = script(
  shared,
  lined,
  `
local nonce = ARGV[2]
local guard = load(guardKey)
if guard.nonce == nonce then
  -- The place of the field is kept, since small hashes are searched from the front.
  redis.call('HSET', guardKey, 'n', '')
  guard.nonce = false
else
  -- Who holds stands in no line.
  redis.call('ZREM', lineKey, nonce)
  redis.call('HDEL', waitersKey, nonce)
end
if not reborn(guard) then advance(guard, tonumber(ARGV[3]), nonce) end
-- What says nothing need not be kept: tokens come from the one counter.
if guard.version == '0' and not guard.nonce then redis.call('DEL', guardKey) end
return 1
`,
);

/** `birth nonce token ttlUs` */
const renew = script(
  shared,
  lined,
  `
local guard = load(guardKey)
if reborn(guard) or not isHeld(guard) then return 0 end
if guard.nonce ~= ARGV[2] or guard.token ~= ARGV[3] then return 0 end
local untilUs = math.min(now() + tonumber(ARGV[4]), guard.endUs)
redis.call('HSET', guardKey, 'u', whole(untilUs))
keepUnwritten(guard, untilUs)
return 1
`,
);

/** `birth` */
const read = script(
  shared,
  `
local guard, value = load(KEYS[2], 'd')
return reborn(guard) or { 'present', guard.token, guard.version, value }
`,
);

/** `birth operationId`, then of each part `token nonce version writes value`. */
const commit = script(
  shared,
  writing,
  `
local id, parts, isKnown, isForgotten = ARGV[2], {}, false, false
for i = 1, #KEYS - 1 do
  local at = 5 * i - 2
  local part = { key = KEYS[i + 1], token = ARGV[at], nonce = ARGV[at + 1], version = ARGV[at + 2],
    writes = ARGV[at + 3] == '1', value = ARGV[at + 4] }
  local guard, known, slot = load(part.key, 'o' .. id, slotAfter(part.version))
  part.guard, part.slot = guard, slot
  local other = reborn(guard)
  if other then return other end
  if part.writes then
    part.known = known
    isKnown = isKnown or part.known
    isForgotten = isForgotten or hasForgotten(part.guard, part.version)
  end
  parts[i] = part
end
local reply = { 'committed' }
if isKnown then
  for i, part in ipairs(parts) do
    reply[i + 1] = part.known or (part.writes and whole(part.version + 1) or part.version)
  end
  return reply
end
for i, part in ipairs(parts) do
  if part.guard.nonce ~= part.nonce or part.guard.token ~= part.token then
    return refuse('stale', i - 1, part.guard, isForgotten)
  end
end
for i, part in ipairs(parts) do
  if part.guard.version ~= part.version then return refuse('moved', i - 1, part.guard, isForgotten) end
end
for i, part in ipairs(parts) do
  reply[i + 1] = part.writes and write(part.key, part.guard, part.value, id, part.slot) or part.version
end
return reply
`,
);

/** `birth operationId expected value claimUs` */
const compareAndSet = script(
  shared,
  writing,
  lined,
  `
local id, expected = ARGV[2], ARGV[3]
local guard, known, slot = load(guardKey, 'o' .. id, slotAfter(expected))
local other = reborn(guard)
if other then return other end
advance(guard, tonumber(ARGV[5]))
if known then return { 'written', known, guard.token } end
if isHeld(guard) then return refuse('held', 0, guard, hasForgotten(guard, expected)) end
if guard.version ~= expected then
  local reply = refuse('moved', 0, guard, hasForgotten(guard, expected))
  reply[5], reply[6], reply[7] = guard.token, guard.version, redis.call('HGET', guardKey, 'd')
  return reply
end
return { 'written', write(guardKey, guard, ARGV[4], id, slot), guard.token }
`,
);

/** `birth operationId since claimUs kind`, then `by min max` of an add, or the value. */
const operate = script(
  shared,
  writing,
  lined,
  `
-- Sums of decimal integers, in two halves that doubles hold.
local function halves(digits)
  local sign = 1
  if digits:sub(1, 1) == '-' then sign, digits = -1, digits:sub(2) end
  return sign * (tonumber(digits:sub(1, -11)) or 0), sign * tonumber(digits:sub(-10))
end
local function add(a, b)
  local aHigh, aLow = halves(a)
  local bHigh, bLow = halves(b)
  local high, low, limit = aHigh + bHigh, aLow + bLow, 1e10
  if low >= limit then high, low = high + 1, low - limit end
  if low <= -limit then high, low = high - 1, low + limit end
  if high > 0 and low < 0 then high, low = high - 1, low + limit end
  if high < 0 and low > 0 then high, low = high + 1, low - limit end
  if high == 0 then return whole(low + 0) end
  return whole(high) .. string.format('%010.0f', math.abs(low))
end
local function isInteger(digits, min, max)
  if digits ~= '0' and not digits:match('^%-?[1-9]%d*$') then return false end
  return not isLess(digits, min) and not isLess(max, digits)
end

local id = ARGV[2]
local guard, known, value = load(guardKey, 'o' .. id, 'd')
local other = reborn(guard)
if other then return other end
advance(guard, tonumber(ARGV[4]))
local function operated(isApplied, version, value)
  return { 'operated', isApplied and 1 or 0, version, value, guard.token }
end
if known then
  local version, sum = known:match('^(%d+):?(.*)$')
  return operated(true, version, ARGV[5] == 'add' and sum or ARGV[6])
end
if hasForgotten(guard, ARGV[3]) then return { 'forgotten', guard.version } end
if isHeld(guard) then return refuse('held', 0, guard, false) end
local function forgotten() return redis.call('HGET', guardKey, slotAfter(guard.version)) end
if ARGV[5] ~= 'add' then
  if value then return operated(false, guard.version, value) end
  return operated(true, write(guardKey, guard, ARGV[6], id, forgotten()), ARGV[6])
end
value = value or '0'
if not isInteger(value, '-9223372036854775808', '9223372036854775807') then return { 'no-integer' } end
local sum = add(value, ARGV[6])
if isLess(sum, ARGV[7]) or isLess(ARGV[8], sum) then return operated(false, guard.version, value) end
return operated(true, write(guardKey, guard, sum, id, forgotten(), sum), sum)
`,
);

/** What each is for is said in `fence/authority.ts`. */
export type RedisScriptName =
  | "birth"
  | "open"
  | "cancel"
  | "renew"
  | "read"
  | "commit"
  | "compareAndSet"
  | "operate";

/** All of them. */
export const redisScripts: Readonly<Record<RedisScriptName, Script>> = {
  birth,
  open,
  cancel,
  renew,
  read,
  commit,
  compareAndSet,
  operate,
};
