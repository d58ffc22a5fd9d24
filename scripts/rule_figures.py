#!/usr/bin/env python3
"""What the rules of the library do to the examples and to the programs of the tests, for docs/benchmarks.md.

Per entry: operations before and after, how long a run takes with rules over without (medians of runs in turns, one thread), and how
often each rule fires. Then the processor time of compiling minilm with and without rules, in turns. Needs Python alone;
`AIAI` names the binary, and `BACKEND` what makes the code.
"""

import json
import os
import re
import resource
import statistics
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BINARY = os.environ.get("AIAI", str(ROOT / "target/release/aiai"))
RULES = ["--rules", "stdlib"]
REPEATS = 7
BACKEND = os.environ.get("BACKEND", "cranelift")
# Sizes of what programs leave open, where they take these.
SIZES = {"B": 8, "L": 64, "T": 64, "N": 64, "M": 64}


def emitted(target: str, *options: str) -> str | None:
    """What `emit` prints; None where the entry needs sizes that only a caller knows."""
    done = subprocess.run([BINARY, "emit", target, *options], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def operations(target: str, *options: str) -> int:
    text = emitted(target, "--ir", "tensor", "--after", "dce", *options) or ""
    return sum(" = " in line for line in text.splitlines())


def seconds(target: str, sizes: list[str], *options: str) -> float | None:
    """The least time of a run in one process; None where the entry does not run on drawn arguments."""
    runs = ["--random", "1", "--repeat", "40", "--threads", "1", "--json", "--backend", BACKEND]
    done = subprocess.run([BINARY, "run", target, *runs, *sizes, *options], capture_output=True, text=True, check=False)
    return min(json.loads(done.stdout)["seconds"]) if done.returncode == 0 else None


def latency(target: str) -> str:
    """Time with rules over time without, of processes in turns; with how long one takes."""
    path, name = target.rsplit(":", 1)
    file = Path(path) / "model.aiai" if Path(path).is_dir() else Path(path)
    header = re.search(rf"^fn {name}\b(.*?)\{{", file.read_text(), re.MULTILINE | re.DOTALL)
    names = set(re.findall(r"\b[A-Z]\b", header.group(1))) if header else set()
    drawn = [f"--dim={name}={SIZES[name]}" for name in sorted(names & set(SIZES))]
    sizes = drawn if seconds(target, drawn) is not None else []
    if seconds(target, sizes) is None:
        return "not run"
    pairs = [(seconds(target, sizes), seconds(target, sizes, *RULES)) for _ in range(REPEATS)]
    without, having = (statistics.median(pair[k] or 0 for pair in pairs) for k in (0, 1))
    return f"{having / without:.2f} of {without * 1e3:.3f} ms"


def entries(path: Path) -> list[str]:
    source = path / "model.aiai" if path.is_dir() else path
    names = re.findall(r"^fn (\w+)", source.read_text(), re.MULTILINE)
    return [f"{path}:{name}" for name in names]


def processor_seconds(*options: str) -> float:
    """Of building minilm as a library with an empty cache, code by Cranelift."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        command = [BINARY, "build", str(ROOT / "examples/minilm"), "-o", f"{folder}/lib", *options]
        environment = {**os.environ, "AIAI_CACHE": f"{folder}/cache"}
        subprocess.run(command, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    programs = [ROOT / "examples/minilm", ROOT / "examples/digits"]
    programs += sorted((ROOT / "tests/cases/programs").glob("*.aiai"))
    print("| program | operations | with rules | time with rules | firings |\n|---|---|---|---|---|")
    total: Counter[str] = Counter()
    for program in programs:
        for target in entries(program):
            text = emitted(target, *RULES, "--firings", "--json")
            if text is None:
                continue
            fired = Counter(firing["rule"] for firing in json.loads(text)["firings"])
            total += fired
            listed = ", ".join(f"`{rule}` {count}" for rule, count in sorted(fired.items())) or "none"
            name = Path(target).relative_to(ROOT)
            counts = f"{operations(target)} | {operations(target, *RULES)}"
            print(f"| `{name}` | {counts} | {latency(target)} | {listed} |", flush=True)
    print("\nall firings:", ", ".join(f"{rule} {count}" for rule, count in total.most_common()))
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(REPEATS):
        for with_rules in (False, True):
            times[with_rules].append(processor_seconds(*(RULES if with_rules else [])))
    without, having = (statistics.median(times[k]) for k in (False, True))
    print(f"minilm to a library, processor time: {without:.3f} s, with rules {having:.3f} s, ratio {having / without:.2f}")


if __name__ == "__main__":
    main()
