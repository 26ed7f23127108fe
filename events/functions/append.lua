-- Append a batch of events to a ledger: all of it, or nothing.
--
-- KEYS   1 log (stream)   2 ids (hash)   3 subjects (hash)   4.. one list a distinct subject of the batch
-- ARGV   1 expected position of the ledger, or ""
--        2 subject of the other expectation, or ""   3 what is expected of it: "none", "exists", or a position
--        4 identities of the events, joined (sixteen bytes each)
--        5.. one an event: payload
--        6.. one a list: subject
--        7.. two an event that has a subject: number of the event in the batch (from 1), index into KEYS of its list
-- REPLY  {"OK", last position before, number from 1, position, number, position, ...} one pair an event that was there
--        already; the others have the positions that follow, in their order
--        {"CONFLICT", number from 1, position}           same identity, other bytes
--        {"STALE", "ledger" or "subject", position now}
--        {"DAMAGED", length, entries added, ids known, id of the newest entry, last id given}   these must agree
-- REFUSES with NOPERM a user who may not run each write, with WRONGTYPE a key that something else wrote
-- WRITES nothing unless every check has passed: a script does not roll back. Events that are all known are answered
--        before the expectations are looked at, so that a call whose reply was lost can be made again as it was.

local log, ids, subjects = KEYS[1], KEYS[2], KEYS[3]
local IDENTITY = 16 -- bytes
local FIRST = 4 -- payloads begin after this argument
local MOST = 4000 -- values that `unpack` may put on Lua's stack, which has 8,000 places; even, for pairs

local function number(value)
  return string.format('%.0f', value)
end

-- One command with many values costs half of many commands: the whole function takes 2.9 us an event instead of 4.7.
local function with_each(command, key, values)
  for from = 1, #values, MOST do
    redis.call(command, key, unpack(values, from, math.min(#values, from + MOST - 1)))
  end
end

-- A write that failed among others would leave the others behind, so whatever can make one fail is asked first.
for command, key in pairs({XADD = log, HSET = ids, RPUSH = KEYS[4] or ids}) do
  if not redis.acl_check_cmd(command, key, '1', '2', '3') then
    return redis.error_reply('NOPERM this user may not run ' .. command .. ', which an append needs')
  end
end
redis.call('HLEN', subjects)
for i = 4, #KEYS do redis.call('LLEN', KEYS[i]) end

local known = redis.call('HLEN', ids)
local last, recorded = 0, 0
if redis.call('EXISTS', log) == 1 then
  local about = redis.call('XINFO', 'STREAM', log)
  local field = {}
  for i = 1, #about, 2 do field[about[i]] = about[i + 1] end
  local given, newest = field['last-generated-id'], field['last-entry'] and field['last-entry'][1] or '0-0'
  local dash = string.find(given, '-', 1, true)
  last = tonumber(string.sub(given, 1, dash - 1))
  recorded = tonumber(string.sub(given, dash + 1))
  if field['length'] ~= last or field['entries-added'] ~= last or known ~= last or newest ~= given then
    return {'DAMAGED', number(field['length']), number(field['entries-added']), number(known), newest, given}
  end
elseif known > 0 then
  return {'DAMAGED', '0', '0', number(known), '0-0', '0-0'}
end

local identities = {}
for from = 1, #ARGV[4], IDENTITY do
  identities[#identities + 1] = string.sub(ARGV[4], from, from + IDENTITY - 1)
end

local reply, fresh = {'OK', number(last)}, {}
for from = 1, #identities, MOST do
  local upto = math.min(#identities, from + MOST - 1)
  local found = redis.call('HMGET', ids, unpack(identities, from, upto))
  for n = from, upto do
    local at = found[n - from + 1]
    if at then
      local entry = redis.call('XRANGE', log, at, at)[1]
      if not entry or entry[2][2] ~= ARGV[FIRST + n] then
        return {'CONFLICT', number(n), at}
      end
      reply[#reply + 1] = number(n)
      reply[#reply + 1] = at
    else
      fresh[#fresh + 1] = n
    end
  end
end

if #fresh == 0 then return reply end

if ARGV[1] ~= '' and tonumber(ARGV[1]) ~= last then
  return {'STALE', 'ledger', number(last)}
end
if ARGV[2] ~= '' then
  local now = tonumber(redis.call('HGET', subjects, ARGV[2]) or '0')
  local fine
  if ARGV[3] == 'none' then fine = now == 0
  elseif ARGV[3] == 'exists' then fine = now > 0
  else fine = now == tonumber(ARGV[3]) end
  if not fine then return {'STALE', 'subject', number(now)} end
end

local clock = redis.call('TIME')
local now = '-' .. number(math.max(recorded, tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)))
local placed, positions = {}, {}
for i, n in ipairs(fresh) do
  local at = number(last + i)
  redis.call('XADD', log, at .. now, 'e', ARGV[FIRST + n])
  placed[n] = at
  positions[2 * i - 1], positions[2 * i] = identities[n], at
end
with_each('HSET', ids, positions)

local of, newest = {}, {}
for i = FIRST + #identities + #KEYS - 2, #ARGV, 2 do
  local at, list = placed[tonumber(ARGV[i])], tonumber(ARGV[i + 1])
  if at then
    of[list] = of[list] or {}
    of[list][#of[list] + 1] = at
  end
end
for list, added in pairs(of) do
  newest[#newest + 1] = ARGV[FIRST + #identities + list - 3]
  newest[#newest + 1] = added[#added]
  with_each('RPUSH', KEYS[list], added)
end
with_each('HSET', subjects, newest)
return reply
