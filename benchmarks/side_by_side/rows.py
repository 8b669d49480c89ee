"""What a benchmark says: one row for one tool at one task, and how a row is judged beside its peers'."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

OURS = "cnnvis"


@dataclass(frozen=True)
class Row:
    """One tool at one task. Figures are in ``unit``: seconds, or megabytes of memory, or a count."""

    workload: str
    network: str
    task: str
    tool: str
    figures: Sequence[float] = ()  # one a round
    unit: str = "s"
    difference: float | None = None  # largest one to our answer, as a share of the largest magnitude
    remark: str = ""  # a known fault, or why there are no figures
    limit: float | None = None  # what the machine needs at the least, in the same unit
    goal: str = ""  # what is promised for this task: "1.5x" ahead of the best peer, say
    table: str = "keras"  # peers of PyTorch stand in a table of their own
    about: str = ""  # what the figures are of, where the task's name does not say it

    @property
    def median(self) -> float | None:
        ordered = sorted(self.figures)
        middle = len(ordered) // 2
        return (ordered[middle] + ordered[~middle]) / 2 if ordered else None

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.workload, self.network, self.task, self.table


NOISE_MB = (
    16  # what TensorFlow's pools take or give back at any moment: less than that apart is no difference
)


@dataclass(frozen=True)
class Judged:
    """A task: our row, the peers', and how much better ours is than the best of theirs."""

    ours: Row
    peers: Sequence[Row]
    ahead: float | None = None
    to_limit: float | None = None
    best: str = ""
    lost: bool = field(default=False)


def judged(rows: Iterable[Row]) -> list[Judged]:
    """The tasks in the order in which they were measured."""
    tasks: dict[tuple, list[Row]] = {}
    for row in rows:
        tasks.setdefault(row.key, []).append(row)
    return [one for group in tasks.values() if (one := _judge(group))]


def _judge(group: list[Row]) -> Judged | None:
    ours = next((row for row in group if row.tool == OURS), None)
    if ours is None:
        return None
    peers = [row for row in group if row.tool != OURS]
    timed = [row for row in peers if row.median]
    best = min(timed, key=lambda row: row.median, default=None)
    ahead = best.median / ours.median if best and ours.median else None
    if best and ours.unit == "MB" and abs(best.median - ours.median) < NOISE_MB:
        ahead = None
    to_limit = ours.median / ours.limit if ours.median and ours.limit else None
    return Judged(ours, peers, ahead, to_limit, best.tool if best else "", bool(ahead and ahead < 1))


def append(file: Path, row: Row) -> None:
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(row)) + "\n")


def read(file: Path) -> list[Row]:
    if not file.exists():
        return []
    return [Row(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
