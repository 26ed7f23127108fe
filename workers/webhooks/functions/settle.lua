-- Write what became of a try to deliver an event, if the subscription still is where the caller read it.
--
-- KEYS   1 subscription (hash)   2 its dead letters (hash)
-- ARGV   1 position of the cursor that the caller read   2 number of failed tries that it read, or "" for any
--        3 position of the event that is given up, or ""   4 its dead letter
--        5.. field, value, ... of the subscription
-- REPLY  1, or 0 where it was moved on, changed or removed meanwhile: nothing is written

local now = redis.call('HMGET', KEYS[1], 'position', 'tries')
if now[1] ~= ARGV[1] or (ARGV[2] ~= '' and now[2] ~= ARGV[2]) then return 0 end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[2], ARGV[3], ARGV[4]) end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
return 1
