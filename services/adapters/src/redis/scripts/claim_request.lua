-- Binds a request id to the run it starts, once and for ever; answers the run that it was bound to before, if it was.
-- KEYS: the request. ARGV: the run.
local bound = redis.call('GET', KEYS[1])
if not bound then
  redis.call('SET', KEYS[1], ARGV[1])
end
return bound
