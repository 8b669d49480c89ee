"""Run workloads one after the other, each in a process of its own, and write down what is there after each.

    PYTHONPATH=benchmarks python -m side_by_side [a d ...] [--output FOLDER] [--quick] [--marked WORDS]

A workload that fails or takes too long leaves the rows that it has; the others run all the same. --quick: tiny networks
and few rounds, all in this process, to see that everything still runs; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_USE_LEGACY_KERAS", "0")

HERE = Path(__file__).resolve().parent
MINUTES = 10  # for one workload at the most
WORKLOADS = {
    "a": "grad_cam",
    "b": "maps",
    "c": "filter_pictures",
    "d": "many_passes",
    "e": "in_the_lab",
    "f": "start",
    "g": "growth",
    "h": "thousand_calls",
    "t": "torch_peers",
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="side_by_side", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"some of: {' '.join(WORKLOADS)}")
    parser.add_argument("--output", type=Path, default=HERE.parent, help="folder of results.json and .md")
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    parser.add_argument("--marked", default="", help="words that the results carry, such as: under load")
    parser.add_argument("--into", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    unknown = set(given.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"there is no workload {', '.join(sorted(unknown))}; choose from {' '.join(WORKLOADS)}")
    if given.into:
        run_here(given.workloads[0], given.into, quick=False)
        return 0
    return run_all(given.workloads or list(WORKLOADS), given.output, given.quick, given.marked)


def run_here(workload: str, file: Path, quick: bool = True) -> str:
    """Measure the machine, then the workload, in this process."""
    import keras

    from side_by_side import limits
    from side_by_side.bench import Bench

    keras.utils.disable_interactive_logging()  # peers call predict, whose progress bars fill the screen
    rates = limits.measured(quick)
    print(f"  {rates.words}", flush=True)
    module = importlib.import_module(f"side_by_side.{WORKLOADS[workload]}")
    file.with_suffix(".rates").write_text(rates.words, encoding="utf-8")
    module.measure(Bench(workload, file, quick, rates))
    return ""


def run_apart(workload: str, file: Path) -> str:
    """The same in a process of its own. Returns what went wrong, "" where nothing did."""
    command = [sys.executable, "-m", "side_by_side", workload, "--into", str(file)]
    path = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            command,
            timeout=60 * MINUTES,
            check=False,
            env=os.environ | {"PYTHONPATH": path, "PYTHONWARNINGS": "ignore"},
        )
    except subprocess.TimeoutExpired:
        return f"stopped after {MINUTES} minutes"
    return "" if done.returncode == 0 else f"ended with exit code {done.returncode}"


def run_all(workloads: list[str], output: Path, quick: bool, marked: str) -> int:
    from side_by_side import report

    failures, started = 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for workload in workloads:
            file = Path(folder) / f"{workload}.jsonl"
            minutes = (time.monotonic() - started) / 60
            print(f"{workload} {WORKLOADS[workload]}, after {minutes:.1f} minutes", flush=True)
            problem = (run_here if quick else run_apart)(workload, file)
            failures += bool(problem)
            report.write(output, workload, file, problem, marked)
    print(f"{output / 'results.md'}, {(time.monotonic() - started) / 60:.1f} minutes in all", flush=True)
    return failures
