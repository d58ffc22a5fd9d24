"""Calls the `aiai` binary of the optimised build."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("AIAI", ROOT / "target/release/aiai"))


def aiai(*arguments: str) -> dict:
    """Runs a command with `--json` in the repository's root and returns the object it prints last."""
    if not BINARY.is_file():
        sys.exit(f"{BINARY} does not exist: cargo build --release")
    done = subprocess.run([BINARY, *arguments, "--json"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"aiai {' '.join(arguments)[:200]}: exit code {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
