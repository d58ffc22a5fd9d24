"""Random cases for the operations of the IR, with what NumPy says their results are.

A case is IR text, arguments, and the expected arrays, each with how far off it may be: 0 for the same bits (any NaN for
a NaN), n for n units in the last place, or an array of absolute bounds. Sums are compared with exact sums, within the
bound of any order of summation.
"""

import math
from dataclasses import dataclass

import numpy as np

from evaluator import DTYPES, NAMES, type_of

FLOATS = ["f16", "bf16", "f32", "f64"]
INTS = ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"]
SIZES = [0, 1, 2, 3, 5, 7, 8, 13]
SPECIAL = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 1e-40, 65504.0, 0.5, 2.5, -2.5, 3e38]
EPS = {"f16": 2.0**-11, "bf16": 2.0**-8, "f32": 2.0**-24, "f64": 2.0**-53}


@dataclass
class Case:
    name: str
    ir: str
    args: list[np.ndarray]
    expected: list[np.ndarray]
    tolerance: float | np.ndarray = 0


class Random:
    """Draws shapes and arrays, special values among them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def shape(self, rank: int | None = None, least: int = 0) -> tuple[int, ...]:
        rank = int(self.rng.integers(0, 4)) if rank is None else rank
        return tuple(int(self.rng.choice([s for s in SIZES if s >= least])) for _ in range(rank))

    def array(self, dtype: str, shape: tuple[int, ...], special: bool = True) -> np.ndarray:
        target = DTYPES[dtype]
        if dtype == "bool":
            return self.rng.integers(0, 2, shape).astype(target)
        if dtype in INTS:
            info = np.iinfo(target)
            wide = self.rng.integers(info.min, info.max, shape, dtype=target, endpoint=True)
            small = self.rng.integers(0 if dtype[0] == "u" else -4, 5, shape).astype(target)
            edge = self.rng.choice(np.array([info.min, info.max, 0], target), shape)
            return np.select([self.rng.random(shape) < 0.4, self.rng.random(shape) < 0.2], [small, edge], wide).astype(target)
        plain = self.rng.standard_normal(shape) * np.exp(self.rng.normal(0, 1.5, shape))
        if special:
            plain = np.where(self.rng.random(shape) < 0.2, self.rng.choice(SPECIAL, shape), plain)
        return plain.astype(target)


def main(args: list[np.ndarray], op: str, results: list[np.ndarray], before: str = "") -> str:
    """A function whose parameters are %0, %1, ... and whose only operation is `op`."""
    params = ", ".join(f"@p{i} %{i}: {type_of(a)}" for i, a in enumerate(args))
    outs = ", ".join(f"@r{i}: {type_of(r)}" for i, r in enumerate(results))
    values = [f"%{100 + i}" for i in range(len(results))]
    defined = ", ".join(f"{v}: {type_of(r)}" for v, r in zip(values, results))
    return f"func @main({params}) -> ({outs}) {{\n{before}{defined} = {op}\nreturn {', '.join(values)}\n}}"


def case(name: str, args: list[np.ndarray], op: str, results: list[np.ndarray], tolerance=0, before: str = "") -> Case:
    return Case(name, main(args, op, results, before), args, results, tolerance)


def sign(x: np.ndarray) -> np.ndarray:
    return np.where(x == 0, x, np.sign(x))


ERF = np.frompyfunc(math.erf, 1, 1)
UNARY = {
    "neg": (np.negative, 0), "abs": (np.abs, 0), "sign": (sign, 0), "floor": (np.floor, 0), "ceil": (np.ceil, 0),
    "round": (np.rint, 0), "exp": (np.exp, 2), "expm1": (np.expm1, 2), "exp2": (np.exp2, 2), "log": (np.log, 2), "log1p": (np.log1p, 2),
    "sqrt": (np.sqrt, 0.5), "rsqrt": (lambda x: 1 / np.sqrt(x), 2), "tanh": (np.tanh, 2), "sin": (np.sin, 2),
    "cos": (np.cos, 2), "erf": (lambda x: np.asarray(ERF(x), np.float64), 2),
}


def unary_cases(r: Random):
    for name, (function, ulp) in UNARY.items():
        for dtype in FLOATS:
            x = r.array(dtype, r.shape())
            if name in ("sin", "cos"):
                x = np.where(np.abs(x.astype(np.float64)) > 1e4, 1, x).astype(x.dtype)
            y = np.asarray(function(x.astype(np.float64)))
            yield case(f"{name} {dtype}", [x], f"{name} %0", [y.astype(x.dtype)], 0 if ulp <= 0.5 else ulp)
    for dtype in INTS:
        x = r.array(dtype, r.shape())
        yield case(f"neg {dtype}", [x], "neg %0", [np.negative(x)])
        yield case(f"abs {dtype}", [x], "abs %0", [np.abs(x)])
        yield case(f"sign {dtype}", [x], "sign %0", [np.sign(x)])
    for dtype in [*INTS, "bool"]:
        x = r.array(dtype, r.shape())
        yield case(f"not {dtype}", [x], "not %0", [np.invert(x)])
    for dtype in FLOATS:
        x = r.array(dtype, r.shape())
        yield case(f"is_nan {dtype}", [x], "is_nan %0", [np.isnan(x.astype(np.float64))])
        yield case(f"is_finite {dtype}", [x], "is_finite %0", [np.isfinite(x.astype(np.float64))])


def extreme(a: np.ndarray, b: np.ndarray, largest: bool) -> np.ndarray:
    """NaN wins, +0 is above -0."""
    first = (a > b) | ((a == b) & ~np.signbit(a)) if largest else (a < b) | ((a == b) & np.signbit(a))
    return np.where(np.isnan(a), a, np.where(np.isnan(b), b, np.where(first, a, b)))


def float_binary(name: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    match name:
        case "max" | "min":
            return extreme(a, b, name == "max")
        case "rem":
            return a - b * np.floor(a / b)
        case _:
            return {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}[name](a, b)


def int_binary(name: str, a: int, b: int, bits: int, signed: bool) -> int:
    """In Python's unbounded integers; the caller wraps."""
    match name:
        case "div":
            return a // b if b else 0
        case "rem":
            return a - b * (a // b) if b else 0
        case "pow":
            if b >= 0:
                return pow(a, b, 1 << bits)
            return 1 if a == 1 else (1 if b % 2 == 0 else -1) if a == -1 else 0
        case "shl":
            return a << b if 0 <= b < bits else 0
        case "shr":
            return a >> b if 0 <= b < bits else (-1 if signed and a < 0 else 0)
        case _:
            functions = {"add": int.__add__, "sub": int.__sub__, "mul": int.__mul__, "max": max, "min": min,
                         "and": int.__and__, "or": int.__or__, "xor": int.__xor__}
            return functions[name](a, b)


def wrap(value: int, dtype: np.dtype) -> int:
    bits = dtype.itemsize * 8
    value &= (1 << bits) - 1
    return value - (1 << bits) if dtype.kind == "i" and value >> (bits - 1) else value


def binary_cases(r: Random):
    for dtype in FLOATS:
        for name in ("add", "sub", "mul", "div", "max", "min"):
            shape = r.shape()
            a, b = r.array(dtype, shape), r.array(dtype, shape)
            wide = (lambda x: x.astype(np.float64)) if dtype != "f64" else (lambda x: x)
            y = np.asarray(float_binary(name, wide(a), wide(b))).astype(a.dtype)
            yield case(f"{name} {dtype}", [a, b], f"{name} %0, %1", [y])
    for dtype in ("f32", "f64"):
        shape = r.shape()
        a, b = np.abs(r.array(dtype, shape, special=False)), r.array(dtype, shape, special=False)
        y = np.power(a.astype(np.longdouble), b.astype(np.longdouble)).astype(a.dtype)
        yield case(f"pow {dtype}", [a, b], "pow %0, %1", [y], 2)
    for dtype in INTS:
        target = DTYPES[dtype]
        for name in ("add", "sub", "mul", "div", "rem", "pow", "max", "min", "and", "or", "xor", "shl", "shr"):
            shape = r.shape()
            a, b = r.array(dtype, shape), r.array(dtype, shape)
            arguments = (target.itemsize * 8, target.kind == "i")
            flat = [wrap(int_binary(name, int(x), int(y), *arguments), target) for x, y in zip(a.flat, b.flat)]
            yield case(f"{name} {dtype}", [a, b], f"{name} %0, %1", [np.array(flat, target).reshape(shape)])
    compare = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}
    for name, function in compare.items():
        for dtype in [*FLOATS, *INTS, "bool"]:
            shape = r.shape()
            a, b = r.array(dtype, shape), r.array(dtype, shape)
            b = np.where(r.rng.random(shape) < 0.3, a, b).astype(a.dtype)
            yield case(f"{name} {dtype}", [a, b], f"{name} %0, %1", [np.asarray(function(a, b))])
    for dtype in [*FLOATS, *INTS, "bool"]:
        shape = r.shape()
        c, a, b = r.array("bool", shape), r.array(dtype, shape), r.array(dtype, shape)
        yield case(f"select {dtype}", [c, a, b], "select %0, %1, %2", [np.where(c, a, b).astype(a.dtype)])


def cast(x: np.ndarray, name: str) -> np.ndarray:
    target = DTYPES[name]
    if name == "bool":
        return x.astype(np.float64) != 0 if NAMES[x.dtype] in FLOATS else x != 0
    if NAMES[x.dtype] in FLOATS and name in INTS:
        info = np.iinfo(target)
        clip = lambda v: 0 if math.isnan(v) else info.max if v >= info.max else info.min if v <= info.min else int(v)
        return np.array([clip(float(v)) for v in x.flat], target).reshape(x.shape)
    if NAMES[x.dtype] in INTS and name in INTS:
        return np.array([wrap(int(v), target) for v in x.flat], target).reshape(x.shape)
    return x.astype(target)


def cast_cases(r: Random):
    for source in DTYPES:
        for target in DTYPES:
            x = r.array(source, r.shape())
            if source == "f64" and target == "bf16" or source in ("i32", "u32", "i64", "u64") and target in ("f16", "bf16"):
                continue  # NumPy rounds these twice
            yield case(f"cast {source} {target}", [x], f"cast %0 {{dtype = {target}}}", [cast(x, target)])
