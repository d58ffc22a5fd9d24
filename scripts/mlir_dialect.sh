#!/bin/sh
# Writes examples in the dialect `aiai` of MLIR, has an unmodified mlir-opt check and print them anew, and reads that
# again: it must be the same program. Needs LLVM 22 (scripts/llvm.sh). AIAI names another binary of aiai.
set -eu
cd "$(dirname "$0")/.."

opt="${MLIR_SYS_220_PREFIX:-/usr/lib/llvm-22}/bin/mlir-opt"
aiai="${AIAI:-cargo run --quiet --locked --}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# TARGET FORM MLIR-FORM OPTIONS...: the same text by both ways.
round_trip() {
  target=$1 form=$2 mlir=$3
  shift 3
  $aiai emit "$target" --ir "$form" --locations "$@" >"$work/wanted.txt"
  $aiai emit "$target" --ir "$mlir" --locations "$@" >"$work/exported.mlir"
  for style in "" "--mlir-print-op-generic"; do
    "$opt" --irdl-file="$work/aiai.irdl.mlir" --mlir-print-debuginfo $style "$work/exported.mlir" >"$work/printed.mlir"
    $aiai emit "$work/printed.mlir" --ir "$form" --locations >"$work/again.txt"
    cmp "$work/wanted.txt" "$work/again.txt"
  done
}

$aiai emit --ir irdl >"$work/aiai.irdl.mlir"
for target in examples/digits:step examples/digits:evaluate examples/minilm; do
  round_trip $target tensor mlir --after source
  round_trip $target tensor mlir
  round_trip $target loop mlir-loop
  round_trip $target loop mlir-loop --backend llvm
  echo "$target: the same after mlir-opt"
done
