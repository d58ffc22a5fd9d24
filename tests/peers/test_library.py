"""A compiled library through `ctypes` and NumPy, as docs/abi.md shows it, against NumPy.

The debug build of `aiai` makes the library.
"""

import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np

from aiai import ROOT, save_weights
from aiai_library import LibraryError, Model

AIAI = ROOT / "target/debug/aiai"
SOURCE = """
module Dense<D, F> {
  param w: f32[D, F] ~ he_normal
  param b: f32[F] ~ zeros
}

fn apply(net: Dense<5, 3>, x: f32[B, 5], y: f64[B]) -> (f32[B, 3], f64[]) {
  (relu(x @ net.w + net.b), sum(y, axis = 0))
}
"""


def aiai(*arguments: object) -> str:
    done = subprocess.run([AIAI, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Library(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        subprocess.run(["cargo", "build", "--quiet", "--package", "aiai"], cwd=ROOT, check=True)
        cls.folder = tempfile.TemporaryDirectory()
        cls.here = Path(cls.folder.name)
        random = np.random.default_rng(1)
        cls.w, cls.b = random.normal(size=(5, 3)).astype("f4"), random.normal(size=3).astype("f4")
        save_weights(cls.here / "given.safetensors", {"net.w": cls.w, "net.b": cls.b})
        (cls.here / "dense.aiai").write_text(SOURCE)
        aiai("build", cls.here / "dense.aiai", "-o", cls.here / "dense", "--weights", cls.here / "given.safetensors")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def model(self, weights: str | None = "dense.safetensors", threads: int = 1) -> Model:
        return Model(self.here / "libdense.so", weights and self.here / weights, threads)

    def refused(self, code: int, part: str, weights: str | None) -> None:
        with self.assertRaises(LibraryError) as caught:
            self.model(weights)
        self.assertEqual(caught.exception.code, code)
        self.assertIn(part, str(caught.exception))

    def test_results(self) -> None:
        random = np.random.default_rng(2)
        for threads in (1, 2):
            with self.model(threads=threads) as model:
                for batch in (0, 1, 7, 1000):
                    x, y = random.normal(size=(batch, 5)).astype("f4"), random.normal(size=batch)
                    scores, total = model(x, y)
                    np.testing.assert_allclose(scores, np.maximum(x @ self.w + self.b, 0), rtol=1e-5, atol=1e-5)
                    np.testing.assert_allclose(total, y.sum(), rtol=1e-12, atol=1e-12)

    def test_views(self) -> None:
        x = np.random.default_rng(3).normal(size=(10, 12)).astype("f4")
        y = np.arange(40.0)
        with self.model() as model:
            for view in (x[:, 2:7], x[::-2, :10:2], x[:5].T[:5, :5], np.broadcast_to(x[0, :5], (4, 5))):
                scores, total = model(view, y[: 3 * len(view) : 3])
                dense, same = model(view.copy(), y[: 3 * len(view) : 3].copy())
                np.testing.assert_array_equal(scores, dense)
                np.testing.assert_array_equal(total, same)

    def test_weights_that_do_not_fit(self) -> None:
        whole = (self.here / "dense.safetensors").read_bytes()
        (self.here / "cut.safetensors").write_bytes(whole[:-4])
        (self.here / "empty.safetensors").write_bytes(b"")
        save_weights(self.here / "other.safetensors", {"net.w": self.w.T.copy(), "net.b": self.b})
        save_weights(self.here / "less.safetensors", {"net.w": self.w})
        self.refused(6, "`weights` is null", None)
        self.refused(6, "No such file", "nowhere.safetensors")
        self.refused(6, "cut.safetensors", "cut.safetensors")
        self.refused(6, "empty.safetensors", "empty.safetensors")
        self.refused(6, "the weight `net.w` is `f32[5, 3]`, the file has f32[3, 5]", "other.safetensors")
        self.refused(6, "net.b", "less.safetensors")

    def test_wrong_arrays(self) -> None:
        x, y = np.ones((2, 5), "f4"), np.ones(2)
        cases = [
            (2, "`B` is 2, got 3", (x, np.ones(3))),
            (2, "got f64", (x.astype("f8"), y)),
            (2, "is 5, got 4", (x[:, :4], y)),
            (1, "the model has 2 inputs, got 1", (x,)),
        ]
        with self.model() as model:
            for code, part, arrays in cases:
                with self.assertRaises(LibraryError) as caught:
                    model(*arrays)
                self.assertEqual(caught.exception.code, code)
                self.assertIn(part, str(caught.exception))
            self.assertEqual([slot["name"] for slot in model.signature["inputs"]], ["x", "y"])


if __name__ == "__main__":
    unittest.main()
