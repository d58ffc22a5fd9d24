"""What the benchmark suites share: ONNX Runtime and OpenVINO at their best, timing in turns, and the lines printed.

A suite is a list of cases. A case opens its sides (aiai and the peers) with a number of threads, bound to the same
inputs and to outputs of their own; results are compared before anything is timed. `speed` is the better peer's median
over ours, large is good; where others use the machine, the least times of all say more, and `speed_of_least` is their
ratio. Every suite takes the options of `arguments`.
"""

import argparse
import gc
import json
import math
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper
from openvino._pyopenvino import InferRequest

from aiai import AiaiError, Bound, Program
from aiai_library import LibraryError
from roofline import ceiling, flops

TOLERANCE = 2e-4
KINDS = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}
DEVICE = openvino.Core()
Sides = dict[str, Callable[[int], "Bound | OnnxRuntime | OpenVino"]]


@dataclass
class Case:
    name: str
    group: str  # what summaries are made over
    sides: Callable[[], Sides]  # draws the inputs
    operations: float  # each elementary function counts as one, a multiply-add as two
    read: float  # bytes, each once
    written: float


def node(kind: str, inputs: str, output: str = "y", **attributes):
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def graph(nodes: list, inputs: dict, constants: dict, shape: tuple, opset: int = 20, domain: str | None = None) -> bytes:
    """An ONNX model with the output `y`."""
    made = helper.make_graph(
        nodes,
        "peer",
        [helper.make_tensor_value_info(n, KINDS[a.dtype], a.shape) for n, a in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(a, n) for n, a in constants.items()],
    )
    sets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(made, opset_imports=sets, ir_version=10).SerializeToString()


class OnnxRuntime:
    """A session with all optimisations, inputs and output bound once."""

    def __init__(self, model: bytes, inputs: dict, shape: tuple, threads: int):
        self.result = np.full(shape, np.nan, np.float32)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        binding = session.io_binding()
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        name = session.get_outputs()[0].name
        binding.bind_output(name, "cpu", 0, np.float32, shape, self.result.ctypes.data)
        self.call = lambda: session.run_with_iobinding(binding)
        self.call()

    def close(self) -> None:
        del self.call


class OpenVino:
    """A model compiled for latency in f32, on tensors that share the arrays' memory."""

    def __init__(self, model: bytes | openvino.Model, inputs: dict, shape: tuple, threads: int):
        self.result, self.inputs = np.full(shape, np.nan, np.float32), inputs  # whose memory the tensors share
        read = DEVICE.read_model(model) if isinstance(model, bytes) else model
        hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        request = DEVICE.compile_model(read, "CPU", hints).create_infer_request()
        for name, array in inputs.items():
            request.set_tensor(name, openvino.Tensor(array, shared_memory=True))
        request.set_output_tensor(0, openvino.Tensor(self.result, shared_memory=True))
        # The method of the base class, without the dictionary of results that the Python class makes.
        self.call = lambda: InferRequest.infer(request, {}, True, True)
        self.call()

    def close(self) -> None:
        del self.call


def both(model: bytes, inputs: dict, shape: tuple) -> Sides:
    """The same ONNX model in both peers."""
    return {
        "onnxruntime": lambda threads: OnnxRuntime(model, inputs, shape, threads),
        "openvino": lambda threads: OpenVino(model, inputs, shape, threads),
    }


def ours(program: Program, inputs: dict, shape: tuple) -> Sides:
    return {"aiai": lambda threads: Bound(program, list(inputs.values()), shape, threads)}


def timed(call: Callable, count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def settle() -> None:
    """Waits until no thread of this process spins for work any more, at most a second."""
    for _ in range(500):
        before = time.process_time()
        time.sleep(0.002)
        if time.process_time() - before < 0.0005:
            return


def in_turns(calls: dict[str, Callable], rounds: int, seconds: float) -> dict[str, list[float]]:
    """The seconds of every call: A B C A B C ..., each for about `seconds` a turn, at least three calls."""
    counts = {name: max(3, min(2000, int(seconds / min(timed(call, 2))))) for name, call in calls.items()}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        for name, call in calls.items():
            settle()
            timed(call, 1 + counts[name] // 10)
            taken[name] += timed(call, counts[name])
    gc.enable()
    return taken


def difference(got: np.ndarray, want: np.ndarray) -> str | None:
    """How a result differs by more than rounding, relative to the element or to all of them."""
    got, scale = got.reshape(want.shape), math.sqrt(np.mean(np.square(want, dtype=np.float64)))
    wrong = ~(np.abs(got - want) <= TOLERANCE * (np.abs(want) + scale))
    if not wrong.any():
        return None
    at = tuple(map(int, np.argwhere(wrong)[0]))
    return f"{wrong.sum()} of {wrong.size} differ, first {got[at]} for {want[at]} at {at}"


def measure(case: Case, sides: Sides, threads: int, options: argparse.Namespace) -> dict:
    """The line of a case: times, or an `error` of ours. A peer that cannot run the case is left out."""
    opened, line = {}, {}
    for name, side in sides.items():
        try:
            opened[name] = side(threads)
        except (AiaiError, LibraryError) as error:
            return {"error": str(error).strip()}
        except Exception as error:  # whatever a peer raises
            line[f"{name} does not run"] = str(error).strip().splitlines()[0]
    peers = [name for name in opened if name != "aiai"]
    wrong = {name: difference(opened[name].result, opened[peers[0]].result) for name in opened}
    if any(wrong.values()):
        for side in opened.values():
            side.close()
        return {"error": f"against {peers[0]}: " + "; ".join(f"{n}: {w}" for n, w in wrong.items() if w)}
    taken = in_turns({name: side.call for name, side in opened.items()}, options.rounds, options.seconds)
    times = {name: statistics.median(seconds) for name, seconds in taken.items()}
    least = {name: min(seconds) for name, seconds in taken.items()}
    for side in opened.values():
        side.close()
    best = ceiling(case.operations, case.read, case.written, threads)
    line["us"] = {name: round(seconds * 1e6, 2) for name, seconds in times.items()}
    line["least_us"] = {name: round(seconds * 1e6, 2) for name, seconds in least.items()}
    line["speed"] = round(min(times[name] for name in peers) / times["aiai"], 3)
    line["speed_of_least"] = round(min(least[name] for name in peers) / least["aiai"], 3)
    line["gflops"] = round(case.operations / times["aiai"] / 1e9, 1)
    line["of_peak"] = round(case.operations / times["aiai"] / flops(threads), 3)
    line["operations"], line["bytes"] = round(case.operations), round(case.read + case.written)
    line["ceiling_us"], line["of_ceiling"] = round(best * 1e6, 2), round(best / times["aiai"], 3)
    return line


def summary(suite: str, group: str, lines: list[dict]) -> dict:
    """Of the lines of one group and number of threads."""
    good = [line for line in lines if "error" not in line]
    found = {"suite": suite, "summary": group, "threads": lines[0]["threads"], "cases": len(lines)}
    found["failed"] = [line["case"] for line in lines if "error" in line]
    if good:
        worst = min(good, key=lambda line: line["speed"])
        for key, name in (("speed", "geomean"), ("speed_of_least", "geomean_of_least")):
            found[name] = round(statistics.geometric_mean(line[key] for line in good), 3)
        found["worst"] = {"case": worst["case"], "speed": worst["speed"]}
        for key in ("of_peak", "of_ceiling"):
            values = [line[key] for line in good]
            found[key] = {"median": round(statistics.median(values), 3), "least": min(values)}
    return found


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only the cases whose names contain one of these")
    parser.add_argument("--quick", action="store_true", help="four cases, one short turn: does it work?")
    parser.add_argument("--threads", default="1,2", help="numbers of threads (default 1,2)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (default 5)")
    parser.add_argument("--seconds", type=float, default=0.1, help="of a turn (default 0.1)")
    parser.add_argument("--draw", type=int, default=0, help="shapes drawn at random beside the listed ones")
    parser.add_argument("--seed", type=int, default=0, help="of the drawn shapes")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 1, 0.01
    return options


def run(suite: str, cases: list[Case], options: argparse.Namespace) -> None:
    """Prints a line for each case and number of threads, then a summary of each group."""
    if options.names:
        cases = [case for case in cases if any(name in case.name for name in options.names)]
    elif options.quick:
        cases = random.Random(options.seed).sample(cases, min(4, len(cases)))
    lines = []
    for case in cases:
        sides = case.sides()
        for threads in map(int, options.threads.split(",")):
            line = {"suite": suite, "case": case.name, "group": case.group, "threads": threads}
            lines.append(line | measure(case, sides, threads, options))
            print(json.dumps(lines[-1]), flush=True)
    groups = {(line["threads"], line["group"]): None for line in lines}
    for threads, group in sorted(groups):
        chosen = [line for line in lines if (line["threads"], line["group"]) == (threads, group)]
        print(json.dumps(summary(suite, group, chosen)), flush=True)
