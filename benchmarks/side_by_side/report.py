"""What was measured becomes results.json and results.md: everything there is, older workloads too, with its date."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from dataclasses import asdict
from pathlib import Path

from cnnvis_widgets.cli.common import in_markdown
from side_by_side import peers
from side_by_side.charts import draw
from side_by_side.rows import Judged, Row, judged, read

TITLES = {
    "a": "Grad-CAM",
    "b": "Feature maps",
    "c": "Filter pictures",
    "d": "Attribution methods of many passes",
    "e": "From slider to pixels, in JupyterLab",
    "f": "Start and size",
    "g": "Growth",
    "h": "A thousand calls",
    "t": "Beside PyTorch",
}
NEAR = 1.5  # of the machine's limit: whoever is that near has met any goal
PACKAGES = (
    "cnnvis-widgets",
    "tensorflow",
    "keras",
    "numpy",
    *dict.fromkeys(peers.DISTRIBUTIONS.values()),
    "torch",
)


def write(folder: Path, workload: str, file: Path, problem: str, marked: str) -> None:
    """Put one workload's rows in the place of its former ones."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "results.json"
    held = json.loads(target.read_text(encoding="utf-8")) if target.exists() else {}
    found = [asdict(row) for row in read(file)]
    held[workload] = {
        "title": TITLES[workload],
        "date": datetime.date.today().isoformat(),
        "machine": _machine(),
        "rates": _rates(file),
        "versions": _versions(),
        "problem": problem,
        "marked": marked,
        "rows": found,
    }
    held = {name: held[name] for name in sorted(held)}
    target.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    charts = folder / "charts"
    charts.mkdir(exist_ok=True)
    for name, part in held.items():
        tasks = [one for one in judged(Row(**row) for row in part["rows"]) if one.ours.figures]
        if tasks:
            draw(charts / f"{name}.svg", f"{name}. {part['title']}", tasks)
    (folder / "results.md").write_text(in_words(held, charts), encoding="utf-8")


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{cores} cores of {_processor()}, {system}{_gpu()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "an unknown processor"


def _gpu() -> str:
    try:
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
        return f", {names[0]}"
    except (OSError, subprocess.CalledProcessError):
        return ""


def _rates(file: Path) -> str:
    rates = file.with_suffix(".rates")
    return rates.read_text(encoding="utf-8") if rates.exists() else ""


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def in_words(held: dict, charts: Path) -> str:
    """All workloads as Markdown."""
    lines = [
        "# Side by side",
        "",
        "Written by `make bench`; what the columns mean stands in `docs/benchmarks.md`.",
        "",
        *_misses(held),
    ]
    for name, part in held.items():
        lines += ["", f"## {name}. {part['title']}", ""]
        lines.append(f"{part['date']}, {in_markdown(part['machine'])}; {part['rates']}.")
        if part["marked"]:
            lines += ["", f"**{in_markdown(part['marked'])}**"]
        if part["problem"]:
            lines += ["", f"**This workload {part['problem']}: what it had measured until then follows.**"]
        if (charts / f"{name}.svg").exists():
            lines += ["", f"![{part['title']}: every tool's median at every task](charts/{name}.svg)"]
        tables: dict[str, list[Judged]] = {}
        rows = _rows(part)
        for one in judged(rows):
            tables.setdefault(one.ours.table, []).append(one)
        for table, tasks in tables.items():
            lines += [
                "",
                *(["The same architecture and weights in PyTorch:", ""] if table == "torch" else []),
            ]
            lines += _table(tasks)
        lines += _remarks(rows)
    versions = next(iter(held.values()))["versions"]
    lines += ["", "Versions: " + ", ".join(f"{name} {number}" for name, number in versions.items()) + "."]
    return "\n".join(lines) + "\n"


def _rows(part: dict) -> list[Row]:
    """As Markdown shows them: names of networks and words of errors may hold any sign."""
    said = ({k: in_markdown(v) if isinstance(v, str) else v for k, v in row.items()} for row in part["rows"])
    return [Row(**row) for row in said]


def _misses(held: dict) -> list[str]:
    """What is lost against a peer, and which goals are missed, first of all."""
    lost, missed = [], []
    for name, part in held.items():
        for one in judged(_rows(part)):
            what = f"{name}, {one.ours.network} {one.ours.task}"
            wanted = re.match(r"(\d+(?:\.\d+)?)x", one.ours.goal)
            near = one.to_limit is not None and one.to_limit <= NEAR
            if one.lost:
                better = "as fast" if one.ours.unit == "s" else "as sparing"
                lost.append(f"- {what}: {one.best} is {1 / one.ahead:.1f} times {better}.")
            elif wanted and one.ahead and one.ahead < float(wanted[1]) and not near:
                missed.append(
                    f"- {what}: {one.ahead:.1f} times as fast as {one.best}; the goal is {one.ours.goal}."
                )
            elif not one.ours.figures:
                missed.append(f"- {what}: {one.ours.remark}.")
    lines = ["## Where we lose", "", *(lost or ["Nowhere, of what was measured."])]
    return [*lines, "", "## Goals that are missed", "", *(missed or ["None, of what was measured."])]


def _table(tasks: list[Judged]) -> list[str]:
    heads = (
        "network",
        "task",
        "cnnvis: median (low to high)",
        "best peer",
        "ahead",
        "goal",
        "limit",
        "of the limit",
    )
    lines = [f"| {' | '.join(heads)} | other peers |", "|---" * (len(heads) + 1) + "|"]
    for one in tasks:
        ours = one.ours
        timed = sorted((row for row in one.peers if row.median), key=lambda row: row.median)
        best = f"{timed[0].tool} {spread(timed[0])}" if timed else ""
        others = ", ".join(f"{row.tool} {number(row.median)}" for row in timed[1:])
        ahead = (
            f"{'**' if one.lost else ''}{one.ahead:.1f}x{'** lost' if one.lost else ''}" if one.ahead else ""
        )
        limit = number(ours.limit) if ours.limit else ""
        ratio = f"{one.to_limit:.1f}x" if one.to_limit else ""
        figure = spread(ours) or ours.remark
        cells = (ours.network, ours.task, figure, best, ahead, ours.goal, limit, ratio, others)
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _remarks(rows: list[Row]) -> list[str]:
    lines = []
    agreeing = [
        row.difference for row in rows if row.difference is not None and row.figures and not row.remark
    ]
    if agreeing:
        lines.append(f"Timed answers agree with ours within {max(agreeing):.1e} of the largest magnitude.")
    for row in rows:
        if row.remark and row.tool != "cnnvis":
            apart = "" if row.difference is None else f" (differs by {row.difference:.1e})"
            lines.append(f"{row.tool}, {row.network}, {row.task}: {row.remark}{apart}.")
    return ["", *(f"- {line}" for line in dict.fromkeys(lines))] if lines else []


def number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def spread(row: Row) -> str:
    if not row.figures:
        return ""
    return f"{number(row.median)} ({number(min(row.figures))} to {number(max(row.figures))}) {row.unit}"
