"""Whether a run will fit into memory, asked before it starts: a kernel that is killed takes everything with it.

The idea: the sizes of all layers are known from the dry run, so what a run needs can be estimated; what is free is the
least of what the system, its container and the process's own limit leave.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from cnnvis_widgets.errors import CnnvisError

# Smaller requests are not worth the question; asking takes some ten microseconds.
WORTH_ASKING = 128 * 2**20


def check(needed: int, what: str, remedy: str) -> None:
    """Raise `CnnvisError` where ``needed`` bytes are more than are free; says nothing where that is not known."""
    if needed < WORTH_ASKING:
        return
    free = available()
    if free is not None and needed > free:
        raise CnnvisError(
            f"{what} needs about {needed / 1e9:.1f} GB of memory, and {max(free, 0) / 1e9:.1f} GB are free; {remedy}."
        )


def available() -> int | None:
    """Bytes that this process can still take; None where the system does not say."""
    return min(_limits(), default=None)


def _limits() -> Iterator[int]:
    with contextlib.suppress(OSError, ValueError, KeyError, IndexError):
        yield _entries("/proc/meminfo")["MemAvailable"] * 1024
    with contextlib.suppress(OSError, ValueError):  # of a container; "max" where there is none
        group = Path("/sys/fs/cgroup")
        most = int((group / "memory.max").read_text())
        cached = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())[
            "inactive_file"
        ]
        yield most - int((group / "memory.current").read_text()) + int(cached)
    with contextlib.suppress(
        ImportError, OSError, ValueError, KeyError, IndexError
    ):  # ulimit -v; Windows has none
        import resource

        most, _hard = resource.getrlimit(resource.RLIMIT_AS)
        if most != resource.RLIM_INFINITY:
            yield most - _entries("/proc/self/status")["VmSize"] * 1024


def _entries(path: str) -> dict[str, int]:
    """ "MemAvailable: 123 kB" and the like, by name."""
    found = {}
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(":")
        if value.strip().endswith("kB"):
            found[name] = int(value.split()[0])
    return found
