#!/usr/bin/env python3
"""Runs all suites and writes their figures as a fragment of Markdown.

Options go on to every suite; `--draw` is 20 where it is not given. A suite that breaks is named in the fragment. The lines
of the suites go to standard error as they come.
"""

import json
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from peers import arguments

SUITES = ("gemm", "conv", "rows", "attention", "minilm_latency")
PEERS = ("onnxruntime", "openvino")
SHOWN = ("32 KiB", "512 KiB", "8192 KiB", "262144 KiB")  # of the roofline: one in each level of memory
HERE = Path(__file__).parent


def lines_of(suite: str, options: list[str]) -> tuple[list[dict], str | None]:
    """The lines that a suite prints, and how it broke."""
    lines = []
    with subprocess.Popen([sys.executable, HERE / f"{suite}.py", *options], stdout=subprocess.PIPE, text=True) as process:
        for text in process.stdout:
            print(text, end="", file=sys.stderr, flush=True)
            lines.append(json.loads(text))
    return lines, None if process.returncode == 0 else f"`{suite}.py` ended with code {process.returncode}"


def table(head: list[str], rows: list[list]) -> None:
    for row in [head, ["---"] * len(head), *rows]:
        print("| " + " | ".join(map(str, row)) + " |")
    print()


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def limits(lines: list[dict]) -> None:
    print("### The machine\n")
    print(f"{processor()}; ONNX Runtime {version('onnxruntime')}, OpenVINO {version('openvino')}.\n")
    columns = [(kind, size) for kind in ("read", "triad") for size in SHOWN]
    rows = [[line["threads"], line["gflops"], *(line[f"{kind}_gb_s"][size] for kind, size in columns)] for line in lines]
    table(["threads", "GFLOP/s", *(f"{kind} {size}, GB/s" for kind, size in columns)], rows)


def summaries(lines: list[dict]) -> None:
    shares = ["of FMA peak: median, least", "of roofline: median, least"]
    head = ["suite", "cases", "threads", "number", "geomean", "of least times", "worst", *shares]
    rows = []
    for line in lines:
        row = [line["suite"], line["summary"], line["threads"], line["cases"]]
        if "geomean" in line:
            parts = [f"{line[key]['median']:.2f}, {line[key]['least']:.2f}" for key in ("of_peak", "of_ceiling")]
            worst = f"{line['worst']['speed']:.2f} ({line['worst']['case']})"
            row += [f"{line['geomean']:.2f}", f"{line['geomean_of_least']:.2f}", worst, *parts]
        else:
            row += ["-"] * 5
        rows.append(row)
    print("### Summary\n\nSpeeds are the better peer's time over ours: medians, and the least times.\n")
    table(head, rows)


def details(suite: str, lines: list[dict]) -> None:
    times = ["aiai, us", "ONNX Runtime, us", "OpenVINO, us", "speed", "GFLOP/s"]
    head = ["case", "threads", *times, "operations", "bytes", "roofline, us", "of it"]
    rows = []
    for line in lines:
        if "error" in line:
            rows.append([line["case"], line["threads"], "fails", *["-"] * (len(head) - 3)])
            continue
        best = [min((us for name, us in line["us"].items() if name.startswith(peer)), default="-") for peer in PEERS]
        columns = ("speed", "gflops", "operations", "bytes", "ceiling_us", "of_ceiling")
        rows.append([line["case"], line["threads"], line["us"]["aiai"], *best, *(line[key] for key in columns)])
    print(f"### {suite}\n")
    table(head, rows)
    for line in lines:
        if "error" in line:
            print(f"- {line['case']}, {line['threads']} threads: `{' '.join(line['error'].split())}`\n")


def before_the_first_call(found: dict) -> None:
    print("### minilm before the first call\n")
    compiled = [[f"source to machine code, `aiai {name}`", *found["compile"][name].values()] for name in ("run", "build")]
    opened = [[f"files to the first result, {name}", seconds, "-"] for name, seconds in found["first_result_s"].items()]
    table(["step", "s", "from the cache, s"], compiled + opened)
    table(["file", "bytes"], [[name, size] for name, size in found["compile"]["bytes"].items()])


def main() -> None:
    arguments(__doc__)
    options = sys.argv[1:]
    machine, broken = lines_of("roofline", [])
    found, problems = {}, [broken]
    for suite in SUITES:
        draw = ["--draw", "20"] if suite in ("gemm", "conv") and not any(o.startswith("--draw") for o in options) else []
        found[suite], broken = lines_of(suite, options + draw)
        problems.append(broken)
    if machine:
        limits(machine)
    summaries([line for lines in found.values() for line in lines if "summary" in line])
    for suite, lines in found.items():
        details(suite, [line for line in lines if "case" in line])
        for line in lines:
            if "compile" in line:
                before_the_first_call(line)
    for problem in filter(None, problems):
        print(f"- {problem}")
    sys.exit(1 if any(problems) else 0)


if __name__ == "__main__":
    main()
