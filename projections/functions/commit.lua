-- Write the documents of one generation of a projection together with its checkpoint, or nothing.
--
-- KEYS   1 state (hash)   2 documents (hash)   3 parked (hash)   4 past (hash)   5 generations (hash)
-- ARGV   1 position the writer started from   2 digest of the entry there   3 new position   4 digest of the entry there
--        5 version of the projection   6 generation   7 position of the first snapshot that holds what is written
--        8 its volume: one for so many snapshots
--        9 log (stream)   10 id of the entry at the new position
--        11 number of documents   12.. key and value of each, as it is stored; an empty value removes the document
--        then position and reason of each parked event
-- REPLY  {"OK"}
--        {"FENCED", position now}   another writer was here since, maybe with the events of another log, or the log does not hold that
--                                   entry any more: nothing is written
--        {"FENCED", ""}             the generation was removed: nothing is written
--        {"LOST", documents that the last commit left, documents now}   these must agree: nothing is written
-- REFUSES with NOPERM a user who may not run each write, with WRONGTYPE a key that something else wrote
-- READS  the log, which is no KEY because the server would then ask that the user may write to it
-- WRITES nothing unless every check has passed: a script does not roll back. A generation has a state from its beginning,
--        but for the live one (the first, where none was made live), which starts again where its state was lost. A first
--        commit removes whatever it finds.
-- PAST   A document is stored as "position json": the position is that of the first snapshot that holds it so. Where it is
--        changed or removed, and a snapshot holds it as it was, past gets "@position<tab>key" with that json, and
--        "#volume<tab>key" gets one more "position-until ", where `until` is the first snapshot that does not hold it so, and
--        the volume is that snapshot's. "=key" lists the volumes that there are of a document, so that what is written again
--        with each change does not grow with the log. Each of these comes after 16 characters of a digest of its field and
--        itself. Whoever deletes the past, or a part of it, ends it: the state then says "lost", until a replay.

local state, documents, parked, past = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local position, snapshot, volume = ARGV[3], ARGV[7], ARGV[8]

-- Every further argument of UNLINK would be a key.
local function may(command, key)
  if command == 'UNLINK' then return redis.acl_check_cmd(command, key) end
  return redis.acl_check_cmd(command, key, '1', '2')
end

local writes = {HSET = {state, documents, parked, past}, HDEL = {documents}, UNLINK = {documents, parked, past}}
for command, keys in pairs(writes) do
  for _, key in ipairs(keys) do
    if not may(command, key) then
      return redis.error_reply('NOPERM this user may not run ' .. command .. ', which a commit needs')
    end
  end
end

local function size(key)
  return tostring(redis.call('HLEN', key))
end

local now, entry = unpack(redis.call('HMGET', state, 'position', 'entry'))
if not now and (redis.call('HGET', KEYS[5], 'live') or '1') == ARGV[6] then now = '0' end
if now ~= ARGV[1] or (entry or '') ~= ARGV[2] then return {'FENCED', now or ''} end
local there = redis.call('XRANGE', ARGV[9], position, position)[1]
if not there or there[1] ~= ARGV[10] then return {'FENCED', now} end

local keeps = true
if now == '0' then
  redis.call('UNLINK', documents, parked, past)
else
  redis.call('HLEN', parked)
  local left = redis.call('HMGET', state, 'documents', 'past')
  local held = size(documents)
  if left[1] ~= held then return {'LOST', left[1] or '', held} end
  keeps = left[2] == size(past)
  if not keeps then redis.call('UNLINK', past) end
end

-- One call for many: 20,000 events of one projection took the server 1.4 s with a call each, and 0.8 s so.
local BATCH = 4000  -- arguments of a call; Lua's stack takes 8,000
local function write(command, key, arguments)
  for i = 1, #arguments, BATCH do
    redis.call(command, key, unpack(arguments, i, math.min(i + BATCH - 1, #arguments)))
  end
end

local function read(key, fields)
  local found = {}
  for i = 1, #fields, BATCH do
    local some = redis.call('HMGET', key, unpack(fields, i, math.min(i + BATCH - 1, #fields)))
    for j = 1, #some do found[i + j - 1] = some[j] end
  end
  return found
end

local last = 11 + 2 * tonumber(ARGV[11])
local names, fields, removed, reasons = {}, {}, {}, {}
for i = 12, last, 2 do
  names[#names + 1] = ARGV[i]
  if ARGV[i + 1] == '' then removed[#removed + 1] = ARGV[i]
  else
    fields[#fields + 1] = ARGV[i]
    fields[#fields + 1] = ARGV[i + 1]
  end
end
for i = last + 1, #ARGV do reasons[#reasons + 1] = ARGV[i] end

if keeps and now ~= '0' then
  local kept, volumes, lists, since, begun = {}, {}, {}, {}, {}
  local function keep(field, value)
    kept[#kept + 1] = field
    kept[#kept + 1] = string.sub(redis.sha1hex(field .. '\n' .. value), 1, 16) .. value
  end
  for i, was in ipairs(read(documents, names)) do
    local space = was and string.find(was, ' ', 1, true)
    local from = space and string.sub(was, 1, space - 1)
    if from and from ~= snapshot then
      keep('@' .. from .. '\t' .. names[i], string.sub(was, space + 1))
      volumes[#volumes + 1] = '#' .. volume .. '\t' .. names[i]
      lists[#lists + 1] = '=' .. names[i]
      since[#since + 1] = from
    end
  end
  for i, spans in ipairs(read(past, volumes)) do
    keep(volumes[i], string.sub(spans or '', 17) .. since[i] .. '-' .. snapshot .. ' ')
    if not spans then begun[#begun + 1] = lists[i] end
  end
  for i, list in ipairs(read(past, begun)) do
    keep(begun[i], string.sub(list or '', 17) .. volume .. ' ')
  end
  write('HSET', past, kept)
end

write('HDEL', documents, removed)
write('HSET', documents, fields)
write('HSET', parked, reasons)
redis.call('HSET', state, 'position', position, 'entry', ARGV[4], 'version', ARGV[5],
  'documents', size(documents), 'past', keeps and size(past) or 'lost')
return {'OK'}
