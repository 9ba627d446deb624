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
# What has to be undone however the demo ends: steps add functions.
undo=()
finish() {
  local one
  for one in "${undo[@]}"; do "$one" || true; done
  rm -rf "$sample"
}
trap finish EXIT

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
# eventually SECONDS COMMAND…: until it succeeds, at most so long.
eventually() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.3
  done
}

# The admin key as curl's `-H @file` reads it: by a descriptor, so that it does not stand in the list
# of processes.
key_header() { printf 'Content-Type: application/json\nAuthorization: Bearer %s\n' "$(cat .floe/admin.key)"; }
# post PATH BODY [curl options…]: asks the gateway.
post() {
  local path=$1 body=$2
  shift 2
  curl -sS --no-buffer "$http$path" -H @<(key_header) -d "$body" "$@"
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

# The last event of a stream that carries what the fleet says about the answer.
stream_facts() {
  sed -n 's/^data: //p' "$1" | tr -d '\r' | grep -v '^\[DONE\]$' | jq -cs '[.[] | select(.floe)][-1]'
}

# metric SERVICE NAME: the sum of its series, from the service's side port.
metric() {
  curl -sS "http://127.0.0.1:$(jq -r --arg service "$1" '.services[$service].side' .floe/fleet.json)/metrics" |
    awk -v name="$2" '$1 ~ "^" name "({|$)" { sum += $NF } END { print sum + 0 }'
}
# Whether billing has taken in all that gateways and workers have journaled.
delivered() { "$floe" bill verify --json 2>/dev/null | jq -e '.clean and .on_the_way == 0' >/dev/null; }

# job_file_of NAME [STEPS]: docs/examples/NAME.yaml, or a copy of it that trains for so many steps.
job_file_of() {
  local file=docs/examples/$1.yaml
  if [ -n "${2-}" ]; then
    sed "s/^  steps: .*/  steps: $2/" "$file" >"$folder/$1.yaml"
    file=$folder/$1.yaml
  fi
  echo "$file"
}
