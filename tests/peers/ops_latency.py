#!/usr/bin/env python3
"""Latency of single operations in aiai and in ONNX Runtime, in turns, on one thread and on two.

Prints the medians and their ratio, a line for each operation. Results are compared before they are timed.
Arguments: names of operations (default all).
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from aiai import aiai

ROUNDS = 3
SECONDS = 0.3
RNG = np.random.default_rng()


def draw(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def node(kind: str, inputs: str, output: str = "y", **attributes):
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def convolution(x: tuple, w: tuple, **attributes):
    nodes = [node("Conv", "x w", "c", **attributes), node("Relu", "c")]
    return {"x": draw(*x)}, {"w": draw(*w)}, nodes


def operations() -> dict:
    """Inputs that change, inputs that are constants of the graph, and the graph."""
    same = [1, 1, 1, 1]
    two = {"two": np.array(2, np.float32)}
    axis = {"axis": np.array([0], np.int64)}
    rows = RNG.integers(0, 30000, 4096).astype(np.int32)
    scaled = [node("Mul", "x g", "a"), node("Add", "a b", "c"), node("Relu", "c")]
    layers = [node("MatMul", "x w", "a"), node("Relu", "a", "b"), node("MatMul", "b v")]
    turned = [node("Transpose", "x", "a", perm=[1, 0]), node("Mul", "a two")]
    norm = {"g": draw(768), "b": draw(768)}
    pooled = [node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2])]
    return {
        "conv3x3": convolution((1, 64, 56, 56), (64, 64, 3, 3), pads=same),
        "conv1x1": convolution((1, 256, 56, 56), (64, 256, 1, 1)),
        "conv7x7": convolution((1, 3, 224, 224), (64, 3, 7, 7), pads=[3] * 4, strides=[2, 2]),
        "depthwise": convolution((1, 96, 56, 56), (96, 1, 3, 3), pads=same, group=96),
        "pool": ({"x": draw(1, 64, 112, 112)}, {}, pooled),
        "softmax_rows": ({"x": draw(512, 512)}, {}, [node("Softmax", "x", axis=-1)]),
        "layer_norm": ({"x": draw(512, 768)}, norm, [node("LayerNormalization", "x g b", axis=-1)]),
        "scale_shift": ({"x": draw(1, 64, 56, 56)}, {"g": draw(64, 1, 1), "b": draw(64, 1, 1)}, scaled),
        "vector_matrix": ({"x": draw(1, 2048)}, {"w": draw(2048, 2048)}, [node("MatMul", "x w")]),
        "mlp": ({"x": draw(64, 784)}, {"w": draw(784, 512), "v": draw(512, 10)}, layers),
        "column_sums": ({"x": draw(1024, 1024)}, axis, [node("ReduceSum", "x axis", keepdims=0)]),
        "transposed": ({"x": draw(1024, 1024)}, two, turned),
        "table_rows": ({"i": rows}, {"t": draw(30000, 384)}, [node("Gather", "t i", axis=0)]),
    }


def session(inputs: dict, constants: dict, nodes: list, threads: int) -> onnxruntime.InferenceSession:
    kind = lambda a: TensorProto.INT32 if a.dtype == np.int32 else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "operation",
        [helper.make_tensor_value_info(n, kind(a), a.shape) for n, a in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(a, n) for n, a in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def measure_onnx(run, repeats: int) -> list[float]:
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


def compare(name: str, threads: int) -> dict:
    inputs, constants, nodes = operations()[name]
    onnx = session(inputs, constants, nodes, threads)
    run = lambda: onnx.run(None, inputs)[0]
    expected = run()
    repeats = max(5, int(SECONDS / statistics.median(measure_onnx(run, 5))))
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        arguments = []
        for key, array in {**inputs, **constants}.items():
            if key not in ("two", "axis"):
                np.save(Path(folder) / f"{key}.npy", array)
                arguments += ["--input", f"{key}={folder}/{key}.npy"]
        for _ in range(ROUNDS):
            call = ["run", f"tests/peers/ops.aiai:{name}", *arguments]
            result = aiai(*call, "--threads", str(threads), "--repeat", str(repeats))
            [got] = result["outputs"].values()
            np.testing.assert_allclose(np.array(got, np.float32), expected, rtol=2e-4, atol=2e-4)
            ours += result["seconds"][1:]
            theirs += measure_onnx(run, repeats)
    a, b = statistics.median(ours) * 1e3, statistics.median(theirs) * 1e3
    return {
        "operation": name,
        "threads": threads,
        "aiai_ms": round(a, 3),
        "onnxruntime_ms": round(b, 3),
        "ratio": round(a / b, 2),
    }


def main() -> None:
    for threads in (1, 2):
        for name in sys.argv[1:] or operations():
            print(json.dumps(compare(name, threads)), flush=True)


if __name__ == "__main__":
    main()
