"""What a worker does for an atlas, with the network that it was sent once.

Either the filter pictures of a batch of units, or the photograph patches of a whole layer: the photographs cost the
same for one unit as for all.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from distributed import WorkerPlugin, get_worker

from cnnvis_widgets.jobs.atlas.store import Atlas, Batch, Patches, Place, write, write_patches

_AT_ONCE = 512  # units whose patches are cut out together


class NetworkAtWorker(WorkerPlugin):
    """Carries a network to every worker, those that join later too; it is unpacked by the first task that needs it.

    Until then it stays bytes: a worker that imports TensorFlow while it starts would seem dead.
    """

    def __init__(self, name: str, parcel: bytes):
        self.name = name
        self._parcel = parcel

    def setup(self, worker: Any) -> None:
        self._network: Any = None
        self._unpacking = threading.Lock()

    def network(self) -> Any:
        from cnnvis_widgets.networks.quiet import start_tensorflow

        start_tensorflow()
        from cnnvis_widgets.networks.parcel import unpack

        with self._unpacking:
            if self._network is None:
                # From the same session as the task itself: what Dask sends is pickled one way or another.
                self._network = unpack(pickle.loads(self._parcel))
            return self._network


@dataclass(frozen=True)
class Maximized:
    """Makes batches by `maximize_filters`; a task carries this, so it is small."""

    plugin: str  # the name of the network's plugin
    recipe: Any  # a name, or a recipe of one's own
    seed: int
    size: tuple[int, int]
    steps: int

    def __call__(self, layer: str, units: np.ndarray) -> Batch:
        from cnnvis_widgets.compute.maximize import maximize_filters

        network = get_worker().plugins[self.plugin].network()
        made = maximize_filters(network, layer, units, self.recipe, self.seed, self.size, self.steps)
        order = np.argsort(made.units)
        remarks = made.remarks or ("",) * len(order)
        return Batch(
            made.units[order], made.images[order], made.activations[order], tuple(remarks[i] for i in order)
        )


@dataclass(frozen=True)
class Searched:
    """Finds the photograph patches of a layer by `top_patches`; ``images`` is a folder that every worker can read."""

    plugin: str
    images: str | None
    count: int

    def __call__(self, layer: str, units: int) -> Iterator[Patches]:
        from cnnvis_widgets.compute.patches import top_patches

        network = get_worker().plugins[self.plugin].network()
        for start in range(0, units, _AT_ONCE):  # those of all units of a wide layer would take a gigabyte
            some = np.arange(start, min(start + _AT_ONCE, units))
            found = top_patches(network, layer, self.images, some, self.count)
            yield Patches(found.units, found.images, found.values)


def fill_part(
    place: Place,
    layer: str,
    units: tuple[int, ...],
    make: Callable[[str, np.ndarray], Batch],
    find: Any = None,
) -> int:
    """What one task does: some units' pictures or, where no units are named, a layer's patches."""
    if units:
        return fill_batch(place, layer, units, make)
    store = Atlas(place)
    if not store.has_patches(layer):
        write_patches(place, store.terms, layer, find.count, find(layer, store.terms.units(layer)))
    return 0


def fill_batch(
    place: Place, layer: str, units: tuple[int, ...], make: Callable[[str, np.ndarray], Batch]
) -> int:
    """Make and write what is missing of a batch; returns how many units that were.

    Looked at again here: another client may have been quicker, or this worker taken for lost when it was not.
    """
    store = Atlas(place)
    asked = np.asarray(units)
    missing = asked[~store.done(layer, asked)]
    if missing.size:
        write(place, store.terms, layer, make(layer, missing))
    return len(missing)
