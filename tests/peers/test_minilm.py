"""The two referees of minilm agree with each other, so that neither can be wrong alone."""

import unittest

import numpy as np

from minilm_model import WEIGHTS, Reference, onnx_embed, onnx_session, tokenize

SENTENCES = ["A cat sleeps.", "Die Katze schläft auf der warmen Fensterbank.", "猫は眠っている。", "x"]


@unittest.skipUnless((WEIGHTS / "model.safetensors").is_file(), "run examples/minilm/fetch.py first")
class Referees(unittest.TestCase):
    def test_agreement(self) -> None:
        padded = onnx_embed(onnx_session(threads=1), *tokenize(SENTENCES))
        reference = Reference()
        alone = np.concatenate([reference.embed(*tokenize([sentence])) for sentence in SENTENCES])
        np.testing.assert_allclose(padded, alone, rtol=0, atol=1e-6)

    def test_unit_length(self) -> None:
        vectors = Reference().embed(*tokenize(SENTENCES))
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-12)


if __name__ == "__main__":
    unittest.main()
