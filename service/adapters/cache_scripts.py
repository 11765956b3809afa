"""What Redis does with cached answers in one step each, as Lua.

A user's value is `<generation>:<round>:<sealed>`; a token's is `<round>:<hashed user>:<sealed>` and counts
only while the user's value bears the same round. The round ends with the value: what was known of tokens
before a block is forgotten with it, without anybody having to list them. A block is `<generation>!` under
a key of its own, so that it outlives whatever replaces the value. A value of another type is shown as `?`.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from service.adapters.cache_values import (
    Values,
    hashed,
    name_of_block,
    name_of_confirmation,
    name_of_token,
    name_of_user,
)
from service.adapters.redis_lane import Call, Script
from service.adapters.redis_url import Word
from service.broker.model import CurrentToken, Fingerprint, LineageEntry, UserKey

Look = Fingerprint | UserKey
Presented = Sequence[tuple[Fingerprint, LineageEntry]]

_BLOCK_MS = 25 * 3600 * 1000
"""Nobody puts what was read from the database a day ago."""

_READ = """
local function read(name)
  local value = redis.pcall('GET', name)
  return type(value) == 'table' and '?' or value
end
"""

_FIND = Script(
    _READ
    + """
local function one_by_one(name)
  if string.sub(name, 1, 5) ~= 'tb:t:' then return false, read(name) end
  local token = read(name)
  local round, user = string.match(token or '', '^(%w+):(%w+):')
  local held = read('tb:u:' .. (user or 'nobody'))
  if token and not user then held = '?' end
  local stands = string.match(held or '', '^%d+:(%w+):')
  if not held or (stands and stands ~= round) then return false, false end
  return token, held
end

local values, users, rounds, found = redis.call('MGET', unpack(KEYS)), {}, {}, {}
for place = 1, #KEYS do
  local user
  if values[place] and string.byte(KEYS[place], 4) == 116 then
    rounds[place], user = string.match(values[place], '^(%w+):(%w+):')
  end
  users[place] = 'tb:u:' .. (user or 'nobody')
end
local held = redis.call('MGET', unpack(users))
for place = 1, #KEYS do
  local token, user, round = values[place], held[place], rounds[place]
  if not round and token and string.byte(KEYS[place], 4) == 117 then
    token, user = false, token
  elseif not (round and user and string.match(user, '^%d+:(%w+):') == round) then
    token, user = one_by_one(KEYS[place])
  end
  found[2 * place - 1], found[2 * place] = token, user
end
return found
""",
    writes=False,
)
# KEYS: names of users or tokens. Returns token or nil, user's value or nil of each, in one list. What is
# there in order is read for all at once; the rest is looked at one by one, at twice the price. A token that
# is not there, and one whose round has ended, cost the same and are answered alike.

_PUT = Script(
    _READ
    + """
local user, block = KEYS[1], KEYS[2]
local generation, sealed, ms, reopen = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local only_current, fresh = ARGV[5], ARGV[6]
local blocked = tonumber(string.match(read(block) or '', '^(%d+)!$') or '-1')
if generation < blocked or (generation == blocked and reopen ~= '1') then return 0 end
local stands, round = string.match(read(user) or '', '^(%d+):(%w+):')
if stands and tonumber(stands) > generation then return 0 end
if only_current == '1' and tonumber(stands) ~= generation then round = nil end
round = round or fresh
if generation == blocked then
  redis.call('SET', block, string.format('%.0f!', generation - 1), 'KEEPTTL')
end
redis.call('SET', user, ARGV[1] .. ':' .. round .. ':' .. sealed, 'PX', ms)
for place = 3, #KEYS do
  redis.call('SET', KEYS[place], round .. ':' .. ARGV[2 * place + 1], 'PX', ARGV[2 * place + 2])
end
return 1
"""
)
# KEYS: user, block, tokens. ARGV: generation, sealed, ms, reopen, only current, a fresh round, then value and
# ms of each token. Returns 1, or 0 where it was refused. Where only current tokens count, a new generation is
# a new round.

_BLOCK = Script(
    _READ
    + """
redis.call('DEL', KEYS[1], KEYS[3])
local blocked = tonumber(string.match(read(KEYS[2]) or '', '^(%d+)!$') or '-1')
local newest = tonumber(ARGV[1]) > blocked and ARGV[1] or string.format('%.0f', blocked)
redis.call('SET', KEYS[2], newest .. '!', 'PX', ARGV[2])
return 1
"""
)
# KEYS: user, block, confirmation. ARGV: generation, ms.


def find_call(looks: Sequence[Look]) -> Call:
    """Return the call that looks all of them up: for each its token's and its user's value, or None."""
    return _FIND.call(
        [name_of_user(look) if isinstance(look, UserKey) else name_of_token(look) for look in looks]
    )


def put_call(
    values: Values,
    current: CurrentToken,
    presented: Presented,
    now: datetime,
    *,
    reopen: bool,
    only_current: bool,
) -> Call:
    """Return the call that caches an answer; its reply is 1, or 0 where it was refused."""
    key = current.key
    names = [name_of_user(key), name_of_block(key)]
    words: list[Word] = [current.generation, values.write_user(current), _ms(current.expires_at - now)]
    words += [int(reopen), int(only_current), secrets.token_hex(4)]
    user = hashed(key).encode()
    for fingerprint, entry in presented:
        if entry.counts_until > now:
            names.append(name_of_token(fingerprint))
            value = user + b":" + values.write_token(fingerprint, entry)
            words += [value, _ms(entry.counts_until - now)]
    return _PUT.call(names, *words)


def block_call(key: UserKey, generation: int, *, insist: bool) -> Call:
    """Return the call that drops a user's answer and refuses generations up to this one."""
    names = [name_of_user(key), name_of_block(key), name_of_confirmation(key)]
    return _BLOCK.call(names, generation, _BLOCK_MS, insist=insist)


def _ms(left: timedelta) -> int:
    return max(1, math.ceil(left / timedelta(milliseconds=1)))
