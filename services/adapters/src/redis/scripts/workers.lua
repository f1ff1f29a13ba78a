-- The workers whose heartbeat is still good; the others are forgotten here. Answers the time, and what they said. KEYS: all workers.
local _, now_ms = now()
local all = redis.call('HGETALL', KEYS[1])
local alive = {}
for i = 1, #all, 2 do
  local until_ms, info = string.match(all[i + 1], '^(%d+):(.*)$')
  if tonumber(until_ms) > now_ms then
    alive[#alive + 1] = info
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
return {now_ms, alive}
