-- The rules of rules.py for Redis: the same figures in, the same figures out, by the server's clock.
--
-- KEYS    the records: hashes, of whole numbers
-- ARGV[1] JSON: {"told": [[kind, key, figures...]...], "asks": [[the fields of an Ask, keys by their place in KEYS]...]}
-- ARGV[2] the time, for tests; empty: the server's
-- Returns the time, how often something was held longer, and the verdicts.

local MICRO, BUCKET, LEASE, GRACE, PROBE = 1000000, 10000000, 5, 2000000, 60000000
local DAY, HOUR, NANO, WHOLE = 86400000000, 3600000000, 1000000000, 9000000000000000
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min

local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * MICRO + tonumber(time[2])
end

local records = {}

local function record_of(place)
  local record = records[place]
  if record then return record end
  local raw = redis.call('HGETALL', KEYS[place])
  record = {n = {}, waits = {}, held = {}, raw = raw}
  for i = 1, #raw, 2 do
    local name, value = raw[i], raw[i + 1]
    local kind = string.sub(name, 1, 2)
    if kind == 'q:' then
      local came, needs, til = string.match(value, '^(%-?%d+) (%-?%d+) (%-?%d+)$')
      record.waits[string.sub(name, 3)] = {tonumber(came), tonumber(needs), tonumber(til)}
    elseif kind == 'h:' then
      record.held[tonumber(string.sub(name, 3))] = tonumber(value)
    elseif name == 'v' then
      record.v = value
    else
      record.n[name] = tonumber(value)
    end
  end
  if (record.n.x or 0) < now then record.n, record.waits, record.held, record.v = {}, {}, {}, nil end
  local n = record.n
  local at = n.at or now
  if at > now then
    for _, name in ipairs({'r', 't', 'b', 'vr', 'vt', 'o', 'p'}) do
      if n[name] and n[name] ~= 0 then n[name] = max(1, n[name] - (at - now)) end
    end
    for _, it in pairs(record.waits) do it[1], it[3] = it[1] - (at - now), it[3] - (at - now) end
  end
  n.at = now
  records[place] = record
  return record
end

local function keep(place, x) records[place].n.x = x end

local function lease() return floor(now / BUCKET) + LEASE end

local function date(day)
  day = day + 719468
  local era = floor(day / 146097)
  local of_era = day - era * 146097
  local year = floor((of_era - floor(of_era / 1460) + floor(of_era / 36524) - floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + floor(year / 4) - floor(year / 100))
  local month = floor((5 * of_year + 2) / 153)
  if month < 10 then return year + era * 400, month + 3 end
  return year + era * 400 + 1, month - 9
end

local function window_of(per)
  if per == 'hour' then return floor(now / HOUR) end
  local day = floor(now / DAY)
  if per == 'day' then return day end
  local year, month = date(day)
  return year * 12 + month - 1
end

local function end_of(per)
  local window = window_of(per)
  if per == 'hour' then return (window + 1) * HOUR end
  if per == 'day' then return (window + 1) * DAY end
  local year, month = floor((window + 1) / 12), (window + 1) % 12
  if month < 2 then year, month = year - 1, month + 10 else month = month - 2 end
  local days = 365 * year + floor(year / 4) - floor(year / 100) + floor(year / 400) + floor((153 * month + 2) / 5)
  return (days - 719468) * DAY
end

local function spent(budget, per)
  local window, before = window_of(per), budget.n.w or -1
  if before < window or before > window + 1 then budget.n.w, budget.n.s = window, 0 end
  local held, first, last = 0, floor(now / BUCKET), lease()
  for bucket, amount in pairs(budget.held) do
    if bucket < first or bucket > last or amount <= 0 then
      budget.held[bucket] = nil
    else
      held = held + amount
    end
  end
  return budget.n.s, held
end

local function let_go(budget, bucket, amount)
  if budget.held[bucket] then
    budget.held[bucket] = max(0, budget.held[bucket] - amount)
    if budget.held[bucket] == 0 then budget.held[bucket] = nil end
  end
end

local function keep_rate(place, burst)
  local rate = records[place]
  local til = max(rate.n.r or 0, rate.n.t or 0, now) + burst + GRACE
  for _, waits in pairs(rate.waits) do til = max(til, waits[3]) end
  keep(place, til)
end

local told, moved = {}, 0

function told.rate(place, rate, requests, tokens)
  local n = rate.n
  if not n.x then return end
  for name, part in pairs({r = requests, t = tokens}) do
    if part > 0 then
      n[name] = max(n[name] or 0, now) + part
    elseif part < 0 then
      n[name] = max(0, (n[name] or 0) + part)
    end
  end
  keep(place, max(n.x, (n.t or 0) + GRACE))
end

function told.spent(place, budget, per, bucket, held, cost)
  spent(budget, per)
  let_go(budget, bucket, held)
  budget.n.s = budget.n.s + cost
  keep(place, max(budget.n.x or 0, end_of(per) + 2 * LEASE * BUCKET))
end

function told.lease(place, budget, bucket, held)
  let_go(budget, bucket, held)
  budget.held[lease()] = (budget.held[lease()] or 0) + held
  keep(place, max(budget.n.x or 0, now + 2 * LEASE * BUCKET))
  moved = moved + 1
end

function told.breaker(place, breaker, how, probe, threshold)
  local n = breaker.n
  local has_say = probe == 1 or (n.o or 0) == 0
  if probe == 1 then n.p = 0 end
  if how == 'ok' and has_say then
    n.f, n.o = 0, 0
  elseif how == 'began' and probe == 1 then
    n.f, n.o = threshold - 1, 0
  elseif how == 'failed' and has_say then
    n.f = (n.f or 0) + 1
    if n.f >= threshold then n.o = now end
  end
  keep(place, now + HOUR)
end

function told.limit(place, limit, alone, ...)
  local n, buckets = limit.n, {...}
  if alone > 0 then n.b = max(n.b or 0, now + alone) end
  local til = n.b or 0
  for i, kind in ipairs({'r', 't'}) do
    local most, left, full = buckets[i * 3 - 2], buckets[i * 3 - 1], buckets[i * 3]
    if most > 0 and full > 0 and left < most then
      local each = min(kind == 'r' and DAY * 1000 or NANO, max(1, floor(full * 1000 / (most - left))))
      n[kind .. 'i'] = each
      n[kind .. 'b'] = each > floor(WHOLE / most) and WHOLE / 1000 or ceil(most * each / 1000)
      n['v' .. kind] = max(n['v' .. kind] or 0, now + full)
      til = max(til, n['v' .. kind])
    end
  end
  keep(place, max(n.x or 0, til + HOUR))
end

function told.leave(place, rate, client)
  rate.waits[client] = nil
end

function told.put(place, record, value, kept)
  record.v = value
  keep(place, now + kept)
end

local function limited(n, weight)
  local wait = (n.b or 0) - now
  for kind, needs in pairs({r = 1, t = weight}) do
    local each = n[kind .. 'i'] or 0
    if each > 0 then
      local burst, cost = n[kind .. 'b'], ceil(needs * each / 1000)
      wait = max(wait, max(n['v' .. kind] or 0, now) + min(cost, burst) - burst - now)
    end
  end
  return max(0, wait)
end

local function take(place, ask)
  local rate = records[place]
  local n = rate.n
  if ask.request > 0 then n.r = max(n.r or 0, now) + ask.request end
  if ask.tokens > 0 then n.t = max(n.t or 0, now) + ask.tokens end
  local wait = 0
  if ask.next_age >= 0 then
    if ask.request > 0 then wait = n.r + ask.request - ask.burst - now end
    if ask.next_tokens > 0 then
      wait = max(wait, (n.t or 0) + min(ask.next_tokens, ask.burst) - ask.burst - now)
    end
    rate.waits[ask.client] = {now - ask.next_age, ask.next_tokens, now + max(0, wait) + GRACE}
  else
    rate.waits[ask.client] = nil
  end
  keep_rate(place, ask.burst)
  return wait
end

local function judged(ask)
  local failures, probe, spent_by_now, held = 0, 0, 0, 0
  local breaker, budget
  if ask.breaker > 0 then
    breaker = record_of(ask.breaker)
    failures = breaker.n.f or 0
    local opened = breaker.n.o or 0
    if opened > 0 then
      local wait = opened + ask.cooldown - now
      if wait > 0 or (breaker.n.p or 0) > now then
        if wait <= 0 then wait = min(MICRO, ask.cooldown) end
        return {'breaker', now, wait, wait, failures, 0, 0, 0}
      end
      probe = 1
    end
  end
  if ask.budget > 0 then
    budget = record_of(ask.budget)
    spent_by_now, held = spent(budget, ask.per)
    if spent_by_now + held + ask.most > ask.usd then
      return {'budget', now, 0, 0, failures, 0, spent_by_now, held}
    end
  end
  local wait, sure = 0, 0
  local limit, rate
  if ask.limit > 0 then
    limit = record_of(ask.limit)
    sure = limited(limit.n, ask.weight)
    wait = sure
    if wait > MICRO and ask.elsewhere then return {'limit', now, wait, wait, failures, 0, 0, 0} end
  end
  if ask.rate > 0 then
    rate = record_of(ask.rate)
    local arrived, requests, tokens = now - ask.age, 0, 0
    for client, it in pairs(rate.waits) do
      if it[3] < now then
        rate.waits[client] = nil
      elseif client ~= ask.client and (it[1] < arrived or (it[1] == arrived and client < ask.client)) then
        requests, tokens = requests + ask.request, tokens + it[2]
      end
    end
    if ask.request > 0 then
      sure = max(sure, max(rate.n.r or 0, now) + requests + ask.request - ask.burst - now)
    end
    wait = sure
    if ask.tokens > 0 then
      wait = max(wait, max(rate.n.t or 0, now) + tokens + min(ask.tokens, ask.burst) - ask.burst - now)
    end
  end
  if wait > 0 then
    if rate then
      rate.waits[ask.client] = {now - ask.age, ask.tokens, now + wait + GRACE}
      keep_rate(ask.rate, ask.burst)
    end
    return {'rate', now, wait, max(0, sure), failures, 0, 0, 0}
  end
  wait = 0
  if rate then wait = take(ask.rate, ask) end
  if limit then
    for kind, needs in pairs({r = 1, t = ask.weight}) do
      local each = limit.n[kind .. 'i'] or 0
      if each > 0 then
        limit.n['v' .. kind] = max(limit.n['v' .. kind] or 0, now) + ceil(needs * each / 1000)
      end
    end
  end
  if budget then
    budget.held[lease()] = (budget.held[lease()] or 0) + ask.most
    keep(ask.budget, max(budget.n.x or 0, end_of(ask.per) + 2 * LEASE * BUCKET))
  end
  if probe == 1 then
    breaker.n.p = now + PROBE
    keep(ask.breaker, now + PROBE + HOUR)
  end
  return {'', now, max(0, wait), 0, failures, probe, spent_by_now, held}
end

local function answer(ask)
  if ask.place == 0 then return judged(ask) end
  local place, which = record_of(ask.place), 0
  for i, it in ipairs(ask.others) do
    if which == 0 and it[1] == place.v then
      which = i
      ask.model, ask.breaker, ask.limit, ask.weight, ask.tokens, ask.most = it[1], it[2], it[3], it[4], it[5], it[6]
    end
  end
  local verdict = judged(ask)
  if verdict[1] == '' then told.put(ask.place, place, ask.model, ask.kept) end
  verdict[9] = which
  return verdict
end

local given = cjson.decode(ARGV[1])
local verdicts = {}
for _, it in ipairs(given.told) do
  told[it[1]](it[2], record_of(it[2]), it[3], it[4], it[5], it[6], it[7], it[8], it[9])
end
for _, it in ipairs(given.asks) do
  verdicts[#verdicts + 1] = answer({
    client = it[1], age = it[2], breaker = it[3], threshold = it[4], cooldown = it[5], rate = it[6], request = it[7],
    tokens = it[8], burst = it[9], limit = it[10], weight = it[11], elsewhere = it[12], budget = it[13], usd = it[14],
    most = it[15], per = it[16], next_age = it[17], next_tokens = it[18], place = it[19], model = it[20],
    others = it[21], kept = it[22]
  })
end
for place, record in pairs(records) do
  local fields = {}
  for name, value in pairs(record.n) do
    fields[#fields + 1] = name
    fields[#fields + 1] = string.format('%.0f', value)
  end
  for client, it in pairs(record.waits) do
    fields[#fields + 1] = 'q:' .. client
    fields[#fields + 1] = string.format('%.0f %.0f %.0f', it[1], it[2], it[3])
  end
  for bucket, amount in pairs(record.held) do
    fields[#fields + 1] = string.format('h:%.0f', bucket)
    fields[#fields + 1] = string.format('%.0f', amount)
  end
  if record.v then
    fields[#fields + 1] = 'v'
    fields[#fields + 1] = record.v
  end
  if record.n.x and record.n.x >= now then
    -- First what a server that is full refuses, so that it refuses all of it.
    redis.call('HSET', KEYS[place], unpack(fields))
    local there = {}
    for i = 1, #fields, 2 do there[fields[i]] = true end
    for i = 1, #record.raw, 2 do
      if not there[record.raw[i]] then redis.call('HDEL', KEYS[place], record.raw[i]) end
    end
    redis.call('PEXPIREAT', KEYS[place], string.format('%.0f', ceil(record.n.x / 1000)))
  elseif #record.raw > 0 then
    redis.call('DEL', KEYS[place])
  end
end
return {now, moved, verdicts}
