-- Write the documents of one generation of a projection together with its checkpoint, or nothing.
--
-- KEYS   1 state (hash)   2 documents (hash)   3 parked (hash)   4 past (hash)   5 changed (set)   6 generations (hash)
-- ARGV   1 position the writer started from   2 new position   3 digest of the entry there   4 version of the projection
--        5 generation   6 "1" where the new position is one of which a snapshot is kept, else ""
--        7 number of documents   8.. key and value of each; an empty value removes the document
--        then position and reason of each parked event
-- REPLY  {"OK"}
--        {"FENCED", position now}   another writer was here since: nothing is written
--        {"FENCED", ""}             the generation was removed: nothing is written
--        {"LOST", documents that the last commit left, documents now}   these must agree: nothing is written
-- REFUSES with NOPERM a user who may not run each write, with WRONGTYPE a key that something else wrote
-- WRITES nothing unless every check has passed: a script does not roll back. A generation has a state from its beginning,
--        but for the live one (the first, where none was made live), which starts again where its state was lost. A first
--        commit removes whatever it finds.
-- PAST   has, for each document, "=key" with the positions of the snapshots that hold it, and "@position<tab>key" with what
--        it was there, after 16 characters of a digest of both. A snapshot holds what changed since the one before it. Whoever
--        deletes the past, or a part of it, ends it: the state then says "lost", until a replay.

local state, documents, parked, past, changed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local position = ARGV[2]

local writes = {HSET = {state, documents, parked, past}, HDEL = {documents}, SADD = {changed},
  UNLINK = {documents, parked, past, changed}}
for command, keys in pairs(writes) do
  for _, key in ipairs(keys) do
    if not redis.acl_check_cmd(command, key, '1', '2') then
      return redis.error_reply('NOPERM this user may not run ' .. command .. ', which a commit needs')
    end
  end
end

local function size(command, key)
  return tostring(redis.call(command, key))
end

local now = redis.call('HGET', state, 'position')
if not now and (redis.call('HGET', KEYS[6], 'live') or '1') == ARGV[5] then now = '0' end
if now ~= ARGV[1] then return {'FENCED', now or ''} end

local keeps = true
if now == '0' then
  redis.call('UNLINK', documents, parked, past, changed)
else
  redis.call('HLEN', parked)
  local left = redis.call('HMGET', state, 'documents', 'past', 'changed')
  local held = size('HLEN', documents)
  if left[1] ~= held then return {'LOST', left[1] or '', held} end
  keeps = left[2] == size('HLEN', past) and left[3] == size('SCARD', changed)
  if not keeps then redis.call('UNLINK', past, changed) end
end

local last = 7 + 2 * tonumber(ARGV[7])
for i = 8, last, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', documents, ARGV[i])
  else redis.call('HSET', documents, ARGV[i], ARGV[i + 1]) end
  if keeps then redis.call('SADD', changed, ARGV[i]) end
end
for i = last + 1, #ARGV, 2 do redis.call('HSET', parked, ARGV[i], ARGV[i + 1]) end

if keeps and ARGV[6] == '1' then
  for _, name in ipairs(redis.call('SMEMBERS', changed)) do
    local field, value = '@' .. position .. '\t' .. name, redis.call('HGET', documents, name) or ''
    local sum = string.sub(redis.sha1hex(field .. '\n' .. value), 1, 16)
    local held_by = (redis.call('HGET', past, '=' .. name) or '') .. position .. ' '
    redis.call('HSET', past, field, sum .. value, '=' .. name, held_by)
  end
  redis.call('UNLINK', changed)
end

redis.call('HSET', state, 'position', position, 'entry', ARGV[3], 'version', ARGV[4],
  'documents', size('HLEN', documents),
  'past', keeps and size('HLEN', past) or 'lost', 'changed', keeps and size('SCARD', changed) or 'lost')
return {'OK'}
