-- Takes or renews the lease of a run. Every change of hands, and every gap, is a new epoch: the time, or one more than the last
-- where that is higher, so a server that went back to older data does not hand out an epoch that somebody holds already.
-- KEYS: the run. ARGV: owner, ttl in ms. Answers the epoch, or nil if somebody else's lease is still good.
local held = redis.call('HMGET', run, 'epoch', 'owner', 'lease_until_ms')
if not held[1] then
  return refuse('NOTFOUND', 'is not in the ledger')
end
local _, now_ms = now()
local is_good = held[2] ~= '' and now_ms < tonumber(held[3])
if is_good and held[2] ~= ARGV[1] then
  return false
end
local epoch = tonumber(held[1])
if not is_good then
  epoch = math.max(epoch + 1, now_ms)
  -- In digits: it is compared as text.
  redis.call('HSET', run, 'epoch', string.format('%.0f', epoch))
end
redis.call('HSET', run, 'owner', ARGV[1], 'lease_until_ms', now_ms + tonumber(ARGV[2]))
return epoch
