#!/usr/bin/env python3
"""Latency of minilm in aiai and in ONNX Runtime, in turns, at 1 x 128 and 32 x 128 tokens, on one and two threads.

Prints the medians and their ratio, a line for each setting. Arguments: rounds (default 5).
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from aiai import aiai
from minilm_model import onnx_embed, onnx_session

REPEATS = {1: 20, 32: 3}


def measure_onnx(session, ids: np.ndarray, mask: np.ndarray, repeats: int) -> list[float]:
    onnx_embed(session, ids, mask)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        onnx_embed(session, ids, mask)
        seconds.append(time.perf_counter() - start)
    return seconds


def measure_aiai(folder: Path, threads: int, repeats: int) -> list[float]:
    inputs = ["--input", f"id={folder / 'id.npy'}", "--input", f"mask={folder / 'mask.npy'}"]
    result = aiai("run", "examples/minilm", *inputs, "--threads", str(threads), "--repeat", str(repeats + 1))
    return result["seconds"][1:]


def compare(batch: int, threads: int, rounds: int) -> dict:
    ids = np.random.default_rng(0).integers(1000, 30000, (batch, 128))
    mask = np.ones_like(ids)
    session = onnx_session(threads)
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "id.npy", ids.astype(np.int32))
        np.save(folder / "mask.npy", mask.astype(np.int32))
        for _ in range(rounds):
            ours += measure_aiai(folder, threads, REPEATS[batch])
            theirs += measure_onnx(session, ids, mask, REPEATS[batch])
    a, b = statistics.median(ours) * 1e3, statistics.median(theirs) * 1e3
    return {"batch": batch, "threads": threads, "aiai_ms": round(a, 2), "onnxruntime_ms": round(b, 2), "ratio": round(a / b, 3)}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    for threads in (1, 2):
        for batch in REPEATS:
            print(json.dumps(compare(batch, threads, rounds)), flush=True)


if __name__ == "__main__":
    main()
