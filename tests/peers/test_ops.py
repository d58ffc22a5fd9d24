"""Every operation of the IR in the reference evaluator against NumPy, over random shapes, dtypes and special values.

`SEED=n` draws other cases, `ROUNDS=n` more of them.
"""

import os
import unittest

import numpy as np

import ops_numpy
import ops_shapes
from evaluator import NAMES, evaluate
from ops_numpy import FLOATS, Case, Random, main

GROUPS = [
    ops_numpy.unary_cases, ops_numpy.binary_cases, ops_numpy.cast_cases, ops_shapes.data_cases, ops_shapes.movement_cases,
    ops_shapes.indexed_cases, ops_shapes.reduction_cases, ops_shapes.order_cases, ops_shapes.contract_cases,
    ops_shapes.control_cases,
]
ROUNDS = int(os.environ.get("ROUNDS", "4"))
SEED = int(os.environ.get("SEED", "0"))


def problem(case: Case, got: list[np.ndarray] | str) -> str | None:
    if isinstance(got, str):
        return f"stopped: {got}"
    for result, want in zip(got, case.expected, strict=True):
        if (result.dtype, result.shape) != (want.dtype, want.shape):
            return f"is {result.dtype}{result.shape}, expected {want.dtype}{want.shape}"
        wrong = ~same(result, want, case.tolerance)
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            return f"{result[at]!r} at {at}, expected {want[at]!r}; arguments {[a.shape for a in case.args]}"
    return None


def same(got: np.ndarray, want: np.ndarray, tolerance: float | np.ndarray) -> np.ndarray:
    if NAMES[got.dtype] not in FLOATS:
        return np.asarray(got == want)
    a, b = got.astype(np.float64), want.astype(np.float64)
    equal = (a == b) & (np.signbit(a) == np.signbit(b)) | (np.isnan(a) & np.isnan(b))
    if np.ndim(tolerance) > 0:
        return equal | (np.abs(a - b) <= tolerance)
    if tolerance == 0:
        return np.asarray(equal)
    return equal | (np.abs(a - b) <= tolerance * np.abs(np.spacing(want).astype(np.float64)))


class Ops(unittest.TestCase):
    def test_against_numpy(self) -> None:
        with np.errstate(all="ignore"):
            cases = [c for i in range(ROUNDS) for group in GROUPS for c in group(Random(SEED * 1000 + i))]
            answers = evaluate([(c.ir, c.args) for c in cases])
            found = [(c, problem(c, got)) for c, got in zip(cases, answers, strict=True)]
        problems = [f"{c.name}: {p}" for c, p in found if p]
        if problems:
            self.fail(f"{len(problems)} of {len(cases)} cases\n" + "\n".join(problems[:30]))

    def test_errors(self) -> None:
        cases = ops_shapes.errors()
        result = np.zeros((2, 2), np.float32)
        answers = evaluate([(main(args, op, [result]), args) for _, op, args in cases])
        for (message, op, _), answer in zip(cases, answers, strict=True):
            self.assertIsInstance(answer, str, op)
            self.assertIn(message, answer)


if __name__ == "__main__":
    unittest.main()
