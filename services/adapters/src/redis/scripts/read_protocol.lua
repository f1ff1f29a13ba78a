-- The protocol of the mesh, false where there is neither a note nor anybody.
-- KEYS: the protocol, the runs, the workers. ARGV: the one of a mesh that has runs or workers and no note.
local noted = redis.call('GET', KEYS[1])
if not noted and (redis.call('ZCARD', KEYS[2]) > 0 or has_alive(KEYS[3])) then
  return ARGV[1]
end
return noted
