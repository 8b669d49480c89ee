"""Where an atlas lies: a Zarr store (format 2) in a folder or behind any address that fsspec knows, a group a layer.

The idea: nothing counts but what a flag in `done` vouches for, and flags are written last. So whoever is killed leaves
at worst something that nobody reads, and the next run writes it again. Who makes a batch of units owns the chunk of
flags that belongs to it, so no two writers ever share a chunk.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from cnnvis_widgets.errors import CnnvisError, UnknownLayerError, did_you_mean, listed, short

FORMAT = 1  # of the layout; another number cannot be read by this version
BATCH = 16  # units made together, whose flags share a chunk
REMARK = 240  # bytes of a remark in UTF-8
_GREY = 128  # of a patch that is not there
_AT_ONCE = 16  # requests under way to a store behind an address


@dataclass(frozen=True)
class Place:
    """The path or address of a store, and fsspec's options for it."""

    address: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def in_memory(self) -> bool:
        """Whether only this process can see it."""
        return self.address.startswith("memory:")

    def group(self, mode: str, path: str = "") -> Any:
        """The Zarr group at a path. Raises `CnnvisError` for an address that cannot be opened at all."""
        zarr = _zarr()
        version = {"zarr_format": 2} if _is_zarr_3() else {}
        options = {"storage_options": self.options} if self.options and "://" in self.address else {}
        return zarr.open_group(self.address, mode=mode, path=path or None, **options, **version)


def place_of(store: Any, options: dict[str, Any] | None = None) -> Place:
    """A `Place` from a path, an address or a `Place`. Raises `CnnvisError` for anything else."""
    if isinstance(store, Place):
        return store
    if not isinstance(store, str | os.PathLike) or not str(store).strip():  # "" would be the current folder
        raise CnnvisError(
            f"An atlas lies in a folder, or at an address such as s3://bucket/name; {short(store)} was given."
        )
    address = str(store).removeprefix("file://").rstrip("/")
    if "://" not in address:  # workers may have been started in another folder
        address = os.path.abspath(os.path.expanduser(address))
    return Place(address, dict(options or {}))


@dataclass(frozen=True)
class Terms:
    """What all pictures of a store have in common; it never changes once the store is begun."""

    network: str
    weights: str  # `weights_hash`
    recipe: str
    steps: int
    seed: int
    size: tuple[int, int]
    # (path, units) of every layer that may be filled, in the order of the network
    layers: tuple[tuple[str, int], ...]
    version: str = ""  # of the package that began it
    parts: str = ""  # of a recipe of one's own: a hash of what it is made of, for its name says little

    def folder(self, layer: str) -> str:
        """The name of a layer's group: its place in the network, then its path. Raises `UnknownLayerError`."""
        paths = [path for path, _units in self.layers]
        if layer not in paths:
            raise UnknownLayerError(
                f"The atlas of {self.network} has no layer {layer!r}; {did_you_mean(layer, paths)}"
            )
        return f"{paths.index(layer):04d}_{re.sub('[^A-Za-z0-9_]', '_', layer)}"

    def units(self, layer: str) -> int:
        return dict(self.layers)[layer]


@dataclass(frozen=True)
class Batch:
    """Some units of a layer as they are written."""

    units: np.ndarray  # (n,) int
    images: np.ndarray  # (n, H, W, 3) uint8
    activations: np.ndarray  # (n,) float32
    remarks: tuple[str, ...]


def begin(place: Place, terms: Terms, layers: Iterable[str]) -> None:
    """Make a store ready for these layers, or go on with one that is. Raises `CnnvisError` for one of other terms."""
    root = _opened(place, "a")
    there = _terms(root, place)
    if there is None:
        root.attrs.update({"cnnvis_atlas": FORMAT, **asdict(terms)})
    else:
        _check_same(there, terms, place)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda layer: _begin_layer(place, terms, layer), layers))


def _begin_layer(place: Place, terms: Terms, layer: str) -> None:
    group = place.group("a", terms.folder(layer))
    units = terms.units(layer)
    for name, shape, dtype, together in (
        ("pictures", (units, *terms.size, 3), "uint8", 1),
        ("activations", (units,), "float32", BATCH),
        ("remarks", (units, REMARK), "uint8", BATCH),
        ("done", (units,), "uint8", BATCH),  # last: where it is, all are
    ):
        _make(group, name, shape, dtype, together)


def _make(group: Any, name: str, shape: tuple[int, ...], dtype: str, together: int) -> None:
    """An array in whose chunks ``together`` units lie. One of that shape stays: another client may be writing to it."""
    there = name in group
    if there and group[name].shape == shape:
        return
    make = group.create_array if _is_zarr_3() else group.create_dataset
    with contextlib.suppress(_zarr().errors.ContainsArrayError):  # made by another client just now
        make(name, shape=shape, dtype=dtype, chunks=(together, *shape[1:]), fill_value=0, overwrite=there)


def write(place: Place, terms: Terms, layer: str, batch: Batch) -> None:
    """Everything about some units of a layer, then their flags."""
    group = place.group("r+", terms.folder(layer))
    group["pictures"].oindex[batch.units] = batch.images
    group["activations"].oindex[batch.units] = batch.activations
    group["remarks"].oindex[batch.units] = np.stack([_as_bytes(remark) for remark in batch.remarks])
    group["done"].oindex[batch.units] = np.ones(len(batch.units), np.uint8)


def write_patches(place: Place, terms: Terms, layer: str, count: int, found: Iterable[Patches]) -> None:
    """``count`` patches of each unit of a layer, some units after the other, then the flag that vouches for all."""
    group = place.group("r+", terms.folder(layer))
    units = terms.units(layer)
    for some in found:
        if some.units[0] == 0:  # the first ones tell how large patches of this layer are
            _make(group, "patches", (units, count, *some.images.shape[2:]), "uint8", 1)
            _make(group, "patch_values", (units, count), "float32", units)
        values = np.full((len(some.units), count), np.nan, np.float32)
        values[:, : some.values.shape[1]] = some.values
        images = np.full((len(some.units), count, *some.images.shape[2:]), _GREY, np.uint8)
        images[:, : some.images.shape[1]] = some.images
        group["patches"].oindex[some.units] = images
        group["patch_values"].oindex[some.units] = values
    _make(group, "patched", (1,), "uint8", 1)
    group["patched"][:] = 1


@dataclass(frozen=True)
class Patches:
    """The photograph patches of some units, strongest first, at most as many as there shall be."""

    units: np.ndarray  # (n,) int
    images: np.ndarray  # (n, k, h, w, 3) uint8
    values: np.ndarray  # (n, k) float32: the activation there; NaN where there is no k-th patch


def seal(place: Place, terms: Terms, layer: str) -> None:
    """Note that every unit of a layer is there, so that readers need not look at each flag."""
    attrs = place.group("r+", terms.folder(layer)).attrs
    if not attrs.get("complete"):
        attrs["complete"] = True


class Atlas:
    """Reads an atlas, also while it fills: a unit is there once all of it is.

    store: a folder's path, or an address that fsspec knows ("s3://...", "https://...", "memory://..."), with
    storage_options of its own. ``layers`` are the paths begun, ``progress()`` (units there, of all), ``done(layer)``
    (units,) bool; ``pictures(layer)`` (n, H, W, 3) uint8, ``activations(layer)`` (n,) float32. What is said
    of the whole atlas stands in ``terms``: network, weights, recipe, steps, seed, size, version.
    Raises `CnnvisError` where there is no atlas.
    """

    def __init__(self, store: Any, storage_options: dict[str, Any] | None = None):
        self.place = place_of(store, storage_options)
        terms = _terms(_opened(self.place, "r"), self.place)
        if terms is None:
            raise CnnvisError(f"The store at {self.place.address} holds no atlas of filter pictures.")
        self.terms = terms
        self._groups: dict[str, Any] = {}
        self._patches: dict[str, Any] = {}  # groups of layers that have them
        self._flags: dict[str, np.ndarray] = {}  # what was seen: a flag that is set stays set

    def __repr__(self) -> str:
        about = self.terms
        return f"<Atlas of {about.network!r}: recipe {about.recipe}, {len(about.layers)} layers, {self.place.address}>"

    @property
    def layers(self) -> tuple[str, ...]:
        """The paths of the layers that are being filled, or are full."""
        paths = [path for path, _units in self.terms.layers]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            begun = list(pool.map(lambda path: self._group(path) is not None, paths))
        return tuple(path for path, is_begun in zip(paths, begun, strict=True) if is_begun)

    def done(self, layer: str, units: Iterable[int] | None = None) -> np.ndarray:
        """(n,) bool: which units are there; None asks about all of them. Raises `UnknownLayerError`."""
        flags = self._flags.setdefault(layer, np.zeros(self._units(layer), bool))
        asked = self._chosen(layer, units)
        unknown = np.unique(asked[~flags[asked]])
        with _errors_in_words(self.place):
            if unknown.size and (group := self._group(layer)) is not None:
                sealed = group.attrs.get("complete", False)
                flags[unknown] = True if sealed else np.asarray(group["done"].oindex[unknown]) == 1
        return flags[asked].copy()

    def progress(self) -> tuple[int, int]:
        """(units there, units of the layers begun)."""
        layers = self.layers
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            there = sum(int(flags.sum()) for flags in pool.map(self.done, layers))
        return there, sum(self.terms.units(layer) for layer in layers)

    def picture(self, layer: str, unit: int) -> np.ndarray:
        """A unit's picture: RGB uint8 (H, W, 3). Raises `CnnvisError` where it is not there yet."""
        return self.pictures(layer, [unit])[0]

    def pictures(self, layer: str, units: Iterable[int] | None = None) -> np.ndarray:
        """(n, H, W, 3) uint8 of some units; None gives all. Raises `CnnvisError` where one is not there yet."""
        return np.asarray(self._read(layer, "pictures", units))

    def activations(self, layer: str, units: Iterable[int] | None = None) -> np.ndarray:
        """(n,) float32: the mean activation that each picture reaches. Raises as `pictures` does."""
        return np.asarray(self._read(layer, "activations", units))

    def remark(self, layer: str, unit: int) -> str:
        """Why a unit stayed off, else empty. Raises as `pictures` does."""
        content = np.asarray(self._read(layer, "remarks", [unit])[0], np.uint8).tobytes()
        return content.rstrip(b"\0").decode(errors="ignore")

    def has_patches(self, layer: str) -> bool:
        """Whether the photograph patches of a layer are there: all units' come at once."""
        if layer not in self._patches and self._group(layer) is not None:
            group = self.place.group("r", self.terms.folder(layer))
            if "patched" in group and group["patched"][0] == 1:
                self._patches[layer] = group
        return layer in self._patches

    def patches(self, layer: str, unit: int) -> tuple[np.ndarray, np.ndarray]:
        """The photograph patches that excite a unit most, strongest first: (k, h, w, 3) uint8, and activations (k,).

        Raises `CnnvisError` where they are not there yet.
        """
        (unit,) = self._chosen(layer, [unit])
        if not self.has_patches(layer):
            raise CnnvisError(
                f"The photograph patches of {layer!r} are not in the atlas yet; ask again later."
            )
        values = np.asarray(self._patches[layer]["patch_values"][unit])
        return np.asarray(self._patches[layer]["patches"][unit])[~np.isnan(values)], values[~np.isnan(values)]

    def _read(self, layer: str, name: str, units: Iterable[int] | None) -> Any:
        chosen = self._chosen(layer, units)
        missing = chosen[~self.done(layer, chosen)]
        if missing.size:
            raise CnnvisError(
                f"Unit {int(missing[0])} of {layer!r} is not in the atlas yet; ask again later, or make it with "
                "maximize_filters."
            )
        # Sorted, because Zarr reads each chunk once that way, whatever the order asked for.
        distinct, places = np.unique(chosen, return_inverse=True)
        group = self._group(layer)
        if group is None or not chosen.size:
            return np.zeros((0, *self.terms.size, 3) if name == "pictures" else (0,), np.uint8)
        with _errors_in_words(self.place):
            return group[name].oindex[distinct][places]

    def _chosen(self, layer: str, units: Iterable[int] | None) -> np.ndarray:
        count = self._units(layer)
        if units is None:
            return np.arange(count)
        chosen = np.asarray(listed(units, "units", "whole numbers"))
        if chosen.size and (chosen.dtype.kind not in "iu" or chosen.ndim > 1):
            raise CnnvisError(f"units is a list of whole numbers; {short(units)} was given.")
        outside = chosen[(chosen < 0) | (chosen >= count)]
        if outside.size:
            raise CnnvisError(f"Layer {layer!r} has units 0 to {count - 1}; {outside[0]} was asked for.")
        return chosen.astype(int)

    def _units(self, layer: str) -> int:
        self.terms.folder(layer)
        return self.terms.units(layer)

    def _group(self, layer: str) -> _Layer | None:
        """A layer's arrays and attributes; None while it is not begun."""
        if layer not in self._groups:
            try:
                group = self.place.group("r", self.terms.folder(layer))
                # Flags are begun last, so where they are everything is.
                self._groups[layer] = _Layer(dict(group.attrs), group, {"done": group["done"]})
            except (FileNotFoundError, KeyError, _zarr().errors.GroupNotFoundError):  # Zarr 2 and 3 differ
                return None
        return self._groups[layer]


@dataclass(frozen=True)
class _Layer:
    """Each array is opened once: to open it again would cost a store behind an address a request or two."""

    attrs: dict[str, Any]
    group: Any
    arrays: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        if name not in self.arrays:
            self.arrays[name] = self.group[name]
        return self.arrays[name]


def open_atlas(store: Any, storage_options: dict[str, Any] | None = None) -> Atlas:
    """An atlas of filter pictures to read, complete or still filling. Arguments and errors as of `Atlas`."""
    return store if isinstance(store, Atlas) else Atlas(store, storage_options)


def _opened(place: Place, mode: str) -> Any:
    with _errors_in_words(place, "read" if mode == "r" else "written"):
        try:
            return place.group(mode)
        except (FileNotFoundError, _zarr().errors.GroupNotFoundError) as error:  # Zarr 2 and 3 differ
            if mode != "r":
                raise
            raise CnnvisError(
                f"There is no atlas at {place.address}; name the store that it was written to."
            ) from error


@contextlib.contextmanager
def _errors_in_words(place: Place, doing: str = "read") -> Iterator[None]:
    try:
        yield
    except CnnvisError:
        raise
    except Exception as error:  # of Zarr, fsspec and each protocol's own library
        words = " ".join(str(error).split()) or type(error).__name__
        raise CnnvisError(f"The atlas at {place.address} cannot be {doing} ({words}).") from error


def _terms(root: Any, place: Place) -> Terms | None:
    about = dict(root.attrs)
    written = about.pop("cnnvis_atlas", None)
    if written is None:
        return None
    if written != FORMAT:
        raise CnnvisError(
            f"The atlas at {place.address} has layout {written}, which this version of cnnvis-widgets cannot read."
        )
    about["size"] = tuple(about["size"])
    about["layers"] = tuple((path, units) for path, units in about["layers"])
    return Terms(**about)


def _check_same(there: Terms, asked: Terms, place: Place) -> None:
    others = {"layers": "other layers", "parts": f"another recipe that is called {asked.recipe}"}
    for name in ("network", "weights", "recipe", "parts", "steps", "seed", "size", "layers"):
        have, want = getattr(there, name), getattr(asked, name)
        if have != want:
            which = others.get(name, f"{name} {have}, not {want}")
            raise CnnvisError(
                f"The store at {place.address} holds an atlas with {which}; name another store for this one."
            )


def _as_bytes(remark: str) -> np.ndarray:
    content = remark.encode()[:REMARK]
    return np.frombuffer(content.ljust(REMARK, b"\0"), np.uint8)


@functools.cache
def _zarr() -> Any:
    try:
        import zarr
        import zarr.errors
    except ImportError:
        raise CnnvisError(
            'An atlas needs Zarr, fsspec and Dask; run: pip install "cnnvis-widgets[cluster]"'
        ) from None
    return zarr


@functools.cache
def _is_zarr_3() -> bool:
    return int(_zarr().__version__.split(".")[0]) >= 3
