#!/usr/bin/env python3
"""The compiler's own speed and memory, for docs/benchmarks.md.

Checks generated sources of 25,000 to 100,000 lines, compiles minilm, and compares the peak memory of its inference
with what its weights and the plan of its activations take. Seconds and megabytes (10^6 bytes); medians of five. Needs NumPy.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/peers"))
from aiai import BINARY, ROOT, aiai  # noqa: E402

REPEATS = 5
LINES = (25_000, 50_000, 100_000)


def source(lines: int, seed: int) -> str:
    """Models of a few shapes, with names, sizes and calls of one another drawn at random."""
    draw = random.Random(seed)
    written: list[str] = []
    made = 0
    while len(written) < lines:
        made += 1
        width, before = draw.choice([16, 64, 384]), draw.randrange(1, made) if made > 1 else 0
        written += draw.choice(
            [
                [
                    f"/// Layer {made}.",
                    f"module Layer{made}<D, F> {{",
                    "  param up: f32[D, F] ~ he_normal",
                    "  param bias: f32[F] ~ zeros",
                    "",
                    "  fn apply(x: f32[.., D]) -> f32[.., F] {",
                    "    let hidden = x @ up + bias",
                    "    gelu(hidden) * 0.5",
                    "  }",
                    "}",
                    f"fn use{made}(net: Layer{made}<D, F>, x: f32[B, D]) -> f32[B, F] {{ net.apply(x) }}",
                ],
                [
                    f"fn scores{made}(q: f32[B, I, K], k: f32[B, J, K]) -> f32[B, I, J] {{",
                    "  let s[b, i, j] = (sum c: q[b, i, c] * k[b, j, c]) / sqrt(f32(K))",
                    "  softmax(s)",
                    "}",
                ],
                [
                    f"fn chain{made}(x: f32[N, {width}]) -> f32[N, {width}] {{",
                    "  let y = exp(x) - 1.0",
                    f"  let z = y[.., 0..{width // 2}] * {draw.random():.6f}",
                    "  let w = concat((z, z), axis = 1)",
                    "  // The largest of each row stays.",
                    "  let top = max(w, axis = -1, keep = true)",
                    "  select(w == top, w, y)",
                    "}",
                ],
            ]
        )
    return "\n".join(written) + "\n"


def measured(*arguments: str) -> tuple[float, float, str]:
    """Runs aiai: seconds, the peak of its memory in megabytes, and what it printed."""
    start = time.perf_counter()
    process = subprocess.Popen([BINARY, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with process.stdout as stdout:
        printed = stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"aiai {' '.join(arguments)}: exit code {process.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024 / 1e6, printed


def check_sources(folder: Path) -> None:
    for lines in LINES:
        file = folder / f"{lines}.aiai"
        file.write_text(source(lines, seed=lines))
        runs = [measured("check", str(file)) for _ in range(REPEATS)]
        seconds, memory = (statistics.median(run[i] for run in runs) for i in (0, 1))
        print(json.dumps({"check_lines": lines, "seconds": round(seconds, 3), "peak_mb": round(memory, 1)}), flush=True)


def compile_minilm() -> None:
    seconds = [aiai("run", "examples/minilm", "--text", "one")["compile_seconds"] for _ in range(REPEATS)]
    print(json.dumps({"minilm_compile_seconds": round(statistics.median(seconds), 4)}), flush=True)


def minilm_memory(folder: Path) -> None:
    weights = sum(file.stat().st_size for file in (ROOT / "examples/minilm/weights").glob("*.safetensors")) / 1e6
    for batch in (1, 32):
        names = []
        for name, array in (("id", np.full((batch, 128), 2000)), ("mask", np.ones((batch, 128)))):
            np.save(folder / f"{name}.npy", array.astype(np.int32))
            names += ["--input", f"{name}={folder / name}.npy"]
        _, peak, printed = measured("run", "examples/minilm", *names, "--json")
        planned = json.loads(printed.splitlines()[-1])["peak_bytes"] / 1e6
        figures = {"batch": batch, "peak_mb": peak, "weights_mb": weights, "planned_mb": planned}
        figures["ratio"] = peak / (weights + planned)
        print(json.dumps({name: round(value, 2) for name, value in figures.items()}), flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        check_sources(Path(name))
        compile_minilm()
        minilm_memory(Path(name))


if __name__ == "__main__":
    main()
