-- All numbers of a run, read at one moment.
-- KEYS: the run, its outstanding ranges, its producers, its group's counters, its group's workers.
return {
  redis.call('HGETALL', KEYS[1]),
  redis.call('HLEN', KEYS[2]),
  redis.call('HGETALL', KEYS[3]),
  redis.call('HGETALL', KEYS[4]),
  redis.call('HGETALL', KEYS[5]),
  redis.call('TIME'),
}
