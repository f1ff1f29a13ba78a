-- Answers 1 if everything reserved is published, and everything published has ended in each of the run's groups; otherwise 0. One atomic
-- read.
-- KEYS: the run, its outstanding ranges, then the counters of each of its groups.
local cursor = tonumber(redis.call('HGET', run, 'cursor') or 0)
if redis.call('HLEN', KEYS[2]) > 0 then
  return 0
end
for k = 3, #KEYS do
  local counted = redis.call('HMGET', KEYS[k], 'processed', 'dead')
  if tonumber(counted[1] or 0) + tonumber(counted[2] or 0) < cursor then
    return 0
  end
end
return 1
