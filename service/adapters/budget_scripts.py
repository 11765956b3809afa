"""What Redis does with a budget in one step each, as Lua: `bucket.Bucket`, by the server's own clock.

KEYS: the bucket. ARGV: calls a second, capacity, then the script's own. Fractions travel as text.
"""

from __future__ import annotations

from service.adapters.redis_lane import Script

_FILL = """
local rate, capacity = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local held = redis.call('HMGET', KEYS[1], 'ready', 'at', 'paused_until')
local paused_until = tonumber(held[3] or '0')
local at = math.max(now, paused_until)
local ready = tonumber(held[1] or ARGV[2]) + math.max(0, at - tonumber(held[2] or at)) * rate
ready = math.min(capacity, ready)

local function save()
  local kept_s = math.max(now, paused_until) - now + math.max(0, -ready / rate) + 3600
  redis.call('HSET', KEYS[1], 'ready', string.format('%.6f', ready), 'at', string.format('%.6f', at),
    'paused_until', string.format('%.6f', paused_until))
  redis.call('PEXPIRE', KEYS[1], math.ceil(kept_s * 1000))
end

local function answer(value)
  save()
  return {string.format('%.6f', value), string.format('%.6f', ready)}
end
"""

TAKE = Script(
    _FILL
    + """
local longest_s, waited = tonumber(ARGV[3]), ARGV[4] == '1'
if waited then
  if at <= now then return answer(0) end
  ready = ready + 1
end
local wait_s = at - now + math.max(0, (1 - ready) / rate)
if wait_s > longest_s then return answer(-1) end
ready = ready - 1
return answer(wait_s)
"""
)
"""ARGV: the longest wait, whether a reserved call was waited for. Returns {wait or -1, ready}."""

AHEAD = Script(
    _FILL
    + """
local taken = 0
if at <= now then
  taken = math.max(0, math.min(tonumber(ARGV[3]), math.floor(ready - math.min(capacity / 2, capacity - 1))))
end
ready = ready - taken
return answer(taken)
"""
)
"""ARGV: how many at most. Returns {taken, ready}."""

LOOK = Script(_FILL + "return {string.format('%.6f', ready), string.format('%.6f', at - now)}", writes=False)
"""Takes and keeps nothing. Returns {ready, paused for so long}."""

GIVE_BACK = Script(
    _FILL
    + """
ready = math.min(capacity, ready + tonumber(ARGV[3]))
return answer(0)
"""
)
"""ARGV: how many."""

PAUSE = Script(
    _FILL
    + """
paused_until = math.max(paused_until, now + tonumber(ARGV[3]))
return answer(0)
"""
)
"""ARGV: seconds."""
