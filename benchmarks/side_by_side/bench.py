"""How things are timed: every tool answers once and is compared, then they take turns, so that a busy machine is busy
for all. A tool whose answer is another one is not timed, unless it is known, and said, why.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from side_by_side import rows
from side_by_side.limits import Rates, Work
from side_by_side.rows import OURS, Row

CLOSE = 1e-3  # of the largest magnitude: float32 through a deep network, summed in another order
PATIENCE = 15.0  # seconds for one tool at one task; of slow ones there are fewer rounds


def same(answer: np.ndarray) -> np.ndarray:
    return answer


@dataclass(frozen=True)
class Call:
    """A tool at a task: ``run`` takes the number of the round, so that no round asks what another has asked."""

    run: Callable[[int], object]
    like: Callable[[np.ndarray], np.ndarray] = same  # our answer in this tool's form
    fault: str = ""  # why its answer is another one


@dataclass(frozen=True)
class Task:
    """What all tools do, ours first. ``apart`` says how far two answers are from each other."""

    name: str
    calls: Mapping[str, Call]
    work: Work | None = None  # what no machine can leave out
    goal: str = ""
    rounds: int = 7
    apart: Callable[[np.ndarray, np.ndarray], float] | None = None
    close: float = CLOSE
    table: str = "keras"


@dataclass
class Bench:
    """Where workloads leave their rows."""

    workload: str
    file: Path
    quick: bool
    rates: Rates
    say: Callable[[str], None] = field(default=print)

    def add(self, row: Row) -> None:
        rows.append(self.file, row)
        median = f"{row.median:.4g} {row.unit}" if row.median is not None else ""
        apart = "" if row.difference is None else f"differs by {row.difference:.1e}"
        limit = f"limit {row.limit:.2g}" if row.limit and row.tool == OURS else ""
        words = "  ".join(filter(None, (median, apart, limit, row.remark[:110])))
        self.say(f"  {self.workload} {row.network:13} {row.task:34} {row.tool:14} {words}")

    def note(self, network: str, task: str, tool: str, figures, unit: str, **more) -> None:
        """A figure that was not taken by `time`."""
        self.add(Row(self.workload, network, task, tool, [float(one) for one in figures], unit, **more))

    def attempt(self, network: str, what: str, part: Callable[[], None]) -> None:
        """What fails is said in a row, and the rest is measured all the same."""
        try:
            part()
        except Exception as error:
            self.add(Row(self.workload, network, what, OURS, remark=f"failed: {_short(error)}"))

    def time(self, network: str, task: Task) -> None:
        """Compare all tools at a task, then time those that agree, taking turns."""
        limit = task.work.seconds(self.rates) if task.work else None
        agreeing: dict[str, tuple[Call, dict]] = {}
        first: dict[str, float] = {}
        wanted = None
        for tool, call in task.calls.items():
            row = Row(self.workload, network, task.name, tool, limit=limit, goal=task.goal, table=task.table)
            try:
                first[tool], answer = _timed(call.run, 0)
            except Exception as error:
                self.add(_with(row, remark=f"failed: {_short(error)}"))
                if tool == OURS:
                    return  # nothing to compare with
                continue
            if wanted is None:
                wanted = answer  # ours comes first
            difference = None if tool == OURS else _apart(task.apart or apart, call, wanted, answer)
            row = _with(row, difference=difference, remark=call.fault)
            if difference is not None and not difference <= task.close and not call.fault:
                self.add(_with(row, remark=f"not timed: its answer differs by {difference:.2g}"))
                continue
            agreeing[tool] = call, row
        figures: dict[str, list[float]] = {tool: [] for tool in agreeing}
        for number in range(1, (min(3, task.rounds) if self.quick else task.rounds) + 1):
            for tool, (call, _row) in agreeing.items():
                # The first call compiled something: only if even a later one is slow are there fewer rounds.
                if figures[tool] and sum(figures[tool]) + figures[tool][-1] > PATIENCE:
                    continue
                if not figures[tool] and first[tool] > 1.5 * PATIENCE:
                    figures[tool].append(first[tool])
                    continue
                try:
                    figures[tool].append(_timed(call.run, number)[0])
                except Exception as error:
                    self.add(Row(self.workload, network, task.name, tool, remark=f"failed: {_short(error)}"))
                    figures[tool] = []
                    break
        for tool, (_call, row) in agreeing.items():
            if figures[tool]:
                self.add(_with(row, figures=figures[tool]))


def apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference as a share of the largest magnitude; infinite for other shapes and for NaN."""
    if ours.shape != theirs.shape:
        return float("inf")
    difference = float(np.abs(ours - theirs).max() / max(float(np.abs(theirs).max()), 1e-30))
    return difference if np.isfinite(difference) else float("inf")


def unlike(ours: np.ndarray, theirs: np.ndarray) -> float:
    """1 - correlation: for methods that draw at random."""
    return float(1 - np.corrcoef(ours.ravel(), theirs.ravel())[0, 1])


def _apart(measure: Callable, call: Call, ours, theirs) -> float:
    """Of several arrays the largest."""
    if not isinstance(ours, list):
        ours, theirs = [ours], [theirs]
    pairs = zip(ours, theirs, strict=True)
    return max(measure(call.like(mine), np.asarray(other, np.float32)) for mine, other in pairs)


def _timed(run: Callable[[int], object], number: int) -> tuple[float, object]:
    started = time.perf_counter()
    answer = run(number)
    return time.perf_counter() - started, answer


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"[:200]


def _with(row: Row, **changes) -> Row:
    return dataclasses.replace(row, **changes)
