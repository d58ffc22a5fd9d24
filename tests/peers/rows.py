#!/usr/bin/env python3
"""Softmax, layer norm, gelu, sums and maxima over rows of 64 to 65,536 numbers, 4 M and 256 K in all.

An operation for each max, sum, exponential and so on of an element; what bounds these is memory.
"""

from collections.abc import Iterator

import numpy as np

from aiai import Program
from peers import Case, Sides, arguments, both, graph, node, ours, run

LENGTHS = (64, 256, 1024, 4096, 16384, 65536)
TOTALS = {"4 M": 1 << 22, "256 K": 1 << 18}
RANDOM = np.random.default_rng()

# The operation: what aiai computes, the peers' node, operations for each element, whether rows stay rows.
OPERATIONS = {
    "softmax": ("softmax(x)", node("Softmax", "x", axis=-1), 5, True),
    "layer_norm": ("net.apply(x)", node("LayerNormalization", "x scale shift", axis=-1, epsilon=1e-5), 8, True),
    "gelu": ("gelu(x)", node("Gelu", "x", approximate="none"), 5, True),
    "sum": ("sum(x, axis = -1)", node("ReduceSum", "x axis", keepdims=0), 1, False),
    "max": ("max(x, axis = -1)", node("ReduceMax", "x axis", keepdims=0), 1, False),
}


def sides(name: str, rows: int, length: int) -> Sides:
    body, operation, _, kept = OPERATIONS[name]
    draw = lambda *shape: RANDOM.normal(size=shape).astype(np.float32)
    inputs, constants, weights, net = {"x": draw(rows, length)}, {}, {}, ""
    if name == "layer_norm":
        constants = {"scale": draw(length), "shift": draw(length)}
        weights, net = {f"net.{key}": value for key, value in constants.items()}, f"net: LayerNorm<{length}>, "
    elif not kept:
        constants = {"axis": np.array([-1], np.int64)}
    shape, result = ((rows, length), f"f32[B, {length}]") if kept else ((rows,), "f32[B]")
    source = f"fn apply({net}x: f32[B, {length}]) -> {result} {{ {body} }}\n"
    model = graph([operation], inputs, constants, shape)
    return ours(Program(source, "apply", weights), inputs, shape) | both(model, inputs, shape)


def case(name: str, total: str, length: int) -> Case:
    _, _, each, kept = OPERATIONS[name]
    rows = TOTALS[total] // length
    parameters = 2 * length if name == "layer_norm" else 0
    read, written = rows * length + parameters, rows * length if kept else rows
    return Case(f"{name} {rows}x{length}", name, lambda: sides(name, rows, length), each * rows * length, 4 * read, 4 * written)


def cases() -> Iterator[Case]:
    for name in OPERATIONS:
        for total in TOTALS:
            for length in LENGTHS if name != "gelu" else (1024,):
                yield case(name, total, length)


if __name__ == "__main__":
    run("rows", list(cases()), arguments(__doc__))
