"""A maker of batches that costs nothing and notes each unit that it makes: what a worker process can import."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnvis_widgets.jobs.atlas.store import Batch, Patches, Terms

TERMS = Terms("toy", "0", "stub", 1, 0, (12, 10), (("first/conv", 40), ("second-conv", 21)), "0")

LARGER = Terms("toy", "0", "stub", 1, 0, (64, 64), (("first/conv", 600), ("second-conv", 400)), "0")


def expected(layer: str, unit: int, size: tuple[int, int] = TERMS.size) -> np.ndarray:
    """The picture that belongs to a unit: noise of its own."""
    seed = zlib.crc32(f"{layer} {unit}".encode())
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


@dataclass(frozen=True)
class Stub:
    """Called as an atlas's ``make``: notes "pid layer unit" for every unit in a file, and takes its time."""

    log: str
    seconds: float = 0.0
    size: tuple[int, int] = TERMS.size

    def __call__(self, layer: str, units: np.ndarray) -> Batch:
        time.sleep(self.seconds)
        images = np.stack([expected(layer, int(unit), self.size) for unit in units])
        with open(self.log, "a") as file:  # one write, so lines of several processes do not mix
            file.write("".join(f"{os.getpid()} {layer} {unit}\n" for unit in units))
        return Batch(units, images, units.astype(np.float32) / 2, tuple(f"übrig {unit}" for unit in units))

    def made(self) -> list[tuple[str, int]]:
        """(layer, unit) of everything made so far, in that order."""
        return [(layer, int(unit)) for _pid, layer, unit in self._rows()]

    def pids(self) -> list[int]:
        """The process that made each of them."""
        return [int(pid) for pid, _layer, _unit in self._rows()]

    def _rows(self) -> list[list[str]]:
        log = Path(self.log)
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


@dataclass(frozen=True)
class StubPatches:
    """Called as an atlas's ``find``: two patches for each unit, in a grey of its own."""

    count: int = 3
    break_after: int | None = None

    def __call__(self, layer: str, units: int) -> Iterator[Patches]:
        for start in range(0, units, 16):
            if start == self.break_after:
                raise OSError("gone")
            some = np.arange(start, min(start + 16, units))
            values = np.stack([some, some / 2], axis=1).astype(np.float32)
            yield Patches(
                some, np.tile(some[:, None, None, None, None], (1, 2, 4, 6, 3)).astype(np.uint8), values
            )


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_args):
        pass


@contextlib.contextmanager
def on_the_web(folder: Path) -> Iterator[str]:
    """The http address of a folder, as long as it is served."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
