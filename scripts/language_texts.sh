#!/usr/bin/env bash
# Real text in ten languages out of Debian packages, a file a language: scripts/language_texts.sh FOLDER
# The packages are fetched and unpacked there; nothing is installed.
set -euo pipefail
mkdir -p "$1"
cd "$1"

declare -A packages=(
  [czech]=fortunes-cs [german]=fortunes-de [spanish]=fortunes-es [irish]=fortunes-ga [italian]=fortunes-it
  [polish]=fortunes-pl [russian]=fortunes-ru [portuguese]=fortunes-br [chinese]=manpages-zh [japanese]=manpages-ja
  [french]=manpages-fr
)
for language in "${!packages[@]}"; do
  package=${packages[$language]}
  [ -s "$language.txt" ] && continue
  apt-get download -q "$package" >/dev/null 2>&1
  dpkg -x "$package"_*.deb "unpacked-$language"
  find "unpacked-$language/usr/share" \( -path '*/games/fortunes/*' -o -path '*/man/*' \) -type f \
    ! -name '*.dat' ! -name '*.u8' -print0 | sort -z | xargs -0 zcat -f >whole
  head -c 400000 whole >"$language.txt"
  rm -r whole "unpacked-$language" "$package"_*.deb
  echo "$language: $(wc -c <"$language.txt") bytes of $package"
done
