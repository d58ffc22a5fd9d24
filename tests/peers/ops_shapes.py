"""Random cases for the operations that move, reduce, contract, repeat and draw; see ops_numpy.py."""

import itertools
import math

import numpy as np

from evaluator import DTYPES, type_of
from ops_numpy import EPS, FLOATS, INTS, Case, Random, case, extreme, wrap

ANY = [*FLOATS, *INTS, "bool"]


def listing(numbers) -> str:
    return "[" + ", ".join(str(int(n)) for n in numbers) + "]"


def data_cases(r: Random):
    for dtype in [*FLOATS, *INTS]:
        shape = r.shape(rank=2)
        counted = np.broadcast_to(np.arange(shape[1], dtype=np.int64), shape).astype(DTYPES[dtype])
        yield case(f"iota {dtype}", [], f"iota {{dtype = {dtype}, shape = {listing(shape)}, axis = 1}}", [counted])
    x = r.array("f32", (3, 5))
    yield case("dim", [x], "dim {dim = 2 * 3 + 1}", [np.array(7, np.int64)])
    for shape in [(), (1,), (7,), (3, 5), (0, 2)]:
        key = r.array("u32", (2,))
        yield case("random_bits", [key], f"random_bits %0 {{shape = {listing(shape)}}}", [philox_words(key, shape)])


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10 as published: Salmon, Moraes, Dror and Shaw, 2011."""
    c, (k0, k1), low = list(counter), key, 0xFFFFFFFF
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k0, b & low, (a >> 32) ^ c[3] ^ k1, a & low]
        k0, k1 = (k0 + 0x9E3779B9) & low, (k1 + 0xBB67AE85) & low
    return c


def philox_words(key: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    words = [philox([i // 4, 0, 0, 0], [int(k) for k in key])[i % 4] for i in range(math.prod(shape))]
    return np.array(words, np.uint32).reshape(shape)


def movement_cases(r: Random):
    for dtype in ANY:
        x = r.array(dtype, r.shape(rank=3))
        a, b, c = x.shape
        wide = np.broadcast_to(x[None, :, :, :], (2, a, b, c))
        yield case(f"broadcast {dtype}", [x], f"broadcast %0 {{shape = {listing(wide.shape)}, axes = [1, 2, 3]}}", [wide.copy()])
        yield case(f"reshape {dtype}", [x], f"reshape %0 {{shape = {listing((c, a, b))}}}", [x.reshape(c, a, b)])
        order = r.rng.permutation(3)
        yield case(f"permute {dtype}", [x], f"permute %0 {{axes = {listing(order)}}}", [np.ascontiguousarray(x.transpose(order))])
        yield case(f"reverse {dtype}", [x], "reverse %0 {axes = [0, 2]}", [x[::-1, :, ::-1].copy()])
        yield slice_case(r, x)
        low, high = r.rng.integers(0, 3, 3), r.rng.integers(0, 3, 3)
        value = r.array(dtype, ())
        padded = np.pad(x, list(zip(low, high)), constant_values=value)
        yield case(f"pad {dtype}", [x, value], f"pad %0, %1 {{low = {listing(low)}, high = {listing(high)}}}", [padded])
        y = r.array(dtype, (a, int(r.rng.integers(0, 4)), c))
        yield case(f"concat {dtype}", [x, y], "concat %0, %1 {axis = 1}", [np.concatenate((x, y), axis=1)])
    one = r.array("f32", (1, 5))
    stretched = np.broadcast_to(one, (4, 5)).copy()
    yield case("broadcast of size 1", [one], "broadcast %0 {shape = [4, 5], axes = [0, 1]}", [stretched])


def slice_case(r: Random, x: np.ndarray) -> Case:
    starts = [int(r.rng.integers(0, n + 1)) for n in x.shape]
    limits = [int(r.rng.integers(s, n + 1)) for s, n in zip(starts, x.shape)]
    strides = r.rng.integers(1, 4, 3)
    part = x[tuple(slice(*s) for s in zip(starts, limits, strides))].copy()
    op = f"slice %0 {{starts = {listing(starts)}, limits = {listing(limits)}, strides = {listing(strides)}}}"
    return case(f"slice {x.dtype}", [x], op, [part])


def indexed_cases(r: Random):
    for dtype in ANY:
        x = r.array(dtype, (5, 3, 4))
        i, j = r.rng.integers(0, 5, (2, 6)), r.rng.integers(0, 4, (2, 6))
        yield case(f"gather {dtype}", [x, i], "gather %0, %1 {axes = [0]}", [x[i]])
        both = np.moveaxis(x, 1, 2)[i, j]
        yield case(f"gather two axes {dtype}", [x, i, j], "gather %0, %1, %2 {axes = [0, 2]}", [both])
        starts = [np.array(r.rng.integers(0, n), np.int64) for n in (4, 1, 2)]
        window = tuple(slice(int(s), int(s) + n) for s, n in zip(starts, (2, 3, 3)))
        op = "dynamic_slice %0, %1, %2, %3 {sizes = [2, 3, 3]}"
        yield case(f"dynamic_slice {dtype}", [x, *starts], op, [x[window].copy()])
        value, changed = r.array(dtype, (2, 3, 3)), x.copy()
        changed[window] = value
        yield case(f"dynamic_update {dtype}", [x, value, *starts], "dynamic_update %0, %1, %2, %3, %4", [changed])
        yield from scatter_cases(r, dtype)


def scatter_cases(r: Random, dtype: str):
    x, index = r.array(dtype, (5, 3)), r.rng.integers(0, 5, (7,))
    updates = r.array(dtype, (7, 3))
    for kind in ("set", "max") if dtype in FLOATS else ("set", "add", "max") if dtype != "bool" else ("set",):
        changed = x.copy()
        for i, update in zip(index, updates):
            match kind:
                case "set":
                    changed[i] = update
                case "max" if dtype in FLOATS:
                    changed[i] = extreme(changed[i].astype(np.float64), update.astype(np.float64), True).astype(x.dtype)
                case "max":
                    changed[i] = np.maximum(changed[i], update)
                case _:
                    changed[i] = changed[i] + update
        yield case(f"scatter {kind} {dtype}", [x, index, updates], f"scatter %0, %1, %2 {{axes = [0], kind = {kind}}}", [changed])


def reduction_cases(r: Random):
    for dtype in FLOATS:
        acc = "f32" if dtype in ("f16", "bf16") else dtype
        x = r.array(dtype, r.shape(rank=3), special=False)
        exact = x.astype(np.longdouble).sum(axis=(0, 2))
        terms = x.shape[0] * x.shape[2] + 1
        bound = terms * EPS[acc] * np.abs(x.astype(np.longdouble)).sum(axis=(0, 2)) + 2 * EPS[dtype] * np.abs(exact)
        op = f"reduce %0 {{kind = sum, axes = [0, 2], acc = {acc}}}"
        yield case(f"sum {dtype}", [x], op, [exact.astype(x.dtype)], bound.astype(np.float64))
        y = r.array(dtype, r.shape(rank=2))
        for kind, start in (("max", -math.inf), ("min", math.inf)):
            rows = [fold(row, start, kind == "max") for row in y]
            result = np.array(rows, np.float64).reshape(len(rows)).astype(y.dtype)
            yield case(f"reduce {kind} {dtype}", [y], f"reduce %0 {{kind = {kind}, axes = [1], acc = {dtype}}}", [result])
    for dtype in INTS:
        x, target = r.array(dtype, r.shape(rank=2)), DTYPES[dtype]
        info = np.iinfo(target)
        acc = "i32" if dtype in ("i8", "u8") else dtype
        for kind, function in (("sum", sum), ("prod", math.prod)):
            result = [wrap(function(int(v) for v in row), target) for row in x]
            yield case(f"{kind} {dtype}", [x], f"reduce %0 {{kind = {kind}, axes = [1], acc = {acc}}}", [np.array(result, target)])
        for kind, function, start in (("max", np.max, info.min), ("min", np.min, info.max)):
            result = function(x, axis=1, initial=start)
            yield case(f"reduce {kind} {dtype}", [x], f"reduce %0 {{kind = {kind}, axes = [1], acc = {dtype}}}", [result])
    for kind, function in (("any", np.any), ("all", np.all)):
        x = r.array("bool", r.shape(rank=2))
        yield case(f"reduce {kind}", [x], f"reduce %0 {{kind = {kind}, axes = [0], acc = bool}}", [function(x, axis=0)])


def fold(row: np.ndarray, start: float, largest: bool) -> float:
    best = np.float64(start)
    for value in row.astype(np.float64):
        best = extreme(best, value, largest)[()]
    return float(best)


def order_cases(r: Random):
    for dtype in [*FLOATS, *INTS]:
        x = r.array(dtype, (3, int(r.rng.choice([1, 2, 5, 13]))))
        for kind, function in (("max", np.argmax), ("min", np.argmin)):
            wide = x.astype(np.float64) if dtype in FLOATS else x
            yield case(f"arg {kind} {dtype}", [x], f"arg_reduce %0 {{kind = {kind}, axis = 1}}", [function(wide, axis=1)])
        for descending in (False, True):
            order = np.stack([sort_order(row, descending) for row in x])
            places = np.broadcast_to(np.arange(x.shape[1]), x.shape).copy()
            op = f"sort %0, %1 {{axis = 1, descending = {str(descending).lower()}}}"
            yield case(f"sort {dtype}", [x, places], op, [np.take_along_axis(x, order, 1), order])
    empty = np.zeros((2, 0), np.float32)
    yield case("argmax of nothing", [empty], "arg_reduce %0 {kind = max, axis = 1}", [np.array([-1, -1])])


def sort_order(row: np.ndarray, descending: bool) -> np.ndarray:
    """Stable, -0 before +0, NaN last; descending the other way round, and stable again."""
    def key(value):
        if row.dtype.kind in "iu":
            return (False, int(value), False)
        value = float(value)
        return (True, 0.0, False) if math.isnan(value) else (False, value, not np.signbit(value))
    places = range(len(row))
    ordered = sorted(places, key=lambda i: key(row[i]))
    if descending:
        ordered = [i for _, group in itertools.groupby(reversed(ordered), key=lambda i: key(row[i])) for i in reversed(list(group))]
    return np.array(ordered, np.int64)


def contract_cases(r: Random):
    for dtype in FLOATS:
        acc = "f32" if dtype in ("f16", "bf16") else dtype
        b, m, n, k = (int(r.rng.choice(SMALL)) for _ in range(4))
        x, w = r.array(dtype, (b, m, k), special=False), r.array(dtype, (k, n), special=False)
        maps = "maps = [(i0, i1, i3), (i3, i2)], out = (i0, i1, i2)"
        op = f"contract %0, %1 {{space = {listing((b, m, n, k))}, {maps}, shape = {listing((b, m, n))}, acc = {acc}}}"
        yield product_case(f"matmul {dtype}", [x, w], op, "bmk,kn->bmn", k, acc)
        u, h, o, c = (int(r.rng.integers(1, 4)) for _ in range(4))
        p, f = r.array(dtype, (b, c, 2 * h + u), special=False), r.array(dtype, (o, c, u), special=False)
        windows = np.stack([p[:, :, 2 * i : 2 * i + u] for i in range(h)], axis=2)
        maps = "maps = [(i0, i3, 2 * i2 + i4), (i1, i3, i4)], out = (i0, i1, i2)"
        op = f"contract %0, %1 {{space = {listing((b, o, h, c, u))}, {maps}, shape = {listing((b, o, h))}, acc = {acc}}}"
        yield product_case(f"strided convolution {dtype}", [p, f], op, "bchu,ocu->boh", c * u, acc, [windows, f])


SMALL = [0, 1, 2, 3, 7, 13]


def product_case(name: str, args: list[np.ndarray], op: str, equation: str, terms: int, acc: str, operands=None) -> Case:
    operands = [x.astype(np.longdouble) for x in operands or args]
    exact = np.einsum(equation, *operands)
    size = np.einsum(equation, *(np.abs(x) for x in operands))
    bound = (terms + 2) * EPS[acc] * size + 2 * EPS[type_of(args[0]).split("[")[0]] * np.abs(exact)
    return case(name, args, op, [exact.astype(args[0].dtype)], bound.astype(np.float64))


def control_cases(r: Random):
    x = r.array("f32", (4,), special=False)
    for taken in (True, False):
        op = "if %0 () { %5: f32[4] = neg %1\nyield %5 } () { yield %1 }"
        yield case("if", [np.array(taken), x], op, [-x if taken else x])
    steps = r.array("f32", (5, 4), special=False)
    carries = [x]
    for t in reversed(range(5)):
        carries.append((carries[-1] + steps[t]).astype(np.float32))
    body = """(%5: i64[], %6: f32[4]) {
        %7: i64[] = constant {value = i64[] [1]}
        %8: i64[] = sub %5, %7
        %9: f32[4] = gather %1, %8 {axes = [0]}
        %10: f32[4] = add %6, %9
        yield %10, %6
    }"""
    results = [carries[-1], np.stack(carries[:-1])]
    yield case("scan", [x, steps], f"scan %0 {{from = 5, to = 0, step = -1}} {body}", results)
    halve = """while %0 {max = 100} (%5: f64[]) {
        %6: f64[] = constant {value = f64[] [1.0]}
        %7: bool[] = gt %5, %6
        yield %7
    } (%8: f64[]) {
        %9: f64[] = constant {value = f64[] [0.5]}
        %10: f64[] = mul %8, %9
        yield %10
    }"""
    yield case("while", [np.array(100.0)], halve, [np.array(100 / 128)])


def errors() -> list[tuple[str, str, list[np.ndarray]]]:
    """Programs that must stop with a message: what the message contains, the operation, its arguments."""
    x = np.zeros((3, 2), np.float32)
    return [
        ("out of range", "gather %0, %1 {axes = [0]}", [x, np.array([0, 3])]),
        ("out of range", "gather %0, %1 {axes = [0]}", [x, np.array([0, -1])]),
    ]
