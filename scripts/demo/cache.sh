# Step 11: an answer that was given before comes out of Redis.

heading '11. Cache: the same request again is answered from Redis, marked and priced so'
# A seed of this run: an earlier one's answers may be there still.
cached_request=$(jq -cn --arg model "$model" --argjson seed "$(date +%s)" '{
  model: $model, messages: [{role: "user", content: "What does river mean?"}],
  max_tokens: 48, seed: $seed}')
dim "\$ curl $http/v1/chat/completions -d '$cached_request'     # twice"
for turn in first second; do
  ask "$sample/$turn" /v1/chat/completions "$cached_request" -w '\n%{time_total}'
  jq -rs --arg turn "$turn" '.[0] as $answer | $answer.floe.cost as $cost |
    "\($turn): cache \($answer.floe.cache), \(.[1] * 1000 | floor) ms, $\($cost.amount)",
    ($cost.lines[] | "    \(.quantity) \(.kind) × $\(.unit_price) = $\(.amount)")' "$sample/$turn"
done
jq -es '.[0].floe.cache == "miss" and .[2].floe.cache == "hit"' "$sample/first" "$sample/second" >/dev/null ||
  fail 'the first answer was not computed, or the second not from the cache'
jq -es '.[0].choices == .[2].choices' "$sample/first" "$sample/second" >/dev/null ||
  fail 'the cached answer is another one'
jq -es '.[0].floe.cost as $first | .[2].floe.cost as $second |
  ($second.amount | tonumber) < ($first.amount | tonumber) and
  all($second.lines[]; .kind == "call" or (.kind | startswith("cached_")))' \
  "$sample/first" "$sample/second" >/dev/null || fail 'the cached answer was not priced as cached'
echo "the same text for less: $(jq -rs '.[0].choices[0].message.content' "$sample/second")"
