-- Brings a run back to at least what is kept of it elsewhere, and takes nothing away. Nothing to bring back changes nothing.
-- KEYS: the run. ARGV: spec, total or '', state, revision, cursor, pacing, end in ms or '', failure or ''.
-- Answers the run as it is then.
local function text(number)
  return string.format('%.0f', number)
end

local function put_or_remove(field, value)
  if value == '' then
    redis.call('HDEL', run, field)
  else
    redis.call('HSET', run, field, value)
  end
end

local held = redis.call('HMGET', run, 'revision', 'cursor', 'total', 'state')
local is_new = not held[1]
local total = held[3]
if is_new then
  -- Epoch 0 is nobody's: the next lease takes the time as its epoch, which is above all that were handed out before.
  redis.call('HSET', run, 'pacing', ARGV[6], 'owner', '', 'epoch', 0, 'lease_until_ms', 0, 'cursor', 0, 'published', 0)
end
local takes_over = is_new or tonumber(ARGV[4]) > tonumber(held[1])
if takes_over then
  total = ARGV[2]
  redis.call('HSET', run, 'spec', ARGV[1], 'total', total, 'state', ARGV[3], 'revision', ARGV[4])
  put_or_remove('ended_at_ms', ARGV[7])
  put_or_remove('failure', ARGV[8])
end

local cursor, kept_cursor = tonumber(held[2] or 0), tonumber(ARGV[5])
-- A copy of `KeptRun::enqueued_within` in core/run/kept.rs, its home.
if total ~= '' then
  kept_cursor = math.min(kept_cursor, tonumber(total))
end
if takes_over and kept_cursor == cursor and held[4] == 'FAILED' and ARGV[7] == '' then
  -- It went on since: by its own pacing the time in FAILED would be an outage.
  redis.call('HSET', run, 'pacing', ARGV[6])
end
if kept_cursor > cursor then
  redis.call('HSET', run, 'cursor', text(kept_cursor), 'pacing', ARGV[6])
  redis.call('HINCRBY', run, 'published', text(kept_cursor - cursor))
  if not is_new then
    -- An owner that reserves at the revision it knows is refused, and reads again.
    redis.call('HINCRBY', run, 'revision', 1)
  end
  -- A copy of `RunState::reopened` in core/run/state.rs, its home.
  local drains_again = { COMPLETED = 'DRAINING', STOPPED = 'STOPPING' }
  if not takes_over and drains_again[held[4]] then
    -- Its numbers do not close any more, so somebody has to own it again.
    redis.call('HSET', run, 'state', drains_again[held[4]])
    redis.call('HDEL', run, 'ended_at_ms')
  end
end
return redis.call('HGETALL', run)
