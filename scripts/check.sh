#!/usr/bin/env bash
# Formatting, layers and style, proto lint, and clang-tidy on what changed since a base (default: main's
# merge base, or the last commit when on main).
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0
step() { printf '== %s\n' "$1"; }

step 'formatting (clang-format-14; ./dev fmt mends it)'
git ls-files -z '*.cc' '*.h' | xargs -0 -r clang-format-14 --dry-run --Werror || failed=1

step 'layers and style (scripts/check_tree.py)'
scripts/check_tree.py || failed=1

step 'contracts (buf lint)'
buf=build/tools/node_modules/.bin/buf
if [ ! -x "$buf" ]; then
  if command -v npm >/dev/null; then
    npm install --silent --no-fund --no-audit --prefix build/tools @bufbuild/buf@1.75.0 >/dev/null ||
      echo 'error: npm could not install @bufbuild/buf' >&2
  else
    echo "error: proto lint needs npm (Debian package 'npm') to fetch @bufbuild/buf" >&2
  fi
fi
if [ -x "$buf" ]; then
  "$buf" lint proto || failed=1
  if git rev-parse -q --verify origin/main >/dev/null; then
    "$buf" breaking proto --against '.git#ref=refs/remotes/origin/main,subdir=proto' || failed=1
  fi
else
  failed=1
fi

step 'chart (helm lint, and its flags and metrics against the code)'
scripts/check_chart.py || failed=1

step 'clang-tidy-14 on changed files'
base=${1:-$(git merge-base HEAD main 2>/dev/null || git rev-parse HEAD)}
[ "$base" != "$(git rev-parse HEAD)" ] || base=HEAD~1
if [ ! -f build/release/compile_commands.json ]; then
  echo 'error: no build/release/compile_commands.json; run ./dev build first' >&2
  failed=1
else
  # LibTorch's headers cannot be parsed by clang-tidy 14 as C++20. GCC's precompiled headers neither.
  git diff --name-only --diff-filter=d "$base" -- '*.cc' 2>/dev/null |
    while read -r file; do grep -qE '#include .(torch|trainer/internal)/' "$file" || echo "$file"; done |
    xargs -r -P "$(nproc)" -n 4 scripts/tidy.sh || failed=1
fi

[ "$failed" -eq 0 ] && echo 'check: clean'
exit "$failed"
