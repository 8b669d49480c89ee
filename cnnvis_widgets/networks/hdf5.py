"""HDF5 as far as networks need it, and nothing that leads out of the file or declares more than there is.

The idea: look at every entry before anything is read. A link to another file, a dataset kept elsewhere or put together
from others, and one far larger than the bytes that are there, are refused. h5py's low level, for its speed: files have
thousands of entries.
"""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5l, h5o

from cnnvis_widgets.networks.untrusted import HARMLESS_BYTES, MOST_EXPANSION, UnsafeFile

_MOST_ENTRIES = 200_000


def check(file: h5py.File, size: int) -> None:
    """Raise `UnsafeFile` where an open HDF5 file of ``size`` bytes is not what it seems."""
    root = file.id
    most, declared, entries, seen = max(HARMLESS_BYTES, MOST_EXPANSION * size), 0, 0, set()

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
        if not isinstance(entry, h5d.DatasetID) or (address := h5o.get_info(entry).addr) in seen:
            return
        seen.add(address)
        settings = entry.get_create_plist()
        if settings.get_external_count() or settings.get_layout() == h5d.VIRTUAL:
            raise UnsafeFile(f"its array {shown} is kept in other files")
        shape = entry.shape or ()
        declared += math.prod(shape) * entry.get_type().get_size()
        if declared > most:
            raise UnsafeFile(f"its array {shown} of shape {shape} is larger than the whole file can hold")

    def found_wrong(name: bytes, link: Any) -> Exception | None:
        try:  # what is raised here would be lost in C; what is returned ends the visit
            look(name, link)
        except Exception as error:
            return error
        return None

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
