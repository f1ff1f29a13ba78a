-- Renews the owner's lease and stores the pacer's state, which is opaque here. KEYS: the run. ARGV: epoch, ttl in ms, pacing.
local refusal = stale(ARGV[1])
if refusal then
  return refusal
end
local _, now_ms = now()
redis.call('HSET', run, 'lease_until_ms', now_ms + tonumber(ARGV[2]), 'pacing', ARGV[3])
return redis.call('HGETALL', run)
