"""Calls the `aiai` binary of the optimised build, and the libraries that it makes."""

import ctypes
import functools
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("AIAI", ROOT / "target/release/aiai"))
BACKEND = os.environ.get("BACKEND", "llvm")

sys.path.insert(0, str(ROOT / "examples/library"))
from aiai_library import DLTensor, Model, view  # noqa: E402


class AiaiError(Exception):
    """A command that failed, with what it printed."""


def checked(*arguments: str, **environment: str) -> dict:
    """Runs a command with `--json` in the repository's root and returns the object it prints last."""
    if not BINARY.is_file():
        sys.exit(f"{BINARY} does not exist: cargo build --release")
    command = [BINARY, *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode != 0:
        raise AiaiError(f"aiai {' '.join(arguments)[:200]}: exit code {done.returncode}\n{done.stderr or done.stdout}")
    return json.loads(done.stdout.splitlines()[-1])


def aiai(*arguments: str) -> dict:
    """The same; a failure ends the script."""
    try:
        return checked(*arguments)
    except AiaiError as error:
        sys.exit(str(error))


def save_weights(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """A safetensors file of f32."""
    header, data = {}, b""
    for name, tensor in tensors.items():
        end = len(data) + tensor.nbytes
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [len(data), end]}
        data += tensor.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


FOLDER = tempfile.TemporaryDirectory(prefix="aiai-peers-")  # of all libraries, until the script ends
NUMBERS = itertools.count()


class Program:
    """A function as a library, compiled when it is first opened.

    `model` is the text of a program or the folder of a model; `weights` are the leaves of its modules by their paths,
    constants of the library.
    """

    def __init__(
        self, model: str | Path, entry: str, weights: dict[str, np.ndarray] | None = None, target: str = "cpu"
    ):
        self.model, self.entry, self.weights, self.target = model, entry, weights, target

    @functools.cached_property
    def files(self) -> tuple[Path, Path | None]:
        """The library and its weights."""
        folder, name = Path(FOLDER.name), f"model{next(NUMBERS)}"
        model, options = self.model, []
        if isinstance(model, str):
            model = folder / f"{name}.aiai"
            model.write_text(self.model)
        given = folder / "given.safetensors"
        if self.weights:
            save_weights(given, self.weights)
            options = ["--weights", str(given)]
        built = ["--target", self.target, "--backend", BACKEND, "-o", str(folder / name)]
        checked("build", f"{model}:{self.entry}", *built, *options)
        weights = folder / f"{name}.safetensors"
        return folder / f"lib{name}.so", weights if weights.is_file() else None


class Bound:
    """A compiled function, open and bound to arrays: `call()` computes `result` anew."""

    def __init__(self, program: Program, inputs: list[np.ndarray], shape: tuple, threads: int):
        self.result = np.full(shape, np.nan, np.float32)
        self.model = Model(*program.files, threads)
        self.inputs = inputs  # their memory is used as long as this is open
        pointers = [ctypes.pointer(view(array)) for array in [*inputs, self.result]]
        given = (ctypes.POINTER(DLTensor) * len(inputs))(*pointers[:-1])
        taken = (ctypes.POINTER(DLTensor) * 1)(pointers[-1])
        function = self.model.library.aiai_call
        self.call = functools.partial(function, self.model.handle, given, len(inputs), taken, 1)
        self.model.check(self.call())

    def close(self) -> None:
        self.model.close()
