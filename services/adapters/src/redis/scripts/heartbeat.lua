-- Announces a worker until its ttl is over. KEYS: all workers. ARGV: worker id, ttl in ms, what it says of itself.
local _, now_ms = now()
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f:%s', now_ms + tonumber(ARGV[2]), ARGV[3]))
return 1
