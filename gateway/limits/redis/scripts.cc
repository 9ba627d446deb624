#include "gateway/limits/redis/scripts.h"

#include "absl/strings/str_cat.h"

#include "base/view.h"

namespace floe::gateway::limits {
namespace {

// A bucket that nobody touched for a minute is full, which is what no bucket means.
constexpr std::string_view kBucket = R"lua(
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local MINUTE = 60000000
local function level(key, limit)
  local saved = redis.call('HMGET', key, 'l', 't')
  if not saved[1] then return limit end
  local passed = math.max(0, now - tonumber(saved[2]))
  return math.min(limit, tonumber(saved[1]) + passed * limit / MINUTE)
end
local function save(key, value)
  redis.call('HSET', key, 'l', string.format('%.6f', value), 't', string.format('%.0f', now))
  redis.call('PEXPIRE', key, 61000)
end
local function whole(value) return string.format('%.0f', math.floor(value + 0.000001)) end
local function wait(missing, limit)
  return string.format('%.0f', math.ceil(math.max(0, missing) * MINUTE / limit))
end
)lua";

constexpr std::string_view kAdmit = R"lua(
local limit, places = tonumber(ARGV[1]), tonumber(ARGV[2])
local have = 0
if limit > 0 then have = level(KEYS[1], limit) end
if places > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now))
  if redis.call('ZCARD', KEYS[2]) >= places then
    return {'2', whole(have), limit > 0 and wait(limit - have, limit) or '0', '1000000'}
  end
end
if limit > 0 then
  if have + 0.000001 < 1 then
    return {'1', '0', wait(limit - have, limit), wait(1 - have, limit)}
  end
  have = have - 1
  save(KEYS[1], have)
end
if places > 0 then
  local lease = tonumber(ARGV[4])
  redis.call('ZADD', KEYS[2], string.format('%.0f', now + lease * 1000), ARGV[3])
  redis.call('PEXPIRE', KEYS[2], lease + 1000)
end
return {'0', whole(have), limit > 0 and wait(limit - have, limit) or '0', '0'}
)lua";

constexpr std::string_view kCharge = R"lua(
local limit, tokens = tonumber(ARGV[1]), tonumber(ARGV[2])
local have = level(KEYS[1], limit)
if have + 0.000001 < tokens then
  return {'1', whole(have), wait(limit - have, limit), wait(tokens - have, limit)}
end
have = have - tokens
save(KEYS[1], have)
return {'0', whole(have), wait(limit - have, limit), '0'}
)lua";

constexpr std::string_view kSettle = R"lua(
local limit, back = tonumber(ARGV[1]), tonumber(ARGV[2])
if limit > 0 and back > 0 and redis.call('EXISTS', KEYS[1]) == 1 then
  save(KEYS[1], math.min(limit, level(KEYS[1], limit) + back))
end
if ARGV[3] ~= '' then redis.call('ZREM', KEYS[2], ARGV[3]) end
return 0
)lua";

constexpr std::string_view kRenew = R"lua(
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local lease = tonumber(ARGV[1])
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + lease * 1000), ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], lease + 1000)
return 0
)lua";

redis::Script WithBucket(std::string_view body) {
  return redis::Script(absl::StrCat(AbslView(kBucket), AbslView(body)));
}

}  // namespace

const redis::Script& AdmitScript() {
  static const redis::Script script = WithBucket(kAdmit);
  return script;
}

const redis::Script& ChargeScript() {
  static const redis::Script script = WithBucket(kCharge);
  return script;
}

const redis::Script& SettleScript() {
  static const redis::Script script = WithBucket(kSettle);
  return script;
}

const redis::Script& RenewScript() {
  static const redis::Script script(kRenew);
  return script;
}

}  // namespace floe::gateway::limits
