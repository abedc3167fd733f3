/**
 * What one master of several does in one step. It knows nothing of the others: it lets one nonce at a
 * time own a resource, keeps the largest token it was told, and keeps the latest state that an owner
 * proposed under its token. What a majority of such masters amounts to is said in `redlock-authority.ts`.
 *
 * A resource is one hash: `n` `a` `c` owner, which of its attempts, and the number of its lock, `k` whether
 * for a lease or a brief write, `u` `e` end and last end in µs, `r` that it was given back, `f` the token
 * that the owner promised,
 * `m` and `l` the largest promised of all and by leases; `d` the accepted state, `at` `as` `an` its ballot:
 * token, number and nonce.
 */
import { idleMs, script, type Script } from "../redis/scripts.ts";

const shared = `
local birth = ARGV[1]
local clock = redis.call('TIME')
local nowUs = clock[1] * 1000000 + clock[2]

local function whole(number) return string.format('%.0f', number) end

local function isLess(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end
local function larger(a, b) if isLess(a, b) then return b end return a end

local function reborn()
  local found = redis.call('GET', KEYS[1]) or 'nothing'
  if found ~= birth then return { 'reborn', found } end
end

local function load(key)
  local found = redis.call('HMGET', key, 'n', 'a', 'k', 'u', 'e', 'r', 'f', 'm', 'l', 'at', 'as', 'an', 'c')
  return { nonce = found[1], attempt = found[2], kind = found[3], untilUs = tonumber(found[4] or 0),
    endUs = tonumber(found[5] or 0), isReleased = found[6] and true or false, token = found[7] or '',
    most = found[8] or '0', lease = found[9] or '0',
    at = found[10] or '0', number = found[11] or '0', by = found[12] or '',
    locked = found[13] or '' }
end
`;

const lined = `
local guardKey, lineKey, waitersKey, counterKey = KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local guard = load(guardKey)
local isHeld = guard.nonce and not guard.isReleased and nowUs < guard.untilUs

local function counter() return redis.call('GET', counterKey) or '0' end

local function keepUnwritten(untilUs)
  if guard.at == '0' then
    redis.call('PEXPIRE', guardKey, whole((untilUs - nowUs) / 1000 + ${idleMs}))
  end
end

local function leaveLine(nonce)
  redis.call('ZREM', lineKey, nonce)
  redis.call('HDEL', waitersKey, nonce)
end

-- The number of the lock, and all that was promised and accepted before it.
local function own(nonce, attempt, kind, untilUs, endUs)
  if isLess(counter(), guard.most) then redis.call('SET', counterKey, guard.most) end
  redis.call('INCR', counterKey)
  local number = counter()
  redis.call('HSET', guardKey, 'n', nonce, 'a', attempt, 'c', number, 'k', kind, 'u', whole(untilUs),
    'e', whole(endUs), 'f', '')
  redis.call('HDEL', guardKey, 'r')
  keepUnwritten(untilUs)
  return { number, guard.lease, guard.at, guard.number, guard.by, redis.call('HGET', guardKey, 'd') }
end

local function joined(fields)
  local text = ''
  for _, field in ipairs(fields) do
    if field then text = text .. #field .. ':' .. field end
  end
  return text
end

-- Locks for the first of the line, and tells it what a lock is told. One that nobody hears for is passed.
local function handOver()
  while true do
    local first = redis.call('ZRANGE', lineKey, 0, 0)[1]
    if not first then return false end
    local waiter = redis.call('HGET', waitersKey, first) or ''
    leaveLine(first)
    local leaveUs, handUs, channel = waiter:match('^(%d+) (%d+) (.+)$')
    if channel and tonumber(leaveUs) > nowUs then
      local untilUs = nowUs + tonumber(handUs)
      local fields = own(first, 'handed', 'lease', untilUs, untilUs)
      table.insert(fields, 1, first)
      if redis.call('PUBLISH', channel, joined(fields)) > 0 then return true end
      redis.call('HSET', guardKey, 'r', '1')
    end
  end
end
`;

/** `birth nonce attempt kind ttlUs holdUs waitUs handUs channel` */
const lock = script(
  shared,
  lined,
  `
local other = reborn()
if other then return other end
local nonce, waitUs = ARGV[2], tonumber(ARGV[7])
if isHeld and guard.nonce ~= nonce then
  if waitUs > 0 and not redis.call('ZSCORE', lineKey, nonce) then
    local last = redis.call('ZRANGE', lineKey, -1, -1, 'WITHSCORES')[2] or 0
    redis.call('ZADD', lineKey, whole(last + 1), nonce)
    redis.call('HSET', waitersKey, nonce, whole(nowUs + waitUs) .. ' ' .. ARGV[8] .. ' ' .. ARGV[9])
    local keepMs = waitUs / 1000 + ${idleMs}
    if redis.call('PTTL', lineKey) < keepMs then
      redis.call('PEXPIRE', lineKey, whole(keepMs))
      redis.call('PEXPIRE', waitersKey, whole(keepMs))
    end
  end
  return { 'held', guard.kind, guard.nonce, whole((guard.untilUs - nowUs) / 1000) }
end
leaveLine(nonce)
local endUs = nowUs + tonumber(ARGV[6])
local untilUs = math.min(nowUs + tonumber(ARGV[5]), endUs)
return { 'locked', unpack(own(nonce, ARGV[3], ARGV[4], untilUs, endUs)) }
`,
);

/**
 * `birth nonce number token ttlUs holdUs isEmpty`: a lease begins here, since its lock may be older than its
 * request. `isEmpty`: all masters are locked, and say that there is nothing; that need not be kept.
 */
const promise = script(
  shared,
  lined,
  `
if reborn() then return 0 end
if guard.nonce ~= ARGV[2] or guard.locked ~= ARGV[3] or guard.isReleased then return 0 end
if not isLess(guard.most, ARGV[4]) then return 0 end
local endUs = nowUs + tonumber(ARGV[6])
local untilUs = math.min(nowUs + tonumber(ARGV[5]), endUs)
redis.call('HSET', guardKey, 'm', ARGV[4], 'f', ARGV[4], 'u', whole(untilUs), 'e', whole(endUs))
if ARGV[7] == '1' then
  redis.call('HDEL', guardKey, 'at', 'as', 'an')
  guard.at = '0'
end
keepUnwritten(untilUs)
if guard.kind == 'lease' then redis.call('HSET', guardKey, 'l', ARGV[4]) end
if isLess(counter(), ARGV[4]) then redis.call('SET', counterKey, ARGV[4]) end
return 1
`,
);

/**
 * `birth helps`, then of each part `nonce token number state`; without a number it is only checked. Who
 * helps carries on what an owner proposed, also after it gave the resource back and to masters that it
 * did not reach; but not where another may have a larger token, since that one has not seen it here, nor
 * where nothing is known of the resource, since what was known may have been forgotten.
 */
const accept = script(
  shared,
  `
local other = reborn()
if other then return other end
local helps, parts = ARGV[2] == '1', {}
local function mayHelp(guard, token)
  return helps and guard.token ~= '' and isLess(guard.most, token)
end
for i = 1, #KEYS - 1 do
  local at = 4 * i - 1
  local part = { key = KEYS[i + 1], guard = load(KEYS[i + 1]), nonce = ARGV[at], token = ARGV[at + 1],
    number = ARGV[at + 2], state = ARGV[at + 3] }
  local guard = part.guard
  part.isThere = part.number ~= '' and guard.at == part.token and guard.by == part.nonce
    and not isLess(guard.number, part.number)
  local isOwn = guard.nonce == part.nonce and guard.token == part.token
    and (helps or not guard.isReleased)
  local isLate = isLess(part.token, guard.at)
  if not part.isThere and (isLate or not (isOwn or mayHelp(guard, part.token))) then
    return { 'refused', i - 1, guard.token == '' and '0' or guard.token }
  end
  parts[i] = part
end
for i, part in ipairs(parts) do
  if part.number ~= '' and not part.isThere then
    redis.call('HSET', part.key, 'at', part.token, 'as', part.number, 'an', part.nonce,
      'm', larger(part.guard.most, part.token))
    if part.state == '' then redis.call('HDEL', part.key, 'd')
    else redis.call('HSET', part.key, 'd', part.state) end
    redis.call('PERSIST', part.key)
  end
end
return { 'accepted' }
`,
);

/** `birth` */
const read = script(
  shared,
  `
local guard = load(KEYS[2])
return reborn() or { 'state', guard.lease, guard.at, guard.number, guard.by, redis.call('HGET', KEYS[2], 'd') }
`,
);

/** `birth nonce token ttlUs` */
const renew = script(
  shared,
  lined,
  `
if reborn() or not isHeld or guard.nonce ~= ARGV[2] or guard.token ~= ARGV[3] then return 0 end
local untilUs = math.min(nowUs + tonumber(ARGV[4]), guard.endUs)
redis.call('HSET', guardKey, 'u', whole(untilUs))
keepUnwritten(untilUs)
return 1
`,
);

/** `birth nonce attempt`: with an attempt that failed only that one ends; it is handed to nobody. */
const cancel = script(
  shared,
  lined,
  `
local isAttempt = ARGV[3] ~= ''
if not isAttempt then leaveLine(ARGV[2]) end
if guard.nonce ~= ARGV[2] or guard.isReleased then return 0 end
if isAttempt and guard.attempt ~= ARGV[3] then return 0 end
redis.call('HSET', guardKey, 'r', '1')
if not isAttempt and handOver() then return 1 end
-- What says nothing need not be kept: the counter is as large as any token of it.
if guard.at == '0' then redis.call('DEL', guardKey) end
return 1
`,
);

/** `value`: sets the birth if there is none, and says which there is. */
const seed = script(`
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
`);

/** `from to` */
const settle = script(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end
return redis.call('GET', KEYS[1])
`);

/** `` */
const birth = script(`return redis.call('GET', KEYS[1])`);

/** What each is for is said above it. */
export type RedlockScriptName =
  | "lock"
  | "promise"
  | "accept"
  | "read"
  | "renew"
  | "cancel"
  | "seed"
  | "settle"
  | "birth";

/** All of them. */
export const redlockScripts: Readonly<Record<RedlockScriptName, Script>> = {
  lock,
  promise,
  accept,
  read,
  renew,
  cancel,
  seed,
  settle,
  birth,
};
