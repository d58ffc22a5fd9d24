#!/bin/sh
# Installs the SMT solver that proofs of rules ask, where it is not there. Without it they are fewer.
set -eu

if command -v z3 >/dev/null; then
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "solver.sh: install z3 and put it on the search path" >&2
  exit 3
fi
echo "installing z3"
if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo"; fi
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq z3
