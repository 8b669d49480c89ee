"""What outlives a kernel: arrays under a key, one ``.npz`` file each in the system's cache folder.

The idea: a file is written beside its place and moved there whole, so every process sees all of it or nothing. What
cannot be read counts as missing and is computed again; what cannot be written is said once, and work goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cnnvis_widgets.errors import CnnvisWarning

DEFAULT_LIMIT = 512 * 1024 * 1024
_ENDING = ".cnnvis.npz"
# Only such files are ever removed: someone may point CNNVIS_CACHE at a folder of their own.
_OURS = re.compile(r"[0-9a-f]{40}\.cnnvis\.npz|cnnvis-[^.]*\.part")
_ABANDONED_SECONDS = 3600  # a half-written file of that age belongs to a process that is gone
_OFF = {"off", "0", "no", "false"}
_said: set[Path] = set()  # folders that could not be written to


class Cache:
    """Arrays by key, at most ``limit`` bytes of them; the least recently used go first. Any number of processes.

    folder: None gives the one named by the environment variable CNNVIS_CACHE ("off" keeps nothing), else the
    system's place for caches. A key is any text; it must name everything that the arrays depend on.
    """

    def __init__(self, folder: str | Path | None = None, limit: int = DEFAULT_LIMIT):
        self.folder = _usual_folder() if folder is None else Path(folder)
        self.limit = limit

    def get(self, key: str) -> dict[str, np.ndarray] | None:
        """The arrays put under a key; None where there are none, or they were damaged."""
        if (path := self._path(key)) is None or not path.exists():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as entry:
                arrays = {name: entry[name] for name in entry.files}
        except Exception:  # cut short or altered: BadZipFile, ValueError, EOFError, KeyError, ...
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # its last use
        return arrays

    def put(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays, in place of what was there; not where they alone are over the limit."""
        path = self._path(key)
        if any(array.dtype.hasobject for array in arrays.values()):
            raise TypeError("Arrays of Python objects are not kept: reading them could run code.")
        if path is None or sum(array.nbytes for array in arrays.values()) > self.limit:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, arrays)
            self._shrink(keep=path)
        except OSError as error:  # read-only, full, no right, a file where the folder should be
            if path.parent not in _said:
                _said.add(path.parent)
                warnings.warn(
                    f"Nothing can be kept in {path.parent} ({error.strerror or error}); work goes on without. "
                    "Set CNNVIS_CACHE to another folder, or to off.",
                    CnnvisWarning,
                    stacklevel=2,
                )

    def size(self) -> int:
        """Bytes of everything kept."""
        return sum(size for _used, size, _path in self._entries())

    def clear(self) -> int:
        """Remove everything kept; returns how many bytes that were."""
        freed = 0
        for _used, size, path in self._entries():
            with contextlib.suppress(OSError):
                path.unlink()
                freed += size
        return freed

    def _path(self, key: str) -> Path | None:
        if self.folder is None:
            return None
        return self.folder / (hashlib.blake2b(key.encode(), digest_size=20).hexdigest() + _ENDING)

    def _entries(self) -> list[tuple[float, int, Path]]:
        """(time of last use, bytes, path) of all that is ours in the folder, least recently used first."""
        found = []
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.folder or ""):
                # Another process may remove a file between the list and the look at it.
                with contextlib.suppress(OSError):
                    if _OURS.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        about = entry.stat(follow_symlinks=False)
                        found.append((about.st_mtime, about.st_size, Path(entry.path)))
        return sorted(found)

    def _shrink(self, keep: Path) -> None:
        entries = self._entries()
        total = sum(size for _used, size, _path in entries)
        for used, size, path in entries:
            abandoned = path.suffix == ".part" and time.time() - used > _ABANDONED_SECONDS
            if abandoned or (total > self.limit and path != keep and path.suffix != ".part"):
                with contextlib.suppress(OSError):
                    path.unlink()
                total -= size


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    descriptor, half = tempfile.mkstemp(prefix="cnnvis-", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        os.replace(half, path)
    except BaseException:  # Ctrl-C too
        with contextlib.suppress(OSError):
            os.unlink(half)
        raise


def _usual_folder() -> Path | None:
    named = os.environ.get("CNNVIS_CACHE", "").strip()
    if named.lower() in _OFF:
        return None
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("cnnvis-widgets", appauthor=False))
