#!/usr/bin/env python3
"""Latency of minilm, 1 x 16, 1 x 128 and 32 x 128 tokens, beside ONNX Runtime and OpenVINO; then what comes before the first call.

That is: from source to machine code, cold and from the compile cache, the size of the object file, and the time from
a file to an open model; for the peers, from the ONNX model to a session.
"""

import functools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from aiai import BACKEND, ROOT, Bound, Program, checked
from minilm_model import HEADS, LAYERS, WIDTH, Graph
from peers import Case, OnnxRuntime, OpenVino, Sides, arguments, both, ours, run

MODEL = ROOT / "examples/minilm"
SHAPES = ((1, 16), (1, 128), (32, 128))
D, F = HEADS * WIDTH, 1536
REPEATS = 5


@functools.cache
def onnx_model() -> bytes:
    return Graph().build().SerializeToString()


def inputs(batch: int, length: int) -> tuple[dict, dict]:
    """What aiai takes, and the same for the peers in 64 bits."""
    ids = np.random.default_rng().integers(1000, 30000, (batch, length))
    return tuple({"ids": ids.astype(dtype), "mask": np.ones_like(ids, dtype)} for dtype in (np.int32, np.int64))


def sides(program: Program, batch: int, length: int) -> Sides:
    narrow, wide = inputs(batch, length)
    return ours(program, narrow, (batch, D)) | both(onnx_model(), wide, (batch, D))


def case(program: Program, batch: int, length: int) -> Case:
    tokens, weights = batch * length, LAYERS * (4 * D * D + 2 * D * F)
    attention = LAYERS * batch * HEADS * length * length * (4 * WIDTH + 5)
    read, written = 4 * (weights + tokens * D), 4 * batch * D
    work = 2 * tokens * weights + attention
    return Case(f"{batch}x{length}", "minilm", lambda: sides(program, batch, length), work, read, written)


def median(action: Callable[[], object]) -> float:
    def once() -> float:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    return round(statistics.median(once() for _ in range(REPEATS)), 4)


def compiling() -> dict:
    """Seconds from source to machine code, of `aiai run` and `aiai build`, and bytes of the files that `build` writes."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "run": ["run", str(MODEL), "--text", "one", "--backend", BACKEND],
            "build": ["build", str(MODEL), "--target", "cpu", "-o", f"{folder}/minilm", "--backend", BACKEND],
        }
        for name, command in commands.items():
            seconds = lambda cache: checked(*command, AIAI_CACHE=cache)["compile_seconds"]
            cold = statistics.median(seconds("") for _ in range(REPEATS))
            seconds(f"{folder}/{name}-cache")
            cached = statistics.median(seconds(f"{folder}/{name}-cache") for _ in range(REPEATS))
            found[name] = {"cold_s": round(cold, 4), "cached_s": round(cached, 4)}
        files = Path(folder).glob("*minilm.*")
        found["bytes"] = {file.name: file.stat().st_size for file in sorted(files)}
    return found


def opening(program: Program) -> dict:
    """Seconds from files (aiai) or an ONNX model in memory to the first result of one sentence of 16 tokens."""
    narrow, wide = inputs(1, 16)
    return {
        "aiai": median(lambda: Bound(program, list(narrow.values()), (1, D), 1).close()),
        "onnxruntime": median(lambda: OnnxRuntime(onnx_model(), wide, (1, D), 1).close()),
        "openvino": median(lambda: OpenVino(onnx_model(), wide, (1, D), 1).close()),
    }


if __name__ == "__main__":
    options = arguments(__doc__)
    program = Program(MODEL, "embedding")
    run("minilm", [case(program, *shape) for shape in SHAPES], options)
    print(json.dumps({"suite": "minilm", "compile": compiling(), "first_result_s": opening(program)}), flush=True)
