#!/usr/bin/env python3
"""Attention of 12 heads of width 64, batch 1, without a mask: softmax(q k^T / 8) v, lengths 64 to 4096; and of one query.

One library serves all lengths. Each peer runs the graph of products and softmax, and the fused operations that it has: the
fastest counts. ONNX Runtime's own operation takes [B, L, 768] and is given that layout.
"""

import functools

import numpy as np
import openvino
import openvino.opset13 as opset

from aiai import Program
from peers import Case, OnnxRuntime, OpenVino, Sides, arguments, both, graph, node, ours, run

HEADS, WIDTH = 12, 64
LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096)
KEYS_OF_ONE = (128, 512, 2048, 8192)
RANDOM = np.random.default_rng()

SOURCE = f"""
fn apply(q: f32[B, {HEADS}, QUERIES, {WIDTH}], k: f32[B, {HEADS}, L, {WIDTH}], v: f32[B, {HEADS}, L, {WIDTH}])
    -> f32[B, {HEADS}, QUERIES, {WIDTH}] {{
  let s[b, h, i, j] = (sum c: q[b, h, i, c] * k[b, h, j, c]) / 8.0
  let p = softmax(s)
  let o[b, h, i, c] = sum j: p[b, h, i, j] * v[b, h, j, c]
  o
}}
"""


class Merged(OnnxRuntime):
    """The operation on [B, L, H * K]; the result is turned before it is compared."""

    def __init__(self, model: bytes, inputs: dict, shape: tuple, threads: int):
        super().__init__(model, inputs, shape, threads)
        self.result = self.result.reshape(*shape[:2], HEADS, WIDTH).transpose(0, 2, 1, 3)


def decomposed(inputs: dict, shape: tuple) -> bytes:
    nodes = [
        node("Transpose", "k", "t", perm=[0, 1, 3, 2]),
        node("MatMul", "q t", "s"),
        node("Div", "s eight", "d"),
        node("Softmax", "d", "p", axis=-1),
        node("MatMul", "p v"),
    ]
    return graph(nodes, inputs, {"eight": np.array(8, np.float32)}, shape)


def scaled_dot_product(inputs: dict) -> openvino.Model:
    parameters = [opset.parameter(array.shape, np.float32, name=name) for name, array in inputs.items()]
    return openvino.Model([opset.scaled_dot_product_attention(*parameters)], parameters, "attention")


def sides(program: Program, queries: int, length: int) -> Sides:
    shape, merged = (1, HEADS, queries, WIDTH), (1, queries, HEADS * WIDTH)
    sizes = {"q": queries, "k": length, "v": length}
    inputs = {name: RANDOM.normal(size=(1, HEADS, size, WIDTH)).astype(np.float32) for name, size in sizes.items()}
    turned = {
        name: np.ascontiguousarray(a.transpose(0, 2, 1, 3)).reshape(1, -1, HEADS * WIDTH) for name, a in inputs.items()
    }
    fused = graph([node("Attention", "q k v")], inputs, {}, shape, opset=23)
    operation = node("MultiHeadAttention", "q k v", domain="com.microsoft", num_heads=HEADS)
    contributed = graph([operation], turned, {}, merged, domain="com.microsoft")
    model = scaled_dot_product(inputs)
    others: Sides = {
        "onnxruntime Attention": lambda threads: OnnxRuntime(fused, inputs, shape, threads),
        "onnxruntime MultiHeadAttention": lambda threads: Merged(contributed, turned, merged, threads),
        "openvino ScaledDotProductAttention": lambda threads: OpenVino(model, inputs, shape, threads),
    }
    return ours(program, inputs, shape) | both(decomposed(inputs, shape), inputs, shape) | others


def case(program: Program, length: int, one: bool) -> Case:
    queries = 1 if one else length
    scores, [asked, kept] = HEADS * queries * length, [HEADS * size * WIDTH for size in (queries, length)]
    operations = scores * (4 * WIDTH + 5)
    name, group = (f"one query L={length}", "one query") if one else (f"L={length}", "attention")
    build = functools.partial(sides, program, queries, length)
    return Case(name, group, build, operations, 4 * (asked + 2 * kept), 4 * asked)


if __name__ == "__main__":
    program = Program(SOURCE.replace("QUERIES", "L"), "apply")
    cases = [case(program, length, False) for length in LENGTHS]
    program = Program(SOURCE.replace("QUERIES", "1"), "apply")
    cases += [case(program, length, True) for length in KEYS_OF_ONE]
    run("attention", cases, arguments(__doc__))
