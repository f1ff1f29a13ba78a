-- Announces a worker until its ttl is over. KEYS: all workers. ARGV: worker id, ttl in ms, what it says of itself as a JSON object, which
-- is kept with the time of the server in it: the clocks of workers may differ.
local _, now_ms = now()
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f:{"told_at_ms":%.0f,%s', now_ms + tonumber(ARGV[2]), now_ms, string.sub(ARGV[3], 2)))
return 1
