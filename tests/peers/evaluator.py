"""The reference evaluator of the IR as a function: IR text and NumPy arrays in, NumPy arrays out."""

import json
import subprocess
from pathlib import Path

import ml_dtypes
import numpy as np

ROOT = Path(__file__).resolve().parents[2]

DTYPES = {
    "bool": np.dtype(np.bool_), "f16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16),
    "f32": np.dtype(np.float32), "f64": np.dtype(np.float64),
    **{f"{kind}{bits}": np.dtype(f"{name}{bits}") for kind, name in (("i", "int"), ("u", "uint")) for bits in (8, 16, 32, 64)},
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def type_of(array: np.ndarray) -> str:
    """The type of an array in IR text: `f32[2, 3]`."""
    return f"{NAMES[array.dtype]}[{', '.join(map(str, array.shape))}]"


def to_json(array: np.ndarray) -> dict:
    return {"dtype": NAMES[array.dtype], "shape": list(array.shape), "hex": array.tobytes().hex()}


def from_json(value: dict) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(value["hex"]), DTYPES[value["dtype"]]).reshape(value["shape"])


def evaluate(cases: list[tuple[str, list[np.ndarray]]]) -> list[list[np.ndarray] | str]:
    """The results of the function `main` of every case, or the message of its error."""
    subprocess.run(["cargo", "build", "--quiet", "--package", "aiai-tests", "--bin", "evaluate"], cwd=ROOT, check=True)
    lines = [json.dumps({"ir": ir, "args": [to_json(a) for a in args]}) for ir, args in cases]
    binary = ROOT / "target/debug/evaluate"
    done = subprocess.run([binary], input="\n".join(lines), capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return [a["error"] if "error" in a else [from_json(r) for r in a["results"]] for a in answers]
