-- Write the documents of one generation of a projection together with its checkpoint, or nothing.
--
-- KEYS   1 state (hash)   2 documents (hash)   3 parked (hash)
-- ARGV   1 position the writer started from   2 new position   3 digest of the entry there   4 version of the projection
--        5 number of documents   6.. key and value of each; an empty value removes the document
--        then position and reason of each parked event
-- REPLY  {"OK"}
--        {"FENCED", position now}   another writer was here since: nothing is written
-- WRITES nothing unless the check has passed: a script does not roll back.

local now = redis.call('HGET', KEYS[1], 'position') or '0'
if now ~= ARGV[1] then return {'FENCED', now} end

redis.call('HSET', KEYS[1], 'position', ARGV[2], 'entry', ARGV[3], 'version', ARGV[4])
local last = 5 + 2 * tonumber(ARGV[5])
for i = 6, last, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[2], ARGV[i])
  else redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
end
for i = last + 1, #ARGV, 2 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
return {'OK'}
