#!/usr/bin/env python3
"""The machine's own limits on one thread and on two: multiply-adds a second, bytes a second read and in a triad.

Needs a C compiler (`cc`, or what `CC` names). Each figure is the best of many short tries, since it is a limit: what
others do on the machine can only lower it. Bandwidths are measured for working sets from the first cache to main memory.
The other suites take their ceilings from here.
"""

import ctypes
import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SIZES = [1 << n for n in range(15, 29)]  # 32 KiB to 256 MiB
MOVED = 4e7  # bytes of one try, about 1 ms: short enough to be alone on the machine now and then


@functools.cache
def measures(level: str = "native") -> ctypes.CDLL:
    source = Path(__file__).with_name("roofline.c")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "roofline.so"
        options = ["-O3", f"-march={level}", "-mprefer-vector-width=512", "-shared", "-fPIC", "-pthread"]
        try:
            subprocess.run([os.environ.get("CC", "cc"), *options, source, "-o", library], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            sys.exit(f"roofline.py: a C compiler is needed to measure the machine: {error}")
        loaded = ctypes.CDLL(str(library))
    for function in (loaded.fma_rate, loaded.read_rate, loaded.triad_rate):
        function.restype = ctypes.c_double
    return loaded


@functools.cache
def flops(threads: int, level: str = "native") -> float:
    """The most f32 operations a second with the instructions of a level; a multiply-add is two."""
    return measures(level).fma_rate(threads, ctypes.c_long(400_000))


@functools.cache
def bandwidth(kind: str, size: int, threads: int) -> float:
    """The most bytes a second over `size` bytes, `kind` being `read` or `triad`."""
    function = getattr(measures(), f"{kind}_rate")
    repeats = ctypes.c_long(max(1, int(MOVED / size)))
    return function(threads, repeats, ctypes.c_size_t(size))


def ceiling(operations: float, read: float, written: float, threads: int) -> float:
    """Seconds that nothing can beat which computes so much and moves so many bytes once; they may lie in cache."""
    moved = read + written
    size = next((s for s in SIZES if s >= moved), SIZES[-1])
    kind = "read" if written < read / 16 else "triad"
    return max(operations / flops(threads), moved / bandwidth(kind, size, threads))


def main() -> None:
    for threads in (1, 2):
        line = {"suite": "roofline", "threads": threads, "gflops": round(flops(threads) / 1e9, 1)}
        for kind in ("read", "triad"):
            rates = {size: bandwidth(kind, size, threads) for size in SIZES}
            line[f"{kind}_gb_s"] = {f"{size >> 10} KiB": round(rate / 1e9, 1) for size, rate in rates.items()}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
