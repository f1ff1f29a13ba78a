-- Makes a protocol that of the mesh, unless another than the one that was read is noted; answers the one that the mesh has then.
-- KEYS: the protocol. ARGV: the one that was read, the one that it shall be.
local noted = redis.call('GET', KEYS[1])
if noted and noted ~= ARGV[1] then
  return noted
end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
