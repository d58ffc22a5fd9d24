#!/usr/bin/env python3
"""Libraries for a level of x86-64 and for the processor here: products, convolutions, attention and minilm.

`speed` is the time of the other library for the level over that of LLVM, large is good. The other is that of Cranelift, which
calls micro-kernels, or with `--before BINARY` LLVM's by another build of aiai, such as one of a commit before. Micro-kernels
take the widest vectors of the processor, whatever the level is. `of_peak` is the share of the multiply-adds that the level
can do at most. minilm needs `examples/minilm/fetch.py`.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import aiai
from aiai import ROOT, Bound, Program
from roofline import flops

RANDOM = np.random.default_rng(7)
TOLERANCE = 2e-4
GEMM = """
module Dense<K, N> {{
  param w: f32[K, N] ~ he_normal
}}

fn apply(net: Dense<{k}, {n}>, x: f32[M, {k}]) -> f32[M, {n}] {{ x @ net.w }}
"""
CONV = """
module Conv<O, I, K> {{
  param w: f32[O, I, K, K] ~ he_normal(fan_in = I * K * K)
}}

fn apply(net: Conv<{o}, {i}, {k}>, x: f32[B, {c}, {s}, {s}]) -> f32[B, {o}, {out}, {out}] {{
  relu(conv2d(x, net.w, stride = {stride}, padding = {p}, groups = {groups}))
}}
"""
ATTENTION = """
fn apply(q: f32[B, H, L, 64], k: f32[B, H, L, 64], v: f32[B, H, L, 64]) -> f32[B, H, L, 64] {
  let s[b, h, i, j] = (sum c: q[b, h, i, c] * k[b, h, j, c]) / 8.0
  let p = softmax(s)
  let o[b, h, i, c] = sum j: p[b, h, i, j] * v[b, h, j, c]
  o
}
"""
PRODUCTS = ((1, 384, 384), (1, 2048, 2048), (8, 384, 384), (64, 768, 768), (512, 768, 768), (1024, 1024, 1024))
# Size of the image, channels, results, kernel, stride, groups: of ResNet-50 and MobileNetV3-large.
CONVOLUTIONS = (
    (56, 64, 64, 1, 1, 1), (56, 64, 64, 3, 1, 1), (14, 256, 256, 3, 1, 1), (7, 512, 512, 3, 1, 1),
    (224, 3, 64, 7, 2, 1), (56, 72, 72, 3, 1, 72), (7, 960, 960, 5, 1, 960),
)  # fmt: skip


def draw(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def gemm(m: int, n: int, k: int) -> tuple:
    source, weights = GEMM.format(n=n, k=k), {"net.w": draw(k, n) / np.float32(k**0.5)}
    return f"gemm M={m} N={n} K={k}", (source, "apply", weights), [draw(m, k)], (m, n), 2 * m * n * k


def conv(s: int, c: int, o: int, k: int, stride: int, groups: int) -> tuple:
    i, out = c // groups, (s - 1) // stride + 1
    source = CONV.format(p=k // 2, s=s, c=c, i=i, o=o, k=k, stride=stride, groups=groups, out=out)
    weights = {"net.w": draw(o, i, k, k) / np.float32((i * k * k) ** 0.5)}
    name = f"conv {k}x{k} {c}->{o} at {s}" + (" depthwise" if groups > 1 else "")
    return name, (source, "apply", weights), [draw(1, c, s, s)], (1, o, out, out), 2 * o * out * out * i * k * k


def attention(length: int) -> tuple:
    inputs = [draw(1, 12, length, 64) for _ in range(3)]
    return f"attention L={length}", (ATTENTION, "apply"), inputs, inputs[0].shape, 4 * 12 * length**2 * 64


def minilm(batch: int, length: int) -> tuple:
    ids = RANDOM.integers(1000, 20000, (batch, length), dtype=np.int32)
    inputs = [ids, np.ones_like(ids)]
    # Without what attention and elementwise work take.
    operations = 2 * batch * length * 6 * (4 * 384 * 384 + 2 * 384 * 1536)
    return f"minilm {batch}x{length}", (ROOT / "examples/minilm", "embedding"), inputs, (batch, 384), operations


def opened(made: Program, binary: Path, backend: str, inputs: list, shape: tuple, threads: int) -> Bound:
    aiai.BINARY, aiai.BACKEND = binary, backend
    return Bound(made, inputs, shape, threads)


def timed(call: Callable, seconds: float) -> list[float]:
    taken, end = [], time.perf_counter() + seconds
    while len(taken) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return taken


def measured(case: tuple, options: argparse.Namespace) -> dict:
    name, program, inputs, shape, operations = case
    level = {"target": f"cpu:{options.level}"}
    here = aiai.BINARY
    other = (options.before, "llvm", level) if options.before else (here, "cranelift", level)
    builds = {"ours": (here, "llvm", level), "other": other, "host": (here, "llvm", {})}
    sides = {
        side: opened(Program(*program, **more), binary, backend, inputs, shape, options.threads)
        for side, (binary, backend, more) in builds.items()
    }
    aiai.BINARY = here
    want = sides["host"].result
    scale = np.sqrt(np.mean(np.square(want, dtype=np.float64)))
    wrong = [side for side, s in sides.items() if np.any(np.abs(s.result - want) > TOLERANCE * (np.abs(want) + scale))]
    if wrong:
        return {"case": name, "error": f"{wrong} differ from the library for the host"}
    taken: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(options.rounds):
        for side, bound in sides.items():
            bound.call()
            taken[side] += timed(bound.call, options.seconds)
    times = {side: statistics.median(seconds) for side, seconds in taken.items()}
    for bound in sides.values():
        bound.close()
    least = {side: min(seconds) for side, seconds in taken.items()}
    line = {"case": name}
    for found, which in ((times, ""), (least, "_of_least")):
        rate = operations / found["ours"]
        line[f"us{which}"] = {side: round(seconds * 1e6, 1) for side, seconds in found.items()}
        line[f"speed{which}"] = round(found["other"] / found["ours"], 2)
        line[f"of_peak{which}"] = round(rate / flops(options.threads, options.level), 2)
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only cases whose names contain one of these")
    parser.add_argument("--level", default="x86-64-v3")
    parser.add_argument("--before", type=Path, metavar="BINARY")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="of a turn")
    options = parser.parse_args()
    cases = [gemm(*p) for p in PRODUCTS] + [conv(*c) for c in CONVOLUTIONS] + [attention(n) for n in (128, 512)]
    cases += [minilm(1, 128), minilm(8, 128)]
    for case in cases:
        if not options.words or any(word in case[0] for word in options.words):
            print(json.dumps(measured(case, options)), flush=True)


if __name__ == "__main__":
    main()
