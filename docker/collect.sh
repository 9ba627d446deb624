#!/usr/bin/env bash
# Copies programs and the shared libraries that they load, those of Debian's base excepted:
#   docker/collect.sh <folder> <program>...     ->  <folder>/bin, <folder>/lib
set -euo pipefail
out=$1
shift
mkdir -p "$out/bin" "$out/lib"
cp "$@" "$out/bin/"
# glibc and the compiler's runtime come from the base image, and must: a program's loader is the base's.
base='ld-linux|libc|libm|libpthread|libdl|librt|libresolv|libnss_.*|libgcc_s|libstdc\+\+'
ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u |
  grep -vE "/(${base})\.so" | xargs -r cp -L -t "$out/lib/"
if ldd "$@" | grep -q 'not found'; then
  ldd "$@" | grep 'not found' >&2
  exit 1
fi
