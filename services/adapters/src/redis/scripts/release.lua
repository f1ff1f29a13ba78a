-- Gives a lease up, if `epoch` still has it. KEYS: the run. ARGV: epoch.
if redis.call('HGET', run, 'epoch') == ARGV[1] then
  redis.call('HSET', run, 'owner', '', 'lease_until_ms', 0)
end
return 1
