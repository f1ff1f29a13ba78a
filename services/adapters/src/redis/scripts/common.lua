-- Common to the scripts about one run: how they refuse, who owns the run, and what time it is. KEYS[1] is always the run.
-- A refusal is an error reply whose first word is its kind; connection.rs turns it into the error of the port.
local run = KEYS[1]

local function refuse(kind, text)
  return redis.error_reply(kind .. ' ' .. text)
end

-- The time of the server: schedulers with different clocks must agree about a lease.
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]), tonumber(time[1]) * 1000 + math.floor(time[2] / 1000)
end

-- The refusal of a stale fence; nil if `epoch` owns the run. A released lease has no owner, so its fence is stale too.
local function stale(epoch)
  local held = redis.call('HMGET', run, 'epoch', 'owner')
  if not held[1] then
    return refuse('NOTFOUND', 'is not in the ledger')
  end
  if held[1] ~= epoch or held[2] == '' then
    return refuse('ABORTED', 'the lease of epoch ' .. epoch .. ' is lost, it is at epoch ' .. held[1])
  end
end

-- Counts into the slot of this second; a slot of an older second starts again. See snapshot.rs for how it is read.
local function count_in_window(key, second, count)
  local field = 'window:' .. (second % 16)
  local at, before = string.match(redis.call('HGET', key, field) or '', '^(%d+):(%d+)$')
  if tonumber(at) == second then
    count = count + tonumber(before)
  end
  redis.call('HSET', key, field, string.format('%.0f:%.0f', second, count))
end

-- True if some worker's heartbeat is still good.
local function has_alive(workers)
  local _, now_ms = now()
  for _, entry in ipairs(redis.call('HVALS', workers)) do
    if tonumber(string.match(entry, '^(%d+):')) > now_ms then
      return true
    end
  end
  return false
end

