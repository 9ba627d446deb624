# Steps 1 to 5: from text to a registered version in production.

job_file=$(job_file_of pretrain "${FLOE_DEMO_PRETRAIN_STEPS-}")

heading "1. A corpus from WordNet, registered by its digest"
[ -s "$corpus" ] || scripts/wordnet_corpus.py "$corpus"
head -n 5 "$corpus" | grep .
run data import "$corpus" --name "$dataset" --description 'WordNet 3.0: glosses and examples'

heading "2. A byte-level BPE tokenizer, vocabulary $vocab_size"
digest=$("$floe" data ls --json | jq -r --arg name "teams/default/datasets/$dataset" \
  '.[] | select(.name == $name).digest')
trained_on=$("$floe" tokenizer ls --json | jq -r --arg name "teams/default/tokenizers/$tokenizer" \
  '.[] | select(.name == $name).dataset_digest')
if [ "$trained_on" != "$digest" ]; then
  run tokenizer train --name "$tokenizer" --dataset "$dataset" --vocab-size "$vocab_size" --watch
fi
run tokenizer ls
head -n 4000 "$corpus" >"$sample/text"
"$floe" tokenizer encode "$tokenizer" --file "$sample/text" >"$sample/ids"
"$floe" tokenizer decode "$tokenizer" --file "$sample/ids" >"$sample/back"
cmp "$sample/text" "$sample/back" || fail 'decoding did not give the text back'
awk -v bytes="$(wc -c <"$sample/text")" -v tokens="$(wc -w <"$sample/ids")" 'BEGIN {
  printf "round trip: %d bytes -> %d tokens -> the same %d bytes; %.2f bytes a token\n",
         bytes, tokens, bytes, bytes / tokens }'

heading '3. The blueprint: where the parameters are, before any token is seen'
run plan --job "$job_file" --vocab-size "$vocab_size"

heading '4. Pre-training, from random weights'
# The job that made the newest version, when it was made from this file and these inputs.
fingerprint=$(cat "$job_file" "$corpus" | sha256sum | cut -d' ' -f1)
job=''
if [ "$(cat "$folder/trained" 2>/dev/null)" = "$fingerprint" ] && have models ls "$model"; then
  job=$("$floe" models ls "$model" --json |
    jq -r '[.[] | select(.lineage.job | contains("/trainer-"))][0].lineage.job')
  echo "version made by an earlier run; what its job said:"
  run jobs watch "${job##*/}"
else
  running=$("$floe" jobs ls --json --limit 0 | jq -r \
    '[.[] | select(.kind == "pretrain" and (.state == "running" or .state == "queued"))][0].name // ""')
  if [ -n "$running" ]; then
    job=$running
    run jobs watch "${job##*/}"
  else
    job=$("$floe" train "$job_file" --json | jq -r .name)
    dim "\$ floe train $job_file --watch"
    "$floe" jobs watch "${job##*/}"
  fi
  echo "$fingerprint" >"$folder/trained"
fi
"$floe" jobs watch "${job##*/}" --json >"$sample/events"
jq -s '[.[] | .progress.metrics.loss? // empty] | .[0], .[-1]' "$sample/events" | {
  read -r first && read -r last
  awk -v first="$first" -v last="$last" -v v="$vocab_size" 'BEGIN {
    printf "the loss began at %.2f (ln %d is %.2f) and ended at %.2f\n", first, v, log(v), last
    exit !(first > last + 1) }'
} || fail 'the loss did not fall clearly'

heading '5. The registered version, promoted to production'
version=$("$floe" jobs show "${job##*/}" --json | jq -r .result)
reference="$model@${version##*/}"
run models show "$reference"
run models verify "$reference"
if have models gate show "$model"; then  # an earlier run has set gates, and has promoted a better one
  run models rollback "$model" --to "${version##*/}" --reason 'the demo begins again'
else
  run models promote "$reference" --reason 'the demo'
fi

