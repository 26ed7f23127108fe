-- Remove a generation of a projection, unless it is the live one or the way back.
--
-- KEYS   1 generations (hash)   2.. what the generation is kept in
-- ARGV   1 generation
-- REPLY  {generation live now, generation live before} as they are stored: where either is this one, or is no number, nothing is
--        removed

local named = redis.call('HMGET', KEYS[1], 'live', 'previous')
for i = 1, 2 do
  local number = tonumber(named[i] or '0')
  if not number or number == tonumber(ARGV[1]) then return named end
end
redis.call('UNLINK', unpack(KEYS, 2))
return named
