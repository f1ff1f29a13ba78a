-- Writes a new run, unless it is there: a repeat must not set a run back to its beginning.
-- KEYS: the run. ARGV: its fields and their values.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], unpack(ARGV))
end
return redis.call('HGET', KEYS[1], 'state')
