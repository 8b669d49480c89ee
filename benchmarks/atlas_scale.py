"""The atlas at scale: 100,000 units that cost nothing to make, and real units by one worker and by two.

    python benchmarks/atlas_scale.py [--units 100000] [--layers 100] [--side 16] [--skip-scale] [--skip-real]

The first part shows what scheduler, store and reader add to the work itself: seconds to begin, fill, open and count,
to read the last page of the last layer as the Explorer does, size and number of files. The second one fills units of
the bundled network.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import cnnvis_widgets as cnnvis
from cnnvis_widgets.jobs.atlas.fill import dask_client, fill
from cnnvis_widgets.jobs.atlas.store import Batch, Terms, begin, open_atlas, place_of

PAGE = 64  # tiles that the Explorer asks for at once


@dataclass(frozen=True)
class Free:
    """Makes grey pictures at once."""

    side: int

    def __call__(self, layer: str, units: np.ndarray) -> Batch:
        images = np.full((len(units), self.side, self.side, 3), 128, np.uint8)
        return Batch(units, images, np.ones(len(units), np.float32), ("",) * len(units))


class Timer:
    def __init__(self):
        self.begun = time.perf_counter()

    def say(self, what: str, each: int = 0) -> None:
        seconds = time.perf_counter() - self.begun
        print(
            f"{what:<58} {seconds:8.2f} s" + (f"  {1000 * seconds / each:7.2f} ms each" if each else ""),
            flush=True,
        )
        self.begun = time.perf_counter()


def scale(folder: Path, units: int, layers: int, side: int) -> None:
    each = units // layers
    table = tuple((f"block{i}/conv", each) for i in range(layers))
    terms = Terms("stub", "0", "free", 1, 0, (side, side), table)
    names = [name for name, _units in table]
    place = place_of(folder / "scale.zarr")
    timer = Timer()
    begin(place, terms, names)
    timer.say(f"begin {layers} layers")
    with dask_client(None, 2, place) as client:
        timer.say("start two workers")
        wanted = {name: np.arange(each) for name in names}
        fill(client, place, dict(list(wanted.items())[: layers // 2]), Free(side), lambda *_: None)
        timer.say(f"fill the first {units // 2:,} units", units // 2)
        opened = open_atlas(place)
        timer.say("open, half full")
        print("  ", opened.progress(), end=" ")
        timer.say("count what is there")
        timer = Timer()
        fill(client, place, wanted, Free(side), lambda *_: None)
        timer.say("fill the rest", units // 2)
        fill(client, place, wanted, Free(side), lambda *_: None)
        timer.say("run again: nothing to do")
    timer = Timer()
    atlas = open_atlas(place)
    timer.say("open, full")
    atlas.done(names[-1])
    timer.say("which units of the last layer are there")
    atlas.pictures(names[-1], range(each - PAGE, each))
    timer.say(f"its last {PAGE} pictures")
    atlas.pictures(names[0], range(PAGE))
    timer.say(f"the first {PAGE} pictures of the first layer")
    print("  ", atlas.progress(), end=" ")
    timer.say("count all")
    files = [file for file in Path(place.address).rglob("*") if file.is_file()]
    index = [file for file in files if file.name.startswith(".z")]
    flags = [file for file in files if file.parent.name == "done" and not file.name.startswith(".z")]
    for what, some in (("files", files), ("metadata", index), ("flags", flags)):
        print(f"{what:<12} {len(some):8,} files {sum(file.stat().st_size for file in some) / 1e6:10.2f} MB")
    print(f"read to open: {(Path(place.address) / '.zattrs').stat().st_size / 1e3:.1f} kB", flush=True)


def real(folder: Path, units: int) -> None:
    network = cnnvis.load_network()
    for workers in (1, 2):
        timer = Timer()
        told: list[float] = []
        cnnvis.atlas(
            network,
            "block4_add",
            folder / f"real{workers}.zarr",
            units=range(units),
            workers=workers,
            progress=lambda *_, told=told: told.append(time.perf_counter()),
        )
        timer.say(f"bundled block4_add, {units} units, {workers} workers, all in all", units)
        steady = (
            units - 16 * workers
        )  # without start and compilation: from when every worker has done its first batch
        print(
            f"{'  of that, after the first batches':<58} {told[-1] - told[workers]:8.2f} s"
            f"  {1000 * (told[-1] - told[workers]) / max(steady, 1):7.2f} ms each",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("--units", 100_000), ("--layers", 100), ("--side", 16), ("--real", 128)):
        parser.add_argument(name, type=int, default=default)
    for name in ("--skip-scale", "--skip-real"):
        parser.add_argument(name, action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        if not given.skip_scale:
            scale(Path(temporary), given.units, given.layers, given.side)
        if not given.skip_real:
            real(Path(temporary), given.real)
