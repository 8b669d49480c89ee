"""Fills an atlas: what is missing becomes tasks of Dask distributed, on this machine or wherever a scheduler answers.

The idea: the store alone knows what is done. So this only lists what is missing, hands it out in batches and counts; it
may be killed at any time, and run again by anybody.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import logging
import os
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnvis_widgets.errors import (
    Cancelled,
    CnnvisError,
    MethodError,
    NetworkLoadError,
    listed,
    seed_of,
    short,
    whole,
)
from cnnvis_widgets.jobs.atlas.store import BATCH, Atlas, Place, Terms, begin, place_of, seal

if TYPE_CHECKING:
    from cnnvis_widgets.networks.network import Network

Progress = Callable[[int, int, float | None], object]
_REACHED_WITHIN = 10  # seconds, a scheduler that is named
_RETRIES = 2  # of a batch whose worker met an error, such as a store that was busy


def atlas(
    network: Any = "bundled",
    layers: Iterable[str] | str | None = None,
    store: Any = "atlas.zarr",
    *,
    units: Iterable[int] | None = None,
    recipe: Any = "fourier",
    seed: int = 0,
    size: tuple[int, int] | None = None,
    steps: int | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    patches: int = 9,
    images: Any = None,
    progress: Progress | None = None,
    storage_options: dict[str, Any] | None = None,
) -> Atlas:
    """Filter pictures of every unit of many layers, in a store that can be read while it fills.

    Only what the store does not hold yet is computed. Whoever is killed, worker, scheduler or this program: run it
    again. Ctrl-C, or a ``progress`` that raises `Cancelled`, ends it; what is in the store stays.

    network: anything `load_network` takes. layers: paths as ``network.layers`` lists them; None gives every
    convolution. store: a folder's path, or an address that fsspec knows, such as "s3://bucket/name.zarr";
    storage_options are fsspec's. units: indices, taken of each layer that has them; None gives all. recipe, seed,
    size, steps: as of `maximize_filters`. scheduler: the address of a Dask scheduler; None starts ``workers`` processes
    on this machine (by default one for two processor cores). patches: so many photograph patches of each unit, as
    `top_patches` finds them in ``images``, a folder that every worker can read; None gives the samples; 0 patches:
    none. progress: called with (units there, units wanted, seconds left or None); None writes one line to standard
    error.

    Returns the `Atlas`. Raises `CnnvisError` where the store holds another atlas, or units could not be made.
    """
    _check_installed()
    from cnnvis_widgets.networks import load_network

    network = load_network(network)  # starts TensorFlow quietly; what follows imports it
    from cnnvis_widgets.compute.maximize import find_recipe
    from cnnvis_widgets.jobs.atlas.pictures import Maximized, NetworkAtWorker, Searched
    from cnnvis_widgets.networks.input_size import checked_size
    from cnnvis_widgets.networks.parcel import pack, weights_hash

    how, seed, patches = find_recipe(recipe), seed_of(seed), whole(patches, "patches", 0)
    steps = None if steps is None else whole(steps, "steps")
    workers = None if workers is None else whole(workers, "workers")
    shown = network.input_size if size is None else checked_size(size, "size", MethodError)
    terms = _terms(network, weights_hash(network), how.name, steps or how.steps, seed, shown)
    terms = replace(terms, parts=_parts(how))
    folder = None if images is None else _folder(images, here=scheduler is None and patches > 0)
    place = place_of(store, storage_options)
    wanted = _wanted(terms, _layers(network, layers), units)
    begin(place, terms, wanted)
    with dask_client(scheduler, workers, place) as client:
        if importlib.util.find_spec("bokeh") is not None:  # what the dashboard is drawn with
            sys.stderr.write(f"atlas: Dask's dashboard is at {client.dashboard_link}\n")
        plugin = f"cnnvis-{uuid.uuid4().hex[:8]}"
        make = Maximized(plugin, recipe, seed, shown, terms.steps)
        find = Searched(plugin, folder, patches) if patches else None
        needed = next(_missing(Atlas(place), wanted, patches > 0), None) is not None
        if needed:
            client.register_plugin(NetworkAtWorker(plugin, _pickled(pack(network))))
        try:
            return fill(client, place, wanted, make, progress or ProgressLine(), find)
        finally:
            if needed:  # else the scheduler would complain to the terminal
                with contextlib.suppress(Exception):  # it may be gone
                    client.unregister_worker_plugin(plugin)


def fill(
    client: Any,
    place: Place,
    wanted: dict[str, np.ndarray],
    make: Callable[[str, np.ndarray], Any],
    progress: Progress,
    find: Any = None,
) -> Atlas:
    """Have ``make`` make every batch of the units wanted that is not in the store, and ``find``, where it is given,
    the patches of every layer; both run on the workers."""
    from distributed import as_completed

    from cnnvis_widgets.jobs.atlas.pictures import fill_part

    store = Atlas(place)
    batches = list(_missing(store, wanted, find is not None))
    total = sum(len(units) for units in wanted.values())
    count = _Count(total - sum(len(units) for _layer, units in batches), total, progress)
    left = {layer: sum(name == layer for name, _units in batches) for layer in wanted}
    _seal_full(store, [layer for layer, missing in left.items() if not missing])
    futures = client.map(
        functools.partial(fill_part, place, make=make, find=find),
        [layer for layer, _units in batches],
        [units for _layer, units in batches],
        key=_keys(store.terms.network, batches),
        pure=False,
        retries=_RETRIES,
    )
    of = dict(zip(futures, batches, strict=True))
    failed: list[tuple[str, tuple[int, ...], BaseException]] = []
    try:
        for future in as_completed(futures):
            layer, units = of.pop(future)
            if future.status == "finished":
                count.add(len(units))
                left[layer] -= 1
                if not left[layer]:
                    _seal_full(store, [layer])
            else:
                failed.append((layer, units, _error_of(future)))
                if isinstance(failed[-1][-1], NetworkLoadError):  # the same for all of them
                    break
            future.release()
    except (KeyboardInterrupt, Cancelled):
        _drop(client, list(of))
        return store
    if failed:
        _drop(client, list(of))
        raise _failure(failed)
    return store


def _error_of(future: Any) -> BaseException:
    return future.exception() if future.status == "error" else ConnectionError("the scheduler was lost")


def _drop(client: Any, futures: list[Any]) -> None:
    with contextlib.suppress(Exception):  # the scheduler itself may be gone
        client.cancel(futures)


def _terms(
    network: Network, weights: str, recipe: str, steps: int, seed: int, size: tuple[int, int]
) -> Terms:
    from cnnvis_widgets import __version__

    layers = tuple((layer.path, layer.units) for layer in network.layers)
    return Terms(network.name, weights, recipe, steps, seed, size, layers, __version__)


def _folder(images: Any, here: bool) -> str:
    """A folder of photographs as every worker finds it; where they are processes ``here``, it is looked at."""
    from cnnvis_widgets.compute.patches import find_photographs

    if not isinstance(images, str | os.PathLike):
        raise CnnvisError(
            f"images is a folder that every worker can read; {short(images)} was given. "
            "Write the photographs to a folder."
        )
    folder = os.path.abspath(images)  # workers may have been started in another one
    if here:
        find_photographs(folder)
    return folder


def _parts(recipe: Any) -> str:
    """A hash of a recipe of one's own, but for its steps; "" of one that has a name."""
    from cnnvis_widgets.compute.maximize import recipes

    if any(replace(recipe, steps=known.steps) == known for known in recipes()):
        return ""
    # Where a function lies in memory changes from run to run.
    text = re.sub(" at 0x[0-9a-f]+", "", repr(replace(recipe, steps=1)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _layers(network: Network, layers: Iterable[str] | str | None) -> list[str]:
    if layers is None:
        return [layer.path for layer in network.layers if layer.kind == "convolution"]
    paths = [layers] if isinstance(layers, str) else listed(layers, "layers", "paths of layers")
    return [network.layer(path).path for path in paths]


def _wanted(terms: Terms, layers: Sequence[str], units: Iterable[int] | None) -> dict[str, np.ndarray]:
    given = None if units is None else listed(units, "units", "whole numbers")
    chosen = None if given is None else np.unique([whole(unit, "A unit", 0) for unit in given])
    wanted = {}
    for layer in layers:
        terms.folder(layer)  # only to refuse what the atlas cannot hold
        every = np.arange(terms.units(layer))
        wanted[layer] = every if chosen is None else every[np.isin(every, chosen)]
    if not any(len(some) for some in wanted.values()):
        raise CnnvisError("No unit is left to make: name layers that the network has, and units from 0.")
    return wanted


def _missing(
    store: Atlas, wanted: dict[str, np.ndarray], patches: bool
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(layer, units) of every task; no units: the layer's patches. No chunk of flags belongs to two tasks."""
    for layer, units in wanted.items():
        missing = units[~store.done(layer, units)]
        for chunk in np.unique(missing // BATCH):
            yield layer, tuple(int(unit) for unit in missing[missing // BATCH == chunk])
        if patches and not store.has_patches(layer):
            yield layer, ()


def _keys(network: str, batches: Sequence[tuple[str, tuple[int, ...]]]) -> list[str]:
    """Names of tasks: the dashboard takes what stands before the first "-" for the kind."""
    run = uuid.uuid4().hex[:8]
    names = [f"{network} {layer}".replace("-", "_") for layer, _units in batches]
    parts = [f"-{units[0]}-{units[-1]}" if units else " patches" for _layer, units in batches]
    # Numbered: layers "conv-1" and "conv_1" have one name here, and of tasks of one key Dask runs one.
    return [f"{name}{part}-{run}-{n}" for n, (name, part) in enumerate(zip(names, parts, strict=True))]


def _seal_full(store: Atlas, layers: Iterable[str]) -> None:
    for layer in layers:
        if store.done(layer).all():
            seal(store.place, store.terms, layer)


def _failure(failed: Sequence[tuple[str, tuple[int, ...], BaseException]]) -> CnnvisError:
    layer, units, error = failed[0]
    count = sum(len(units) for _layer, units, _error in failed)
    words = " ".join(str(error).split()) or type(error).__name__
    what = f"{count} units could not be made, the first of them unit {units[0]}" if units else "The patches"
    return CnnvisError(
        f"{what} of {layer!r}{'' if units else ' could not be found'} ({words}); "
        "what could is in the store, and another run tries only the rest."
    )


@contextlib.contextmanager
def dask_client(scheduler: str | None, workers: int | None, place: Place) -> Iterator[Any]:
    """A Dask client: of a scheduler that is there, or of a cluster on this machine that ends with it."""
    from dask.system import CPU_COUNT
    from distributed import Client, LocalCluster

    if scheduler is not None:
        if workers is not None:
            raise CnnvisError(
                "workers= is for a cluster on this machine; a scheduler brings its own workers."
            )
        with _reached(scheduler, Client) as client:
            yield client
        return
    workers = workers or max(1, CPU_COUNT // 2)
    share = {"env": _environment(str(max(1, CPU_COUNT // workers))), "memory_limit": 1 / workers}
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,  # TensorFlow has threads of its own
            processes=not place.in_memory,
            dashboard_address="127.0.0.1:0",
            # A worker that takes its time to end would be warned of every time, and what fails is told in a sentence.
            silence_logs=logging.CRITICAL,
            **({"memory_limit": None} if place.in_memory else share),  # type: ignore[arg-type]
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _check_installed() -> None:
    if any(importlib.util.find_spec(name) is None for name in ("distributed", "zarr", "fsspec")):
        raise CnnvisError('An atlas needs Dask, Zarr and fsspec; run: pip install "cnnvis-widgets[cluster]"')


def _environment(threads: str) -> dict[str, str]:
    """Of a worker's process: its share of the cores."""
    return {"TF_NUM_INTRAOP_THREADS": threads, "TF_NUM_INTEROP_THREADS": threads}


def _reached(scheduler: str, client: Callable[..., Any]) -> Any:
    try:
        return client(scheduler, timeout=_REACHED_WITHIN)
    except (OSError, TypeError, ValueError) as error:
        raise CnnvisError(f"No Dask scheduler answers at {scheduler} ({error}).") from error


def _pickled(parcel: Any) -> bytes:
    from distributed.protocol.pickle import dumps  # takes functions of a notebook too

    return dumps(parcel)


class _Count:
    """Units there and the time that the others will take, at the mean pace of this run."""

    def __init__(self, there: int, total: int, progress: Progress):
        self.there, self.total, self._progress = there, total, progress
        self._begun, self._made = time.monotonic(), 0
        progress(there, total, None)

    def add(self, units: int) -> None:
        self.there += units
        self._made += units
        left = (time.monotonic() - self._begun) / max(self._made, 1) * (self.total - self.there)
        self._progress(self.there, self.total, left)


class ProgressLine:
    """One line that counts up, in a terminal as in a notebook; a line now and then where it goes to a file."""

    def __init__(self) -> None:
        self._said = 0.0
        self._live = sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel")

    def __call__(self, there: int, total: int, left: float | None) -> None:
        last = there == total
        if not last and time.monotonic() - self._said < (0.2 if self._live else 30):
            return
        self._said = time.monotonic()
        words = f"atlas: {there:,} of {total:,} units" + (
            "" if left is None or last else f", {_duration(left)} left"
        )
        end = "\n" if last or not self._live else ""
        sys.stderr.write((f"\r{words:<70}" if self._live else words) + end)
        sys.stderr.flush()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
