-- Changes the fields of a run if it is still at the revision at which the change was judged. What was judged outside
-- and can move without a new revision is judged here again: the owner's fence, and the cursor against a new total.
-- The rule about a total has its home in core/run/change.rs (`check_total`); this is a copy, because the cursor moves meanwhile.
-- KEYS: the run. ARGV: epoch or '', expected revision, new total or '', 1 if the run ends, then fields and values.
if ARGV[1] ~= '' then
  local refusal = stale(ARGV[1])
  if refusal then
    return refusal
  end
end
local current = redis.call('HMGET', run, 'revision', 'cursor')
if not current[1] then
  return refuse('NOTFOUND', 'is not in the ledger')
end
if current[1] ~= ARGV[2] then
  return refuse('ABORTED', 'it is at revision ' .. current[1] .. ', not ' .. ARGV[2] .. '; read it again')
end
if ARGV[3] ~= '' and tonumber(ARGV[3]) < tonumber(current[2]) then
  return refuse('PRECONDITION', 'it has enqueued ' .. current[2] .. ' jobs already; ask for a total of at least that')
end
if #ARGV > 4 then
  -- A run that goes on after it FAILED has neither end nor failure.
  redis.call('HDEL', run, 'ended_at_ms', 'failure')
  redis.call('HSET', run, unpack(ARGV, 5))
  redis.call('HINCRBY', run, 'revision', 1)
  if ARGV[4] == '1' then
    local _, now_ms = now()
    redis.call('HSET', run, 'ended_at_ms', now_ms)
  end
end
return redis.call('HGETALL', run)
