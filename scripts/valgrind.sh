#!/bin/sh
# Installs valgrind, which watches what compiled libraries do to memory, where it is not there.
set -eu

if command -v valgrind >/dev/null; then
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "valgrind.sh: install valgrind" >&2
  exit 3
fi
echo "installing valgrind"
if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo"; fi
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq valgrind
