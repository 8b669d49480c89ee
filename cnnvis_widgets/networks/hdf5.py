"""HDF5 as far as networks need it, and nothing that leads out of the file or declares more than there is.

The idea: look at every entry before anything is read. A link to another file, a dataset kept elsewhere or put together
from others, one far larger than the bytes that are there, and whatever is neither number nor text are refused. h5py's
low level, for its speed: files have thousands of entries.
"""

from __future__ import annotations

import io
import math
from typing import Any, BinaryIO

import h5py
import numpy as np
from h5py import h5a, h5d, h5l, h5o, h5t

from cnnvis_widgets.networks.untrusted import HARMLESS_BYTES, MOST_EXPANSION, UnsafeFile

_MOST_ENTRIES = 200_000
_HEAP = b"GCOL\x01\0\0\0"  # how a heap begins
_BLOCK = 2**24
# What networks are made of. Others can end the process: HDF5 follows their addresses into memory without looking.
_TYPES = {h5t.INTEGER, h5t.FLOAT, h5t.STRING, h5t.ENUM, h5t.OPAQUE, h5t.BITFIELD}


def check(raw: BinaryIO, size: int) -> None:
    """Raise `UnsafeFile` where an open file is not what it seems, or ``size`` bytes cannot hold what it declares."""
    _check_heaps(raw)
    with h5py.File(raw, "r") as file:
        _check_entries(file, size)


def _check_heaps(raw: BinaryIO) -> None:
    """Texts lie in heaps, whose walls HDF5 trusts: past an entry of no length it would walk in circles for ever."""
    end, start, walked = raw.seek(0, io.SEEK_END), 0, 0
    while start < end:
        raw.seek(start)
        block, place = raw.read(_BLOCK), -1
        while (place := block.find(_HEAP, place + 1)) >= 0:
            walked += _check_heap(raw, start + place, end)
            if walked > end:  # heaps within heaps would be walked over and over
                raise UnsafeFile("its texts are damaged")
        start += max(1, len(block) - len(_HEAP) + 1)


def _check_heap(raw: BinaryIO, start: int, end: int) -> int:
    """How many bytes it has."""
    raw.seek(start + 8)
    size = int.from_bytes(raw.read(8), "little")
    if size > end - start:
        raise UnsafeFile("it was cut short, or its texts are damaged")
    raw.seek(start)
    heap = raw.read(size)
    place = 16
    while place + 16 <= len(heap):
        number, length = int.from_bytes(heap[place : place + 2], "little"), heap[place + 8 : place + 16]
        step = int.from_bytes(length, "little")
        step = 16 + -(-step // 8) * 8 if number else step  # the last one, number 0, is what is free
        if step < 16 or place + step > len(heap):
            raise UnsafeFile("its texts are damaged")
        place += step
    return len(heap)


def _check_entries(file: h5py.File, size: int) -> None:
    root = file.id
    if root.get_create_plist().get_sizes() != (8, 8):
        raise UnsafeFile("it counts its bytes in an unusual way")
    most, declared, entries, seen = max(HARMLESS_BYTES, MOST_EXPANSION * size), 0, 0, set()

    def look_at_attributes(entry: Any, shown: str) -> None:
        for index in range(h5a.get_num_attrs(entry)):
            about = h5a.open(entry, index=index)
            kind = about.get_type()
            called = about.name.decode("utf-8", "replace")
            if kind.get_class() not in _TYPES:
                raise UnsafeFile(f"its attribute {called} of {shown} is neither number nor text")
            if math.prod(about.shape or ()) * kind.get_size() > most:
                raise UnsafeFile(f"its attribute {called} of {shown} is larger than the whole file can hold")

    def look(name: bytes, link: Any) -> None:
        nonlocal declared, entries
        shown, entries = name.decode("utf-8", "replace"), entries + 1
        if entries > _MOST_ENTRIES:
            raise UnsafeFile("it has more entries than any network")
        if link.type == h5l.TYPE_EXTERNAL:
            raise UnsafeFile(f"its entry {shown} links to another file")
        if link.type != h5l.TYPE_HARD:
            raise UnsafeFile(f"its entry {shown} is only a link")
        entry = h5o.open(root, name)
        look_at_attributes(entry, shown)
        if not isinstance(entry, h5d.DatasetID) or (address := h5o.get_info(entry).addr) in seen:
            return
        seen.add(address)
        settings = entry.get_create_plist()
        if settings.get_external_count() or settings.get_layout() == h5d.VIRTUAL:
            raise UnsafeFile(f"its array {shown} is kept in other files")
        shape = entry.shape or ()
        kind = entry.get_type()
        if kind.get_class() not in _TYPES:
            raise UnsafeFile(f"its array {shown} holds neither numbers nor text")
        declared += math.prod(shape) * kind.get_size()
        if declared > most:
            raise UnsafeFile(f"its array {shown} of shape {shape} is larger than the whole file can hold")

    def found_wrong(name: bytes, link: Any) -> Exception | None:
        try:  # what is raised here would be lost in C; what is returned ends the visit
            look(name, link)
        except Exception as error:
            return error
        return None

    look_at_attributes(root, "the file")
    wrong = root.links.visit(found_wrong, info=True)
    if wrong is not None:
        raise wrong


def names_in(group: Any, name: str) -> list[str]:
    """A list of names from a group's attributes; long ones are kept in parts, "weight_names0", "weight_names1", ..."""
    if name in group.attrs:
        parts = [group.attrs[name]]
    else:
        parts = []
        while f"{name}{len(parts)}" in group.attrs:
            parts.append(group.attrs[f"{name}{len(parts)}"])
    return [one.decode("utf-8") if isinstance(one, bytes) else str(one) for part in parts for one in part]


def text_in(group: Any, name: str) -> str | None:
    """A text from a group's attributes; None where there is none."""
    value = group.attrs.get(name)
    return value.decode("utf-8") if isinstance(value, bytes) else value


def read_array(group: Any, name: str) -> np.ndarray:
    """The array at a path within a group that was checked."""
    return np.asarray(group[name])
