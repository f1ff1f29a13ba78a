-- Takes back the counting of jobs: clears their bits, and lowers the counters by exactly the bits that were set. One step, so
-- processed + dead stay equal to the bits. The numbers of the workers stay as they are: nobody knows which worker did the job.
-- KEYS: the run, its group's counters, then bitmap chunks: counted and dead of each in turn.
-- ARGV: per seq the index of its counted chunk in KEYS, and its place in the chunk. Answers how many were counted.
if redis.call('EXISTS', run) == 0 then
  return refuse('NOTFOUND', 'is not in the ledger')
end

-- Clears the bit, and answers true if it was set. A bitmap that does not exist is not made.
local function clear(key, place)
  if redis.call('GETBIT', key, place) == 0 then
    return false
  end
  redis.call('SETBIT', key, place, 0)
  return true
end

local counted, dead = 0, 0
for a = 1, #ARGV, 2 do
  local index, place = tonumber(ARGV[a]), ARGV[a + 1]
  if clear(KEYS[index], place) then
    counted = counted + 1
    if clear(KEYS[index + 1], place) then
      dead = dead + 1
    end
  end
end
if counted > 0 then
  redis.call('HINCRBY', KEYS[2], 'processed', dead - counted)
  -- Not the negative: Lua's minus zero is no number to Redis.
  redis.call('HINCRBY', KEYS[2], 'dead', 0 - dead)
end
return counted
