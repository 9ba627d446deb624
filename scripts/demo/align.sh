# Steps 7 and 8: alignment, and a promotion that the evidence allows.
#
# The model learns to answer questions (SFT) and which of two answers is right (DPO). The alias
# `production` moves only because the evidence on held-out words is better, and goes back and forth.

align_data=$folder
sft_file=$(job_file_of sft "${FLOE_DEMO_SFT_STEPS-}")
dpo_file=$(job_file_of dpo "${FLOE_DEMO_DPO_STEPS-}")
align_sets=(definitions:chat definitions-held-out:chat preferences:preference
  preferences-held-out:preference choices-held-out:choices)

# Watches the job of this fingerprint if an earlier run made it, else submits one. Sets align_job.
align_run() {
  local name=$1 fingerprint=$2
  shift 2
  local mark=$align_data/$name.job
  if [ -s "$mark" ] && [ "$(sed -n 1p "$mark")" = "$fingerprint" ] &&
    [ "$("$floe" jobs show "$(sed -n 2p "$mark")" --json 2>/dev/null | jq -r .state)" = succeeded ]; then
    align_job=$(sed -n 2p "$mark")
    echo "made by an earlier run; what its job said:"
  else
    align_job=$("$floe" "$@" --json | jq -r .name)
    align_job=${align_job##*/}
  fi
  dim "\$ floe $* --watch"
  "$floe" jobs watch "$align_job"
  printf '%s\n%s\n' "$fingerprint" "$align_job" >"$mark"
}

# model@number from the version that a job made.
align_result() {
  local result
  result=$("$floe" jobs show "$1" --json | jq -r .result)
  printf '%s@%s' "$model" "${result##*/}"
}

# One number of a version's newest evidence on a dataset.
align_number() {
  "$floe" eval ls --model "$1" --dataset "$2" --json | jq -r --arg metric "$3" '.[0].metrics[$metric]'
}

heading '7. Alignment: SFT on questions and answers, then DPO on preferences'
scripts/wordnet_alignment.py "$align_data"
head -n 1 "$align_data/definitions.jsonl"
for set in "${align_sets[@]}"; do
  "$floe" data import "$align_data/${set%%:*}.jsonl" --format "${set##*:}" \
    --description 'WordNet 3.0: what words mean' >/dev/null
done
run data ls
made_from=$(cat "$sft_file" "$dpo_file" "$align_data"/*.jsonl <(echo "$reference") | sha256sum | cut -d' ' -f1)
align_run sft "$made_from" train "$sft_file" --set "base=$reference"
sft=$(align_result "$align_job")
align_run dpo "$made_from" train "$dpo_file" --set "base=$sft"
aligned=$(align_result "$align_job")
run models show "$aligned"

heading '8. Promotion with evidence: measured on held-out words by the engine that serves'
align_run evaluate "$made_from $aligned" eval run "$reference" "$sft" "$aligned" \
  --dataset definitions-held-out --dataset preferences-held-out --dataset choices-held-out
printf '\n%-14s %14s %14s %14s %14s\n' version 'answer loss' 'pref accuracy' 'margin a token' 'choice acc.'
for version in "$reference" "$sft" "$aligned"; do
  printf '%-14s %14.4f %14.4f %14.4f %14.4f\n' "$version" \
    "$(align_number "$version" definitions-held-out answer_loss)" \
    "$(align_number "$version" preferences-held-out preference_accuracy)" \
    "$(align_number "$version" preferences-held-out preference_margin_per_token)" \
    "$(align_number "$version" choices-held-out accuracy)"
done
echo
run models gate set "$model" docs/examples/gates.yaml
run models promote "$aligned" --reason 'better on held-out words'
echo 'The base would not pass the gates again:'
if run models promote "$reference" 2>&1; then fail 'the gates let the base through'; fi
echo 'But one command rolls back, and one goes forward again, through the gates:'
run models rollback "$model" --reason 'the demo shows it'
run models promote "$aligned" --reason 'forward again'
[ "$("$floe" models show "$model@production" --json | jq -r .digest)" = \
  "$("$floe" models show "$aligned" --json | jq -r .digest)" ] || fail "production is not $aligned"
