-- Write the documents of one generation of a projection together with its checkpoint, or nothing.
--
-- KEYS   1 state (hash)   2 documents (hash)   3 parked (hash)   4 generations (hash)
-- ARGV   1 position the writer started from   2 new position   3 digest of the entry there   4 version of the projection
--        5 generation   6 number of documents   7.. key and value of each; an empty value removes the document
--        then position and reason of each parked event
-- REPLY  {"OK"}
--        {"FENCED", position now}   another writer was here since: nothing is written
--        {"FENCED", ""}             the generation was removed: nothing is written
--        {"LOST", documents that the last commit left, documents now}   these must agree: nothing is written
-- REFUSES with NOPERM a user who may not run each write, with WRONGTYPE a key that something else wrote
-- WRITES nothing unless every check has passed: a script does not roll back. A generation has a state from its beginning,
--        but for the live one (the first, where none was made live), which starts again where its state was lost. A first
--        commit removes whatever documents it finds.

local state, documents, parked = KEYS[1], KEYS[2], KEYS[3]

for command, keys in pairs({HSET = {state, documents, parked}, HDEL = {documents}, UNLINK = {documents, parked}}) do
  for _, key in ipairs(keys) do
    if not redis.acl_check_cmd(command, key, '1', '2') then
      return redis.error_reply('NOPERM this user may not run ' .. command .. ', which a commit needs')
    end
  end
end

local now = redis.call('HGET', state, 'position')
if not now and (redis.call('HGET', KEYS[4], 'live') or '1') == ARGV[5] then now = '0' end
if now ~= ARGV[1] then return {'FENCED', now or ''} end

if now == '0' then
  redis.call('UNLINK', documents, parked)
else
  redis.call('HLEN', parked)
  local left, held = redis.call('HGET', state, 'documents'), tostring(redis.call('HLEN', documents))
  if left ~= held then return {'LOST', left or '', held} end
end
local last = 6 + 2 * tonumber(ARGV[6])
for i = 7, last, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', documents, ARGV[i])
  else redis.call('HSET', documents, ARGV[i], ARGV[i + 1]) end
end
for i = last + 1, #ARGV, 2 do redis.call('HSET', parked, ARGV[i], ARGV[i + 1]) end
redis.call('HSET', state, 'position', ARGV[2], 'entry', ARGV[3], 'version', ARGV[4],
  'documents', tostring(redis.call('HLEN', documents)))
return {'OK'}
