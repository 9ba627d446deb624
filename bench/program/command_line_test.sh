#!/bin/sh
# command_line_test.sh PROGRAM: it answers --help with 0 on standard output, and an unknown option with 2, telling on
# standard error which one and what is known.
set -eu
fail() {
  echo "$1" >&2
  exit 1
}
name=$(basename "$1")
help=$("$1" --help 2>/dev/null) || fail "$name --help ended with $?"
case "$help" in *"Usage: $name"*) ;; *) fail "$name --help says: $help" ;; esac
code=0
said=$("$1" --no-such-option 2>&1 >/dev/null) || code=$?
[ "$code" = 2 ] || fail "$name --no-such-option ended with $code and not with 2"
case "$said" in *--no-such-option*"Usage: $name"*) ;; *) fail "$name --no-such-option says: $said" ;; esac
