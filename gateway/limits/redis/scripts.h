// The three steps that must not be torn apart, in Lua. Each reads the clock of Redis, so that the
// clocks of gateways do not matter. Times are microseconds; a bucket is a hash of its level `l` and
// when that was, `t`; places are a sorted set, each with the time at which its lease ends.
#pragma once

#include "gateway/redis/script.h"

namespace floe::gateway::limits {

// KEYS: bucket of requests, places. ARGV: requests a minute or 0, places or 0, the new place's
// name, its lease in ms. Gives {refused: 0 no, 1 requests, 2 places; remaining, reset µs, retry
// after µs}.
const redis::Script& AdmitScript();

// KEYS: bucket of tokens. ARGV: tokens a minute, tokens. Gives the same list; refused is 0 or 1.
const redis::Script& ChargeScript();

// KEYS: bucket of tokens, places. ARGV: tokens a minute, tokens to give back, place or "".
const redis::Script& SettleScript();

// KEYS: places. ARGV: lease in ms, names of places. Each of them is held again from now on, also
// when Redis had forgotten it.
const redis::Script& RenewScript();

}  // namespace floe::gateway::limits
