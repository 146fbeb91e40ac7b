-- The buckets of one backend, shared by all workers: bucket.rs in Redis, with Redis' own clock.
-- KEYS[1] the backend; ARGV: what to do (take, settle, pause), limits of requests and tokens in a
-- minute (0: none), amounts of both, or the milliseconds of the pause.
-- Gives the milliseconds to wait; 0 if it is done.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local old = redis.call('HMGET', KEYS[1], 'at', 'requests', 'tokens', 'until')
local at = tonumber(old[1]) or now
local since = math.max(0, now - at)
local pause = math.max(0, (tonumber(old[4]) or 0) - now)
local wait, life, taken = pause, 0, {}
for i = 1, 2 do
  local limit, amount = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 3])
  taken[i] = 0
  if limit > 0 then
    local rate = limit / 60000
    taken[i] = math.max(0, (tonumber(old[i + 1]) or 0) - since * rate)
    local over = taken[i] + math.min(amount, limit) - limit
    if over >= 0.000001 then wait = math.max(wait, math.ceil(over / rate)) end
    if ARGV[1] ~= 'pause' then taken[i] = math.max(0, taken[i] + amount) end
    life = math.max(life, taken[i] / rate)
  end
end
if ARGV[1] == 'take' and wait > 0 then return wait end
if ARGV[1] == 'pause' then pause = math.max(pause, tonumber(ARGV[4])) end
redis.call('HSET', KEYS[1], 'at', math.max(at, now), 'requests', taken[1], 'tokens', taken[2],
  'until', now + pause)
-- A key that is gone is an empty bucket, which this one is by then.
redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(life, pause)) + 1000)
return 0
