#!/usr/bin/env bash
# 100 MB of English text out of Debian's documentation packages: scripts/documentation_corpus.sh FILE
# The packages are fetched and unpacked beside the file; nothing is installed.
set -euo pipefail
out=$(realpath -m "$1")
scratch=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
for package in linux-doc-6.1 python3.11-doc perl-doc postgresql-doc-15 wordnet-base; do
  apt-get download -q "$package" >/dev/null 2>&1
  dpkg -x "$package"_*.deb unpacked
done
in_order() { find "unpacked/usr/share/$1" -type f "${@:2}" -print0 | sort -z; }
{
  in_order doc/linux-doc-6.1/Documentation -name '*.gz' | xargs -0 zcat
  in_order doc -path '*/python3.11*' -name '*.html' | xargs -0 cat | sed 's/<[^>]*>//g'
  in_order doc -path '*postgresql*' -name '*.html' | xargs -0 cat | sed 's/<[^>]*>//g'
  in_order perl -name '*.pod' | xargs -0 cat
  in_order wordnet | xargs -0 cat
} >text
# What is no UTF-8 is left out; iconv -c lets some of it through.
head -c 100000000 text |
  python3 -c 'import sys; sys.stdout.write(sys.stdin.buffer.read().decode("utf-8", "ignore"))' >"$out"
echo "$out: $(wc -c <"$out") bytes"
