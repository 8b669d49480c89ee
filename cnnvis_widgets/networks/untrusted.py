"""Looks into a network file before Keras does: nothing in it may lead out of it, or be far larger than it.

The idea: archives, arrays and descriptions all say what they hold before they are read; so what cannot be true is
refused while it costs nothing.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import math
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Weights are kept as they are, or hardly compressed. An array of zeros may take no bytes at all, so small ones pass.
HARMLESS_BYTES = 64 * 2**20
MOST_EXPANSION = 100
_MOST_UNITS = 10_000_000  # of one layer: more than any classifier has
_MOST_WEIGHTS = 2_000_000_000  # of one layer
_SIZES = ("depth_multiplier", "filters", "kernel_size", "units")
_HDF5 = (".h5", ".hdf5")


class UnsafeFile(ValueError):
    """What a file holds that is not followed; the text fits the middle of a sentence."""


def check(path: Path) -> None:
    """Raise `UnsafeFile` where a .keras or HDF5 file is not what it seems, or another error where it is damaged."""
    import h5py

    from cnnvis_widgets.networks import hdf5

    size = path.stat().st_size
    if path.suffix in _HDF5:
        with path.open("rb") as raw:
            hdf5.check(raw, size)
        with h5py.File(path) as file:
            config = hdf5.text_in(file, "model_config")
        if config is not None:
            check_config(json.loads(config))
        return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        for entry in entries:
            name = entry.filename.replace("\\", "/")
            if name.startswith("/") or ".." in name.split("/") or ":" in name:
                raise UnsafeFile(f"its entry {entry.filename} leads out of it")
        declared = sum(entry.file_size for entry in entries)
        if declared > max(HARMLESS_BYTES, MOST_EXPANSION * size):
            raise UnsafeFile(f"it would take {declared >> 20} MB unpacked, far more than the file can hold")
        if "config.json" in archive.namelist():
            check_config(json.loads(archive.read("config.json")))
        for entry in entries:
            if entry.filename.endswith(_HDF5):
                hdf5.check(_seekable(archive, entry), size)


def check_config(config: Any) -> None:
    """Raise `UnsafeFile` where a network's description names files to be read, or declares an absurd size.

    Keras makes room for a layer's weights, which are all of its inputs times all of its outputs, before it reads any.
    """
    widest = 1.0
    largest: tuple[float, dict] = (1.0, {})
    for entry in _dictionaries(config):
        if isinstance(entry.get("vocabulary"), str):  # layers of text read theirs from a path
            raise UnsafeFile(f"it names another file, {entry['vocabulary']}")
        if _declared(entry) > _MOST_UNITS:
            sizes = ", ".join(f"{name}={entry[name]}" for name in _SIZES if entry.get(name))
            raise UnsafeFile(f"its layer {entry.get('name')} declares an absurd size, {sizes}")
        outputs = max(
            (entry[name] for name in ("filters", "units") if isinstance(entry.get(name), int)), default=1
        )
        widest, largest = (
            max(widest, outputs),
            max(largest, (_declared(entry), entry), key=lambda one: one[0]),
        )
    if widest * largest[0] > _MOST_WEIGHTS:
        raise UnsafeFile(f"its layer {largest[1].get('name')} declares more weights than any classifier has")


@contextlib.contextmanager
def no_more_weights_than(size: int) -> Iterator[None]:
    """Within it a layer that asks for more weights than files of ``size`` bytes can hold raises `UnsafeFile`.

    What descriptions say of shapes is too manifold to be added up beforehand, and Keras fills the memory first.
    """
    import keras

    most, asked, mine = max(HARMLESS_BYTES, MOST_EXPANSION * size), 0, threading.get_ident()
    own = keras.layers.Layer.add_weight

    @functools.wraps(own)
    def add_weight(layer, shape=None, *args, **options):
        nonlocal asked
        sides = shape if isinstance(shape, list | tuple) else [shape or 1]
        if threading.get_ident() == mine:
            asked += 4 * math.prod(side for side in sides if isinstance(side, int))
            if asked > most:
                raise UnsafeFile(f"its layer {layer.name} asks for more weights than the file can hold")
        return own(layer, shape, *args, **options)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = own


def _declared(entry: dict) -> float:
    """Weights that a layer's own settings ask for, for each channel of its input."""
    sizes = {name: entry.get(name) for name in _SIZES}
    if isinstance(sizes["kernel_size"], int | float):  # one number stands for both sides
        sizes["kernel_size"] = [sizes["kernel_size"]] * 2
    sides = [side for size in sizes.values() for side in (size if isinstance(size, list) else [size])]
    return math.prod(side for side in sides if isinstance(side, int | float))


def _dictionaries(value: Any) -> Iterator[dict]:
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _dictionaries(each)


def _seekable(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Any:
    """A file in an archive; where it lies there as it is, nothing of it is read before it is asked for."""
    if entry.compress_type != zipfile.ZIP_STORED:
        return io.BytesIO(archive.read(entry))
    return _Window(archive.fp, entry)


class _Window(io.RawIOBase):
    """The bytes of an uncompressed entry of an archive: zipfile's own reader starts anew to go back."""

    def __init__(self, file: Any, entry: zipfile.ZipInfo):
        file.seek(entry.header_offset + 26)
        lengths = file.read(4)
        named = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        self._file, self._start = file, entry.header_offset + 30 + named
        self._size, self._place = entry.file_size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + (0, self._place, self._size)[whence]
        return self._place

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._start + self._place)
        found = self._file.read(max(0, min(len(buffer), self._size - self._place)))
        buffer[: len(found)] = found
        self._place += len(found)
        return len(found)
