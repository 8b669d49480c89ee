"""(h) A thousand calls in a loop: whether the last hundred are as quick as the first, and what memory they leave.

Each call is Grad-CAM of another class on another picture. Peers get as many calls as fit into their time.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import cnnvis_widgets as cnnvis
from side_by_side import peers
from side_by_side.bench import Bench
from side_by_side.limits import behind, forward
from side_by_side.rows import OURS
from side_by_side.subjects import Subject, subject

SECONDS = 20.0  # for a peer
FIRST = 100  # calls that compile, and fill what is remembered, before anything counts
REMEMBERED = 32 << 20  # bytes: less than by default, so that it is full by then


def measure(bench: Bench) -> None:
    of = subject("small" if bench.quick else "mobilenet_v2")
    of.network.memory.limit = REMEMBERED
    calls, block = (60, 10) if bench.quick else (1000, 100)

    def ours(number: int) -> None:
        cnnvis.explain(of.network, of.image(number % 224), layer=of.layer, target=number % of.classes)

    bench.attempt(of.name, "a thousand calls", lambda: _loop(bench, of, OURS, ours, calls, block, 600))
    for tool, make in peers.installed(peers.GRAD_CAM).items():
        if tool == peers.ORIGINAL:
            continue  # a function for each class, all kept: its memory is its user's

        def theirs(explain=None, make=make, tool=tool):
            explain = make(of.model)
            return lambda i: explain(of.inputs(i % 224), of.layer, i % of.classes)

        bench.attempt(
            of.name,
            f"a thousand calls of {tool}",
            lambda tool=tool, theirs=theirs: _loop(
                bench, of, tool, theirs(), calls, block, 4 if bench.quick else SECONDS
            ),
        )


def _loop(
    bench: Bench,
    of: Subject,
    tool: str,
    call: Callable[[int], object],
    calls: int,
    block: int,
    seconds: float,
) -> None:
    import psutil

    process, spent = psutil.Process(), []
    for number in range(5 if bench.quick else FIRST if tool == OURS else 20):
        call(number)
    gc.collect()
    before, started = process.memory_info().rss, time.perf_counter()
    while len(spent) < calls and time.perf_counter() - started < seconds:
        began = time.perf_counter()
        call(FIRST + len(spent))
        spent.append(time.perf_counter() - began)
    gc.collect()
    grown = (process.memory_info().rss - before) / 1e6
    block = min(block, len(spent) // 2)
    limit = (forward(of.model) + forward(of.model, layers=behind(of.model, of.layer))).seconds(bench.rates)
    about = f"{len(spent)} calls"
    bench.note(of.name, "the first hundred calls", tool, spent[:block], "s", limit=limit, about=about)
    goal = "within 5 % of the first"
    bench.note(
        of.name, "the last hundred calls", tool, spent[-block:], "s", limit=limit, goal=goal, about=about
    )
    bench.note(of.name, "memory that the calls left", tool, [max(grown, 0.0)], "MB", goal="flat", about=about)
