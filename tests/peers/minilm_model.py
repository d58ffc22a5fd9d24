"""all-MiniLM-L6-v2 outside aiai: its files, a NumPy implementation in float64, and the same graph for ONNX Runtime.

Both take token ids and a mask of shape [batch, length] and give unit vectors [batch, 384].
"""

import json
import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "examples/minilm/weights"
HEADS, WIDTH, LAYERS, EPS, MAX_TOKENS = 12, 32, 6, 1e-12, 256


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The float tensors of a safetensors file."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    tensors = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            start, end = entry["data_offsets"]
            flat = np.frombuffer(data[8 + size + start : 8 + size + end], np.float32)
            tensors[name] = flat.reshape(entry["shape"])
    return tensors


def weights() -> dict[str, np.ndarray]:
    return read_safetensors(WEIGHTS / "model.safetensors")


def tokenize(sentences: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Ids and mask, cut to 256 tokens, padded to the longest."""
    tokenizer = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    encodings = tokenizer.encode_batch(sentences)
    ids = np.array([e.ids for e in encodings], np.int64)
    return ids, np.array([e.attention_mask for e in encodings], np.int64)


erf = np.frompyfunc(math.erf, 1, 1)


class Reference:
    """In float64, by the definition: nothing fused, nothing approximated."""

    def __init__(self) -> None:
        self.w = {name: tensor.astype(np.float64) for name, tensor in weights().items()}

    def embed(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        w, length = self.w, ids.shape[1]
        x = w["embeddings.word_embeddings.weight"][ids]
        x = x + w["embeddings.position_embeddings.weight"][:length]
        x = x + w["embeddings.token_type_embeddings.weight"][0]
        x = self.norm(x, "embeddings.LayerNorm")
        for i in range(LAYERS):
            x = self.layer(x, mask, f"encoder.layer.{i}.")
        total = (x * mask[:, :, None]).sum(axis=1)
        mean = total / np.maximum(mask.sum(axis=1, keepdims=True), 1e-9)
        return mean / np.maximum(np.sqrt((mean * mean).sum(axis=1, keepdims=True)), 1e-12)

    def layer(self, x: np.ndarray, mask: np.ndarray, at: str) -> np.ndarray:
        batch, length, _ = x.shape
        heads = lambda y: y.reshape(batch, length, HEADS, WIDTH).transpose(0, 2, 1, 3)
        q, k, v = (heads(self.dense(x, at + f"attention.self.{n}")) for n in ("query", "key", "value"))
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(WIDTH)
        scores = np.where(mask[:, None, None, :] != 0, scores, -np.inf)
        p = np.exp(scores - scores.max(axis=-1, keepdims=True))
        p = p / p.sum(axis=-1, keepdims=True)
        o = (p @ v).transpose(0, 2, 1, 3).reshape(batch, length, -1)
        x = self.norm(x + self.dense(o, at + "attention.output.dense"), at + "attention.output.LayerNorm")
        h = self.dense(x, at + "intermediate.dense")
        h = 0.5 * h * (1 + erf(h / math.sqrt(2)).astype(np.float64))
        return self.norm(x + self.dense(h, at + "output.dense"), at + "output.LayerNorm")

    def dense(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.w[name + ".weight"].T + self.w[name + ".bias"]

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        d = x - x.mean(axis=-1, keepdims=True)
        scaled = d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + EPS)
        return scaled * self.w[name + ".weight"] + self.w[name + ".bias"]


class Graph:
    """The model as ONNX, from the same weights, built of standard operators."""

    def __init__(self) -> None:
        self.w = weights()
        self.nodes, self.constants, self.count = [], {}, 0

    def op(self, kind: str, *inputs: str, **attributes) -> str:
        self.count += 1
        name = f"v{self.count}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value, name: str | None = None) -> str:
        name = name or f"c{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def weight(self, name: str, transpose: bool = False) -> str:
        value = self.w[name]
        return self.constant(value.T if transpose else value, name)

    def dense(self, x: str, name: str) -> str:
        product = self.op("MatMul", x, self.weight(name + ".weight", transpose=True))
        return self.op("Add", product, self.weight(name + ".bias"))

    def norm(self, x: str, name: str) -> str:
        scale, shift = self.weight(name + ".weight"), self.weight(name + ".bias")
        return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=EPS)

    def layer(self, x: str, keep: str, at: str) -> str:
        split = self.constant(np.array([0, 0, HEADS, WIDTH], np.int64))
        merge = self.constant(np.array([0, 0, HEADS * WIDTH], np.int64))

        def heads(name: str, axes: list[int]) -> str:
            return self.op("Transpose", self.op("Reshape", self.dense(x, at + name), split), perm=axes)

        q, v = heads("attention.self.query", [0, 2, 1, 3]), heads("attention.self.value", [0, 2, 1, 3])
        k = heads("attention.self.key", [0, 2, 3, 1])
        scores = self.op("MatMul", q, k)
        scores = self.op("Div", scores, self.constant(np.float32(math.sqrt(WIDTH))))
        scores = self.op("Where", keep, scores, self.constant(np.float32(-np.inf)))
        o = self.op("MatMul", self.op("Softmax", scores, axis=-1), v)
        o = self.op("Reshape", self.op("Transpose", o, perm=[0, 2, 1, 3]), merge)
        o = self.op("Add", x, self.dense(o, at + "attention.output.dense"))
        x = self.norm(o, at + "attention.output.LayerNorm")
        h = self.op("Gelu", self.dense(x, at + "intermediate.dense"), approximate="none")
        y = self.op("Add", x, self.dense(h, at + "output.dense"))
        return self.norm(y, at + "output.LayerNorm")

    def build(self) -> onnx.ModelProto:
        axis = lambda *a: self.constant(np.array(a, np.int64))
        x = self.op("Gather", self.weight("embeddings.word_embeddings.weight"), "ids")
        length = self.op("Shape", "ids", start=1, end=2)
        positions = self.weight("embeddings.position_embeddings.weight")
        x = self.op("Add", x, self.op("Slice", positions, axis(0), length, axis(0)))
        x = self.op("Add", x, self.constant(self.w["embeddings.token_type_embeddings.weight"][0]))
        x = self.norm(x, "embeddings.LayerNorm")
        keep = self.op("Cast", self.op("Unsqueeze", "mask", axis(1, 2)), to=TensorProto.BOOL)
        for i in range(LAYERS):
            x = self.layer(x, keep, f"encoder.layer.{i}.")
        weight = self.op("Unsqueeze", self.op("Cast", "mask", to=TensorProto.FLOAT), axis(2))
        total = self.op("ReduceSum", self.op("Mul", x, weight), axis(1), keepdims=0)
        count = self.op("ReduceSum", weight, axis(1), keepdims=0)
        mean = self.op("Div", total, self.op("Max", count, self.constant(np.float32(1e-9))))
        norm = self.op("Max", self.op("ReduceL2", mean, axis(1)), self.constant(np.float32(1e-12)))
        result = self.op("Div", mean, norm)
        shape = ["batch", "length"]
        inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, shape) for n in ("ids", "mask")]
        output = helper.make_tensor_value_info(result, TensorProto.FLOAT, ["batch", HEADS * WIDTH])
        graph = helper.make_graph(self.nodes, "minilm", inputs, [output], list(self.constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
        onnx.checker.check_model(model)
        return model


def onnx_session(threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(Graph().build().SerializeToString(), options, ["CPUExecutionProvider"])


def onnx_embed(session: onnxruntime.InferenceSession, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return session.run(None, {"ids": ids, "mask": mask})[0]
