-- Reserves the next jobs of a run, up to its total: moves the cursor and notes the range as outstanding.
-- KEYS: the run, its outstanding ranges. ARGV: epoch, revision, count, scheduled at in ms, pacing.
-- Answers the first seq and how many.
local refusal = stale(ARGV[1])
if refusal then
  return refusal
end
local current = redis.call('HMGET', run, 'revision', 'state', 'cursor', 'total')
if current[1] ~= ARGV[2] then
  return refuse('ABORTED', 'it is at revision ' .. current[1] .. ', not ' .. ARGV[2] .. '; read it again')
end
-- RUNNING alone reserves: core/run/state.rs is the home of the states.
if current[2] ~= 'RUNNING' then
  return refuse('PRECONDITION', 'it is ' .. current[2] .. ' and reserves no more jobs')
end
local count = tonumber(ARGV[3])
if current[4] ~= '' then
  -- A run that was restored may have more jobs than its total.
  count = math.max(0, math.min(count, tonumber(current[4]) - tonumber(current[3])))
end
redis.call('HSET', run, 'pacing', ARGV[5])
if count > 0 then
  redis.call('HSET', KEYS[2], current[3], string.format('%.0f:%s', count, ARGV[4]))
  redis.call('HINCRBY', run, 'cursor', count)
  count_in_window(run, now(), count)
end
return {tonumber(current[3]), count}
