# Step 13: what all of this cost, down to one request, and the proof that it is right.

heading '13. The bill: by team, model, tier and token kind, down to one request'
# A workflow of three calls: each names the call that caused it.
workflow=demo-$(date +%s)
workflow_step() {  # NAME PARENT RETRIEVAL TEXT: sets said and step_usage
  ask "$sample/step" /v1/chat/completions "$(jq -cn --arg model "$model" --arg text "$4" \
    --arg workflow "$workflow" --arg step "$1" --arg parent "$2" --argjson retrieval "$3" '{
      model: $model, messages: [{role: "user", content: $text}], max_tokens: 32, temperature: 0,
      floe: ({cache: "off", workflow_id: $workflow, step: $step, retrieval: $retrieval}
        + if $parent == "" then {} else {parent_id: $parent} end)}')"
  said=$(jq -r '.choices[0].message.content' "$sample/step")
  step_usage=$(jq -r .floe.usage_id "$sample/step")
}
workflow_step draft '' '"off"' "$question"
workflow_step look-up "$step_usage" "{\"collection\": \"$collection\", \"top_k\": 2}" "$question"
workflow_step check "$step_usage" '"off"' "$question $said"
eventually 60 delivered || true # if it is not, the proof below says what is missing

run bill report
echo "One request of step 12:"
run bill explain "$priority_usage"
echo "The workflow:"
run bill tree "$workflow"
tree=$("$floe" bill tree "$workflow" --json)
[ "$(jq -r '[.steps[] | select(.operation == "chat") | .step] | join(" ")' <<<"$tree")" = 'draft look-up check' ] ||
  fail 'the tree does not have the three steps in order'
jq -e '([.steps[].net.picodollars | tonumber] | add) == (.net.picodollars | tonumber)' <<<"$tree" >/dev/null ||
  fail "the tree's steps do not sum to its total"
echo "And the proof:"
run bill verify || fail 'floe bill verify found what nothing explains'
