#!/usr/bin/env bash
# Runs the fuzz targets (preset fuzz: clang-14, libFuzzer, address and undefined-behaviour sanitizers), one
# after another, and says what each did. What the fuzzer learns stays in build/fuzz/learnt for the next time;
# a finding is kept in build/fuzz/findings, is named, and ends it with 1.
#
#   ./dev fuzz                        every parser, 5 minutes each
#   ./dev fuzz fuzz_tokenizer_json    one
#   ./dev fuzz --seconds 20           shorter
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/fuzz

seconds=300
wanted=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=${2:?--seconds wants a number}; shift 2 ;;
    -*) echo "error: no option '$1'; see scripts/fuzz.sh" >&2; exit 2 ;;
    *) wanted+=("$1"); shift ;;
  esac
done
[ "${#wanted[@]}" -gt 0 ] || mapfile -t wanted < <(cd "$build/fuzz" && ls ./*.corpus | sed 's|^./||; s|.corpus$||')

mkdir -p "$build/findings"
table=''
failed=0
for name in "${wanted[@]}"; do
  program=$build/fuzz/$name
  [ -x "$program" ] || { echo "error: no fuzz target '$name'" >&2; exit 2; }
  mkdir -p "$build/learnt/$name"
  echo "== $name, $seconds s"
  log=$build/findings/$name.log
  verdict=clean
  "$program" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=4096 -max_len=65536 -print_final_stats=1 \
    -artifact_prefix="$build/findings/$name-" "$build/learnt/$name" "$(cat "$program.corpus")" >"$log" 2>&1 ||
    { verdict="FINDING: $log"; failed=1; tail -n 20 "$log" >&2; }
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  table+=$(printf '%-24s %12s runs  %s' "$name" "${runs:-?}" "$verdict")$'\n'
done
printf '\n%s' "$table"
exit "$failed"
