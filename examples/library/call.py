"""Recognises the digits of a file: call.py libdigits.so digits.safetensors digits.csv"""

import csv
import sys

import numpy as np
from aiai_library import Model

library, weights, table = sys.argv[1:]
with open(table, newline="") as file:
    rows = np.array([[float(cell) for cell in row] for row in list(csv.reader(file))[1:]], np.float32)
images, digits = rows[:, :64].reshape(-1, 1, 8, 8) / 16, rows[:, 64].astype(int)
with Model(library, weights) as model:
    (scores,) = model(images.astype(np.float32))
print(f"{(scores.argmax(axis=1) == digits).sum()} of {len(digits)} digits recognised")
