# Sourced from the repository root: LLVM and MLIR 22 for builds with `--features llvm`. Installs what is
# missing, and says where it is.

llvm=/usr/lib/llvm-22
packages="llvm-22-dev libmlir-22-dev mlir-22-tools libclang-22-dev libzstd-dev zlib1g-dev libxml2-dev"
if ! [ -e "$llvm/include/mlir-c/IR.h" ] || ! [ -e "$llvm/include/clang-c/Index.h" ]; then
  if ! command -v apt-get >/dev/null; then
    echo "llvm.sh: install LLVM and MLIR 22 with their headers into $llvm" >&2
    exit 3
  fi
  echo "installing $packages"
  if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo"; fi
  $as_root apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq $packages
fi
export LLVM_SYS_221_PREFIX="$llvm" MLIR_SYS_220_PREFIX="$llvm" TABLEGEN_220_PREFIX="$llvm"
