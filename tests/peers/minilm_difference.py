#!/usr/bin/env python3
"""The largest difference of one component between aiai, NumPy in float64 and ONNX Runtime, over 100 sentences.

Sentences are run in batches of ten unequal lengths. NumPy sees each alone, without padding, so that a mistake in
masking shows too. Ends with exit code 1 where aiai is further than 2e-6 from either.
"""

import json
import sys
from pathlib import Path

import numpy as np

from aiai import aiai
from minilm_model import Reference, onnx_embed, onnx_session, tokenize

LIMIT = 2e-6
BATCH = 10


def main() -> None:
    sentences = Path(__file__).with_name("minilm_sentences.txt").read_text().splitlines()
    reference, session = Reference(), onnx_session(threads=2)
    worst = {"numpy": 0.0, "onnxruntime": 0.0, "onnxruntime from numpy": 0.0}
    for start in range(0, len(sentences), BATCH):
        batch = sentences[start : start + BATCH]
        texts = [word for sentence in batch for word in ("--text", sentence)]
        ours = np.array(aiai("run", "examples/minilm", *texts)["outputs"]["embedding"])
        numpy = np.concatenate([reference.embed(*tokenize([sentence])) for sentence in batch])
        ort = onnx_embed(session, *tokenize(batch))
        pairs = {"numpy": (ours, numpy), "onnxruntime": (ours, ort), "onnxruntime from numpy": (ort, numpy)}
        for name, (a, b) in pairs.items():
            worst[name] = max(worst[name], float(np.abs(a - b).max()))
    print(json.dumps({"schema": 1, "sentences": len(sentences), "largest_difference": worst}))
    if max(worst["numpy"], worst["onnxruntime"]) >= LIMIT:
        sys.exit(1)


if __name__ == "__main__":
    main()
