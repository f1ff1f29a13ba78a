-- Makes a protocol that of the mesh, unless it has another than the one that was read; answers the one that the mesh has then.
-- KEYS: the protocol, the runs, the workers. ARGV: the one that was read or '', the one that it shall be, the one of a mesh that has
-- runs or workers and no note.
local noted = redis.call('GET', KEYS[1])
if noted == ARGV[2] then
  return noted
end
local has = noted
if not has and (redis.call('ZCARD', KEYS[2]) > 0 or has_alive(KEYS[3])) then
  has = ARGV[3]
end
if has and has ~= ARGV[1] and has ~= ARGV[2] then
  return has
end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
