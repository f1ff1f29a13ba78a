-- Notes that the broker has a whole range; one that is not outstanding changes nothing.
-- KEYS: the run, its outstanding ranges, its producers. ARGV: epoch, first seq, count, producer.
local refusal = stale(ARGV[1])
if refusal then
  return refusal
end
local count = string.match(redis.call('HGET', KEYS[2], ARGV[2]) or '', '^(%d+):')
if count == ARGV[3] then
  redis.call('HDEL', KEYS[2], ARGV[2])
  redis.call('HINCRBY', run, 'published', count)
  redis.call('HINCRBY', KEYS[3], ARGV[4], count)
end
return 1
