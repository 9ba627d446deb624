# What the demo's steps share; sourced by scripts/demo.sh.
#
# Settings by environment, for a quick look with little training:
#   FLOE_DEMO_PRETRAIN_STEPS, FLOE_DEMO_SFT_STEPS, FLOE_DEMO_DPO_STEPS   instead of the job files'

floe=build/release/bin/floe
folder=.floe/demo
corpus=$folder/wordnet.txt
dataset=wordnet
tokenizer=wordnet-4k
vocab_size=4096
model=lexicon
prompt='A dog is'

# Of this folder's fleet, whatever the person's shell is set up for.
unset FLOE_DIR FLOE_DOOR FLOE_HTTP FLOE_CA FLOE_KEY FLOE_KEY_FILE FLOE_INSECURE

sample=$(mktemp -d)

heading() { printf '\n\033[1m== %s\033[0m\n' "$1"; }
dim() { printf '\033[2m%s\033[0m\n' "$*"; }
run() {
  dim "\$ floe $*"
  "$floe" "$@"
}
fail() {
  printf 'demo: %s\n' "$1" >&2
  exit 1
}
have() { "$floe" "$@" >/dev/null 2>&1; }

# post PATH BODY [curl options…]: asks the gateway with the admin key, which is given by a file
# descriptor so that it does not stand in the list of processes.
post() {
  local path=$1 body=$2
  shift 2
  curl -sS --no-buffer "$http$path" -H 'Content-Type: application/json' \
    -H @<(printf 'Authorization: Bearer %s\n' "$(cat .floe/admin.key)") -d "$body" "$@"
}
# The same to a file; anything but a good answer ends the demo.
ask() {
  local out=$1
  shift
  post "$@" --fail-with-body >"$out" || fail "a request failed: $(cat "$out")"
}

# The text of a stream in a file of events.
stream_text() {
  sed -n 's/^data: //p' "$1" | tr -d '\r' | grep -v '^\[DONE\]$' |
    jq -js '[.[].choices[0] | .text? // .delta.content? // ""] | join("")'
}

# job_file_of NAME [STEPS]: docs/examples/NAME.yaml, or a copy of it that trains for so many steps.
job_file_of() {
  local file=docs/examples/$1.yaml
  if [ -n "${2-}" ]; then
    sed "s/^  steps: .*/  steps: $2/" "$file" >"$folder/$1.yaml"
    file=$folder/$1.yaml
  fi
  echo "$file"
}
