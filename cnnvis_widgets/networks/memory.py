"""What is kept for quick answers: arrays under keys, at most so many bytes, least recently used goes first.

Everyone who asks gets the same array, so it is read-only.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections import OrderedDict
from collections.abc import Hashable

import numpy as np

DEFAULT_LIMIT = 256 * 1024 * 1024


class Memory:
    """A dictionary of arrays bounded in bytes; what was dropped is computed again by whoever asks."""

    def __init__(self, limit: int = DEFAULT_LIMIT):
        self.limit = limit
        self.used = 0
        self._arrays: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> np.ndarray | None:
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
            return self._arrays.get(key)

    def put(self, key: Hashable, array: np.ndarray) -> np.ndarray:
        """Keep an array, unless there is one already; returns the one that is there, read-only.

        An array that alone is over the limit is not kept.
        """
        array = array.view()
        array.flags.writeable = False
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key]
            if array.nbytes <= self.limit:
                self._arrays[key] = array
                self.used += array.nbytes
            self._shrink(self.limit)
        return array

    def make_room(self, coming: int) -> None:
        """Drop what will have to go anyway when so many bytes come, before they are there: a lower peak."""
        with self._lock:
            self._shrink(max(0, self.limit - coming))

    def _shrink(self, most: int) -> None:
        while self.used > most:
            _key, dropped = self._arrays.popitem(last=False)
            self.used -= dropped.nbytes

    def clear(self) -> None:
        with self._lock:
            self._arrays.clear()
            self.used = 0

    def __len__(self) -> int:
        return len(self._arrays)


def give_back() -> None:
    """Return to the system what was freed: after a function was traced that is some 30 MB, and takes 2 ms."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # only glibc keeps it for itself
        ctypes.CDLL(None).malloc_trim(0)
