#!/usr/bin/env bash
# clang-tidy-14 over files, with GCC's precompiled-header flags taken out of the compile commands.
set -euo pipefail
mkdir -p build/tidy
sed -E 's/-include [^ ]*cmake_pch\.hxx//g; s/-Winvalid-pch|-fpch-preprocess//g' \
  build/release/compile_commands.json >"build/tidy/compile_commands.$$.json"
dir=$(mktemp -d)
trap 'rm -rf "$dir" "build/tidy/compile_commands.$$.json"' EXIT
cp "build/tidy/compile_commands.$$.json" "$dir/compile_commands.json"
# GCC knows warnings that clang does not.
clang-tidy-14 -p "$dir" --quiet --extra-arg=-Wno-unknown-warning-option "$@" 2>/dev/null
