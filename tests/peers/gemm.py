#!/usr/bin/env python3
"""Products of matrices in f32 with a constant right side: x[M, K] @ w[K, N].

The library of a pair N, K serves every M; the peers see M as a constant. `--draw` adds shapes that are multiples of nothing; a
name such as "M=9 N=2040 K=273" that is not listed is a case of its own.
"""

import functools
import random
import re
from collections.abc import Iterator

import numpy as np

from aiai import Program
from peers import Case, Sides, arguments, both, graph, node, ours, run

ROWS = (1, 8, 64, 128, 512, 1024, 2048)
SQUARES = (256, 512, 768, 1024, 2048)
MODELS = ((3072, 768), (768, 3072), (384, 384), (1536, 384), (384, 1536), (1000, 768), (2304, 768))  # N, K
RANDOM = np.random.default_rng()

SOURCE = """
module Dense<K, N> {{
  param w: f32[K, N] ~ he_normal
}}

fn apply(net: Dense<{k}, {n}>, x: f32[M, {k}]) -> f32[M, {n}] {{ x @ net.w }}
"""


@functools.lru_cache(maxsize=1)
def dense(n: int, k: int) -> tuple[np.ndarray, Program]:
    w = (RANDOM.normal(size=(k, n)) / k**0.5).astype(np.float32)
    return w, Program(SOURCE.format(n=n, k=k), "apply", {"net.w": w})


def sides(m: int, n: int, k: int) -> Sides:
    w, program = dense(n, k)
    inputs = {"x": RANDOM.normal(size=(m, k)).astype(np.float32)}
    model = graph([node("MatMul", "x w")], inputs, {"w": w}, (m, n))
    return ours(program, inputs, (m, n)) | both(model, inputs, (m, n))


def case(m: int, n: int, k: int, group: str) -> Case:
    moved = 4 * (m * k + k * n), 4 * m * n
    return Case(f"M={m} N={n} K={k}", group, lambda: sides(m, n, k), 2 * m * n * k, *moved)


def listed() -> Iterator[Case]:
    for n, k in [*((s, s) for s in SQUARES), *MODELS]:
        for m in ROWS:
            yield case(m, n, k, "M < 512" if m < 512 else "M >= 512")


def drawn(count: int, seed: int) -> Iterator[Case]:
    draw = random.Random(seed)
    size = lambda low, high: round(low * (high / low) ** draw.random())
    for _ in range(count):
        yield case(size(1, 2048), size(32, 3072), size(32, 3072), "drawn")


def named(names: list[str], known: set[str]) -> Iterator[Case]:
    for name in names:
        sizes = re.fullmatch(r"M=(\d+) N=(\d+) K=(\d+)", name)
        if sizes and name not in known:
            yield case(*map(int, sizes.groups()), "named")


if __name__ == "__main__":
    options = arguments(__doc__)
    cases = [*listed(), *drawn(options.draw, options.seed)]
    run("gemm", [*cases, *named(options.names, {case.name for case in cases})], options)
