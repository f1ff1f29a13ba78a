-- Counts jobs that have ended, each once. The caller sends bitmaps: `mask` has a bit for every job of a stretch of seqs,
-- `dead` a bit for those of them that died ('' when none did). What is new is `mask` without what is stored already, so a
-- job is whatever it was first, and one stretch costs two commands however many jobs are in it.
-- KEYS: the run, its group's counters, its group's workers, then bitmap chunks.
-- ARGV: worker, how many seqs are in the masks, seqs that were named once more, then per stretch: index of its counted chunk in KEYS (its dead chunk
-- comes next), first seq, first byte within the chunk, mask, dead.
-- Answers how many are counted, duplicates and foreign.
local band, bnot, bor, lshift = bit.band, bit.bnot, bit.bor, bit.lshift
local byte, char, sub = string.byte, string.char, string.sub
local NIBBLE_ONES = {[0] = 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4}

local function ones(octet)
  local low = octet % 16
  return NIBBLE_ONES[low] + NIBBLE_ONES[(octet - low) / 16]
end

local function ones_of(octets)
  local count = 0
  for i = 1, #octets do
    count = count + ones(byte(octets, i))
  end
  return count
end

-- The first `bits` bits of `octets`; the most significant bit of an octet comes first.
local function first_bits(octets, bits)
  local rest = bits % 8
  local whole = (bits - rest) / 8
  if rest == 0 then
    return sub(octets, 1, whole)
  end
  local keep = band(lshift(255, 8 - rest), 255)
  return sub(octets, 1, whole) .. char(band(byte(octets, whole + 1), keep))
end

-- Sets the bits of `mask` at `offset` of the bitmap `key`.
local function merge(key, offset, mask)
  local stored = redis.call('GETRANGE', key, offset, offset + #mask - 1)
  local merged = {}
  for i = 1, #mask do
    merged[i] = char(bor(byte(mask, i), byte(stored, i) or 0))
  end
  redis.call('SETRANGE', key, offset, table.concat(merged))
end

local cursor = tonumber(redis.call('HGET', KEYS[1], 'cursor') or 0)
local duplicates, foreign = 0, 0
for seq in string.gmatch(ARGV[3], '%d+') do
  if tonumber(seq) < cursor then
    duplicates = duplicates + 1
  else
    foreign = foreign + 1
  end
end

local counted, died, beyond = 0, 0, 0
for a = 4, #ARGV, 5 do
  local key_index, offset = tonumber(ARGV[a]), tonumber(ARGV[a + 2])
  local mask, dead = ARGV[a + 3], ARGV[a + 4]
  local existing = math.max(0, cursor - tonumber(ARGV[a + 1]))
  if existing < 8 * #mask then
    local named = ones_of(mask)
    mask, dead = first_bits(mask, existing), dead ~= '' and first_bits(dead, existing) or ''
    beyond = beyond + named - ones_of(mask)
  end
  if mask ~= '' then
    local stored = redis.call('GETRANGE', KEYS[key_index], offset, offset + #mask - 1)
    local merged, fresh_dead = {}, {}
    local fresh, fresh_died = 0, 0
    for i = 1, #mask do
      local asked, had = byte(mask, i), byte(stored, i) or 0
      local new = band(asked, bnot(had))
      if new ~= 0 then
        fresh = fresh + ones(new)
      end
      merged[i] = char(had + new)
      if dead ~= '' then
        local new_dead = band(new, byte(dead, i))
        if new_dead ~= 0 then
          fresh_died = fresh_died + ones(new_dead)
        end
        fresh_dead[i] = char(new_dead)
      end
    end
    if fresh > 0 then
      redis.call('SETRANGE', KEYS[key_index], offset, table.concat(merged))
    end
    if fresh_died > 0 then
      merge(KEYS[key_index + 1], offset, table.concat(fresh_dead))
    end
    counted = counted + fresh
    died = died + fresh_died
  end
end
duplicates = duplicates + tonumber(ARGV[2]) - beyond - counted
foreign = foreign + beyond

local processed = counted - died
if processed > 0 then
  redis.call('HINCRBY', KEYS[2], 'processed', processed)
  redis.call('HINCRBY', KEYS[3], ARGV[1], processed)
  count_in_window(KEYS[2], now(), processed)
end
if died > 0 then
  redis.call('HINCRBY', KEYS[2], 'dead', died)
end
if duplicates > 0 then
  redis.call('HINCRBY', KEYS[2], 'duplicates', duplicates)
end
return {counted, duplicates, foreign}
