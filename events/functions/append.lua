-- Append a batch of events to a ledger: all of it, or nothing.
--
-- KEYS   1 log (stream)   2 ids (hash)   3 subjects (hash)   4.. one list a distinct subject of the batch
-- ARGV   1 expected position of the ledger, or ""
--        2 subject of the other expectation, or ""   3 what is expected of it: "none", "exists", or a position
--        4.. four an event: identity, payload, subject ("" for none), index into KEYS of its subject's list (0 for none)
-- REPLY  {"OK", position, duplicate (0 or 1), position, duplicate, ...} one pair an event
--        {"CONFLICT", index from 0, position}            same identity, other bytes
--        {"STALE", "ledger" or "subject", position now}
--        {"DAMAGED", length, entries added, ids known, id of the newest entry, last id given}   these must agree
-- REFUSES with NOPERM a user who may not run each write, with WRONGTYPE a key that something else wrote
-- WRITES nothing unless every check has passed: a script does not roll back. Events that are all known are answered
--        before the expectations are looked at, so that a call whose reply was lost can be made again as it was.

local log, ids, subjects = KEYS[1], KEYS[2], KEYS[3]

local function number(value)
  return string.format('%.0f', value)
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

local reply, fresh = {'OK'}, {}
local position = last
for i = 4, #ARGV, 4 do
  local at = redis.call('HGET', ids, ARGV[i])
  if at then
    local entry = redis.call('XRANGE', log, at, at)[1]
    if not entry or entry[2][2] ~= ARGV[i + 1] then
      return {'CONFLICT', number((i - 4) / 4), at}
    end
    reply[#reply + 1] = at
    reply[#reply + 1] = '1'
  else
    position = position + 1
    fresh[#fresh + 1] = i
    reply[#reply + 1] = number(position)
    reply[#reply + 1] = '0'
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
local now = math.max(recorded, tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000))
for n, i in ipairs(fresh) do
  local at = number(last + n)
  redis.call('XADD', log, at .. '-' .. number(now), 'e', ARGV[i + 1])
  redis.call('HSET', ids, ARGV[i], at)
  if ARGV[i + 2] ~= '' then
    redis.call('HSET', subjects, ARGV[i + 2], at)
    redis.call('RPUSH', KEYS[tonumber(ARGV[i + 3])], at)
  end
end
return reply
