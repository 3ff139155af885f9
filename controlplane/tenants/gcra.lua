-- Count a call by the generic cell rate algorithm. All times are whole microseconds.
-- KEYS: when the next call is due if all come evenly; since when this Redis has counted.
-- ARGV: time between two calls, the window, when the caller was last told that the next call is due, how far ahead of
--   now the caller's own count is since then, now (or '': this Redis's time).
-- Returns: 1 if it is let through; how far ahead of now the next call is due; when it is due.
local every, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local now = tonumber(ARGV[5])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local born = tonumber(redis.call('GET', KEYS[2]))
if not born or born > now then
  born = now
  redis.call('SET', KEYS[2], string.format('%.0f', born))
end
-- Whom this Redis does not know may have used up everything before it began to count.
local due = tonumber(redis.call('GET', KEYS[1])) or born + window
due = math.max(now, due, tonumber(ARGV[3]), now + tonumber(ARGV[4]))
due = math.min(due, now + window) -- a clock that was set back shuts nobody out
local passes = due + every - now <= window
if passes then
  due = due + every
end
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 1)
return {passes and 1 or 0, due - now, due}
