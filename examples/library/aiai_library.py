"""A compiled library from Python: `ctypes` and NumPy, nothing else. See docs/abi.md."""

import ctypes
import json
from pathlib import Path

import numpy as np


class DLTensor(ctypes.Structure):
    """As DLPack lays it out; device and dtype are flat."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


CODES = {"i": 0, "u": 1, "f": 2, "b": 6}
DTYPES = {"bool": "?", "f16": "f2", "f32": "f4", "f64": "f8"} | {
    f"{kind}{bits}": f"{kind}{bits // 8}" for kind in "iu" for bits in (8, 16, 32, 64)
}


def view(array: np.ndarray) -> DLTensor:
    """The array as DLPack describes it. It must outlive the view."""
    sizes = ctypes.c_int64 * max(array.ndim, 1)
    strides = [s // array.itemsize for s in array.strides]
    tensor = DLTensor(array.ctypes.data, 1, 0, array.ndim, CODES[array.dtype.kind], array.itemsize * 8, 1)
    tensor.shape, tensor.strides = sizes(*array.shape), sizes(*strides)
    return tensor


class LibraryError(Exception):
    """A call that failed: the code, and what the library says."""

    def __init__(self, code: int, message: str):
        super().__init__(f"error {code}: {message}")
        self.code = code


class Model:
    """An open model. Close it, or use it in a `with`."""

    def __init__(self, library: Path, weights: Path | None = None, threads: int = 0):
        self.handle = ctypes.c_void_p()
        self.library = ctypes.CDLL(str(library))
        self.library.aiai_message.restype = ctypes.c_char_p
        self.library.aiai_signature.restype = ctypes.c_char_p
        name = Path(library).stem.removeprefix("lib")
        program = ctypes.byref(ctypes.c_char.in_dll(self.library, f"{name}_program"))
        path = None if weights is None else str(weights).encode()
        self.check(self.library.aiai_open(program, path, threads, ctypes.byref(self.handle)))
        self.signature = json.loads(self.library.aiai_signature(self.handle))

    def check(self, code: int) -> None:
        if code != 0:
            raise LibraryError(code, self.library.aiai_message().decode())

    def __call__(self, *arrays: np.ndarray) -> list[np.ndarray]:
        inputs = [view(array) for array in arrays]
        given = (ctypes.POINTER(DLTensor) * len(inputs))(*map(ctypes.pointer, inputs))
        results = []
        for index, slot in enumerate(self.signature["outputs"]):
            rank = len(slot["shape"])
            shape = (ctypes.c_int64 * rank)()
            self.check(self.library.aiai_shape(self.handle, given, len(inputs), index, shape, rank))
            results.append(np.empty(list(shape), DTYPES[slot["dtype"]]))
        outputs = [view(array) for array in results]
        taken = (ctypes.POINTER(DLTensor) * len(outputs))(*map(ctypes.pointer, outputs))
        self.check(self.library.aiai_call(self.handle, given, len(inputs), taken, len(outputs)))
        return results

    def close(self) -> None:
        self.library.aiai_close(self.handle)
        self.handle = ctypes.c_void_p()

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
