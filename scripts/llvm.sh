#!/bin/sh
# Installs LLVM and MLIR 22 with their headers, for builds with `--features llvm`, where they are not there.
# Where they are is said in .cargo/config.toml.
set -eu

llvm="${LLVM_SYS_221_PREFIX:-/usr/lib/llvm-22}"
packages="llvm-22-dev libmlir-22-dev mlir-22-tools libpolly-22-dev libclang-22-dev libzstd-dev zlib1g-dev libxml2-dev"
# LLVM's own list of libraries names Polly, so a build that links LLVM needs it.
if [ -e "$llvm/include/mlir-c/IR.h" ] && [ -e "$llvm/include/clang-c/Index.h" ] && [ -e "$llvm/lib/libPolly.a" ]; then
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "llvm.sh: install LLVM and MLIR 22 with their headers into $llvm" >&2
  exit 3
fi
echo "installing $packages"
if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo"; fi
$as_root apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $packages
