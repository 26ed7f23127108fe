-- Make a generation of a projection the live one; the one before it stays as the way back.
--
-- KEYS   1 generations (hash)   2 state of the new generation (hash)   3 state of the live generation (hash)
-- ARGV   1 new generation   2 generation that the caller saw live   3 "1": also where the new one is behind (the way back)
-- REPLY  {"OK"}
--        {"MOVED", generation live now}   another switch came first: nothing is written
--        {"GONE"}                         the new generation was removed: nothing is written
--        {"BEHIND", position of the new, position of the live}   readers would go back in time: nothing is written

local live = redis.call('HGET', KEYS[1], 'live')
if live ~= ARGV[2] then return {'MOVED', live or '0'} end
if ARGV[3] ~= '1' then
  local new = redis.call('HGET', KEYS[2], 'position')
  local old = redis.call('HGET', KEYS[3], 'position')
  if not new then return {'GONE'} end
  -- What is no number something else wrote there: nobody can read that generation, so nobody goes back in time.
  if tonumber(new) < (tonumber(old or 0) or 0) then return {'BEHIND', new, old} end
end
redis.call('HSET', KEYS[1], 'live', ARGV[1], 'previous', live)
return {'OK'}
