#!/usr/bin/env bash
# The whole life of a language model on this machine: real text, a tokenizer, a sized and trained
# model, a registered version, and an answer over HTTP, plain and streamed. `./dev demo` builds first.
# What a former run made is used again. Ends with 0 only when the loss fell clearly and both answers
# are the same.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

floe=build/release/bin/floe
job_file=docs/examples/pretrain.yaml
corpus=.floe/demo/wordnet.txt
dataset=wordnet
tokenizer=wordnet-4k
vocab_size=4096
model=lexicon
prompt='A dog is'
started=$SECONDS

# Of this folder's fleet, whatever the person's shell is set up for.
unset FLOE_DIR FLOE_DOOR FLOE_HTTP FLOE_CA FLOE_KEY FLOE_KEY_FILE FLOE_INSECURE

heading() { printf '\n\033[1m== %s\033[0m\n' "$1"; }
run() {
  printf '\033[2m$ floe %s\033[0m\n' "$*"
  "$floe" "$@"
}
fail() {
  printf 'demo: %s\n' "$1" >&2
  exit 1
}
have() { "$floe" "$@" >/dev/null 2>&1; }

heading 'The fleet'
run up

heading "1. A corpus from WordNet, registered by its digest"
if [ ! -s "$corpus" ]; then
  mkdir -p "$(dirname "$corpus")"
  scripts/wordnet_corpus.py "$corpus"
fi
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
sample=$(mktemp -d)
trap 'rm -rf "$sample"' EXIT
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
if [ "$(cat .floe/demo/trained 2>/dev/null)" = "$fingerprint" ] && have models ls "$model"; then
  job=$("$floe" models ls "$model" --json | jq -r '.[0].lineage.job')
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
    printf '\033[2m$ floe train %s --watch\033[0m\n' "$job_file"
    "$floe" jobs watch "${job##*/}"
  fi
  echo "$fingerprint" >.floe/demo/trained
fi
"$floe" jobs watch "${job##*/}" --json >"$sample/events"
losses=$(jq -s '[.[] | .progress.metrics.loss? // empty] | {first: .[0], last: .[-1]}' \
  "$sample/events")

heading '5. The registered version, promoted to production'
version=$("$floe" jobs show "${job##*/}" --json | jq -r .result)
reference="$model@${version##*/}"
run models show "$reference"
run models verify "$reference"
run models promote "$reference" --reason 'the demo'

heading '6. Asking the gateway over HTTP: once plain, once as a stream'
http=$(jq -r .http .floe/fleet.json)
request() {
  jq -cn --arg model "$model" --arg prompt "$prompt" --argjson stream "$1" '{
    model: $model, prompt: $prompt, max_tokens: 48, temperature: 0.7, top_p: 0.9, seed: 7,
    stream: $stream, floe: {cache: "off"} }
    + if $stream then {stream_options: {include_usage: true}} else {} end'
}
ask() {
  # The key by a file descriptor: not in the list of processes.
  curl -sS --no-buffer --fail-with-body "$http/v1/completions" -H 'Content-Type: application/json' \
    -H @<(printf 'Authorization: Bearer %s\n' "$(cat .floe/admin.key)") -d "$(request "$1")"
}
printf '\033[2m$ curl %s/v1/completions -d '\''%s'\''\033[0m\n' "$http" "$(request false)"
ask false >"$sample/plain" || fail "the plain request failed: $(cat "$sample/plain")"
plain=$(jq -r '.choices[0].text' "$sample/plain")
printf '%s%s\n' "$prompt" "$plain"
jq -c '{usage, system_fingerprint}' "$sample/plain"

printf '\n\033[2m$ curl … "stream": true\033[0m\n'
ask true >"$sample/stream" || fail "the streamed request failed: $(cat "$sample/stream")"
sed -n 's/^data: //p' "$sample/stream" | tr -d '\r' >"$sample/data"
head -n 3 "$sample/stream" | grep .
echo "… $(grep -c . "$sample/data") events, the last: $(tail -n 1 "$sample/data")"
[ "$(tail -n 1 "$sample/data")" = '[DONE]' ] || fail 'the stream did not end with [DONE]'
streamed=$(grep -v '^\[DONE\]$' "$sample/data" | jq -js '[.[].choices[0].text? // ""] | join("")')
printf '%s%s\n' "$prompt" "$streamed"

heading 'Was it so?'
[ "$plain" = "$streamed" ] || fail 'the two answers differ'
[ -n "$plain" ] || fail 'the answer is empty'
echo "both answers are the same text, from checkpoint $(jq -r .system_fingerprint "$sample/plain")"
first=$(jq .first <<<"$losses")
last=$(jq .last <<<"$losses")
awk -v first="$first" -v last="$last" -v v="$vocab_size" 'BEGIN {
  printf "the loss began at %.2f (ln %d is %.2f) and ended at %.2f\n", first, v, log(v), last
  exit !(first > last + 1) }' || fail 'the loss did not fall clearly'
printf 'the demo took %d min %02d s\n' $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60))

heading 'The fleet goes on'
cat <<EOT
  HTTP       $http/v1   (OpenAI-compatible; key in .floe/admin.key)
  door       $(jq -r .door .floe/fleet.json)   (gRPC)

Next:
  $floe status
  $floe chat $model -m 'A cat is' --temperature 0.7
  $floe jobs ls
  $floe models export $model ./$model         a Hugging Face folder
  $floe keys create --name me --role consumer
  $floe down                               stops it; everything stays in .floe/
EOT
