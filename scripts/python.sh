# Sourced by `./test` from the repository root: sets PYTHON to an interpreter that has the packages
# of `scripts/requirements.txt`, in `.cache/python`. Installs what is missing, once.

if ! command -v python3 >/dev/null || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  if ! command -v apt-get >/dev/null; then
    echo "python.sh: install Python 3.11 or newer with its venv module" >&2
    exit 3
  fi
  echo "installing python3-venv"
  if [ "$(id -u)" = 0 ]; then as_root=""; else as_root="sudo"; fi
  $as_root apt-get update -qq
  $as_root apt-get install -y -qq python3 python3-venv
fi

PYTHON="$PWD/.cache/python/bin/python"
installed=.cache/python/requirements.txt
if ! cmp -s scripts/requirements.txt "$installed"; then
  echo "installing the packages of scripts/requirements.txt into .cache/python"
  rm -rf .cache/python
  mkdir -p .cache
  python3 -m venv .cache/python
  "$PYTHON" -m pip install --quiet --disable-pip-version-check --requirement scripts/requirements.txt
  cp scripts/requirements.txt "$installed"
fi
export PYTHON
