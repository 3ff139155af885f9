-- A replica says that it lives. KEYS: who lived when, since when this Redis has counted. ARGV: who, gone after [s].
-- Returns: 1 if it was not known here, how many live.
local now = redis.call('TIME')
local us = now[1] * 1000000 + now[2]
redis.call('SET', KEYS[2], string.format('%.0f', us), 'NX')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', us - ARGV[2] * 1000000))
local added = redis.call('ZADD', KEYS[1], string.format('%.0f', us), ARGV[1])
return {added, redis.call('ZCARD', KEYS[1])}
