# Step 12: the same request at every tier, while others keep the worker busy.

heading '12. Tiers: the same request under load at flex, default and priority'
tier_request() {  # TIER MAX_TOKENS
  jq -cn --arg model "$model" --arg prompt "$prompt" --arg tier "$1" --argjson most "$2" '{
    model: $model, prompt: $prompt, max_tokens: $most, temperature: 0.7, seed: 7, stream: true,
    service_tier: $tier, metadata: {app: "tiers"}, floe: {cache: "off"}}'
}

loads=()
stop_load() {
  [ "${#loads[@]}" -gt 0 ] || return 0
  kill "${loads[@]}" 2>/dev/null || true
  wait "${loads[@]}" 2>/dev/null || true
  loads=()
}
# keep_asking TIER CLIENTS: one process that asks over and over, until stop_load.
keep_asking() {
  (exec curl -s --no-progress-meter -Z --parallel-immediate --parallel-max "$2" -o /dev/null \
    "$http/v1/completions?[1-100000]" -H @<(key_header) -d "$(tier_request "$1" 64)" 2>/dev/null) &
  loads+=($!)
}
undo+=(stop_load)
# More than the 16 sequences that the worker computes at once: the others wait.
keep_asking flex 24
keep_asking default 8
queued() { [ "$(metric inference vllm:num_requests_waiting)" -ge 4 ]; }
eventually 20 queued || fail 'the load did not fill the worker'
echo "32 clients keep asking; $(metric inference vllm:num_requests_running) requests run and" \
  "$(metric inference vllm:num_requests_waiting) wait"
dim "\$ curl $http/v1/completions -d '$(tier_request priority 24)'     # five times each tier"
for _ in 1 2 3 4 5; do
  for tier in flex default priority; do
    # The head comes with the first token: that moment is what a client calls its first token.
    ask "$sample/tier" /v1/completions "$(tier_request "$tier" 24)" -w '\n%{time_starttransfer}\n'
    stream_facts "$sample/tier" | jq -c --arg asked "$tier" --argjson first "$(tail -n 1 "$sample/tier")" \
      '{asked: $asked, first: ($first * 1000), served: .floe.service_tier_met,
        price: .floe.cost.amount, usage_id: .floe.usage_id}' >>"$sample/tiers"
  done
done
stop_load
[ "$(jq -s '[.[].usage_id // empty] | length' "$sample/tiers")" = 15 ] || fail 'an answer has no usage_id'

# The credit for a missed target is the ledger's to say.
jq -r .usage_id "$sample/tiers" | while read -r usage; do
  eventually 30 have bill explain "$usage" || fail "billing does not know $usage"
  "$floe" bill explain "$usage" --json | jq -c '{credit: (.credit.picodollars | tonumber)}'
done >"$sample/credits"
paste -d' ' "$sample/tiers" "$sample/credits" | jq -cs '[range(0; length; 2) as $i | .[$i] + .[$i + 1]] |
  group_by(.asked)[]' >"$sample/by_tier"
printf '\n%-10s %-24s %12s %10s %14s %14s\n' asked served 'first token' slowest price credit
for tier in flex default priority; do
  jq -r --arg tier "$tier" 'select(.[0].asked == $tier) | map(.first) as $first | [$tier,
    (map(.served) | group_by(.) | map("\(.[0]) \(length)x") | join(", ")),
    ($first | sort | .[length / 2 | floor]), ($first | max),
    (map(.price) | unique | join(" ")), (map(.credit) | add)] | @tsv' "$sample/by_tier"
done | awk -F'\t' 'function dollars(picos) {
    picos = sprintf("%.12f", picos / 1e12); sub(/0+$/, "", picos); sub(/\.$/, "", picos); return "$" picos }
  { printf "%-10s %-24s %9.0f ms %7.0f ms %14s %14s\n", $1, $2, $3, $4, "$" $5, dollars($6) }'
echo '(first token: the median of five; credit: of all five, given back where a target was missed)'

jq -es '["flex", "default", "priority"] as $order |
  (map({key: .[0].asked, value: .}) | from_entries) as $of |
  def median($tier): $of[$tier] | map(.first) | sort | .[length / 2 | floor];
  def price($tier): $of[$tier][0].price | tonumber;
  median("priority") < median("flex") and
  price("flex") < price("default") and price("default") < price("priority")' "$sample/by_tier" >/dev/null ||
  fail 'priority was not faster than flex, or not dearer'
jq -es '["flex", "default", "priority"] as $order | flatten | all(
  (.served as $served | $order | index($served)) as $got | (.asked as $asked | $order | index($asked)) as $want |
  $got <= $want and (($got < $want) == (.credit > 0)))' "$sample/by_tier" >/dev/null ||
  fail 'a missed tier has no credit, or a kept one has'
priority_usage=$(jq -rs 'map(select(.asked == "priority"))[0].usage_id' "$sample/tiers")
