"""Throws damaged files at the two readers: what comes back is a picture or a network, or one sentence.

    python tools/fuzz.py images --cases 100000
    python tools/fuzz.py models --cases 2000 --seed 7

Each case has a seed of its own, which is printed where it fails: ``--seed N --cases 1`` repeats it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cnnvis_widgets.errors import ImageError, NetworkLoadError
from cnnvis_widgets.images import load_image

# (Pillow's name, how it is saved): every format and mode that is read.
_KINDS = (
    ("JPEG", "RGB", {}),
    ("JPEG", "CMYK", {}),
    ("JPEG", "L", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"}),
    ("PNG", "RGBA", {}),
    ("PNG", "P", {"transparency": 3}),
    ("PNG", "I;16", {}),
    ("PNG", "1", {}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("GIF", "P", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "I;16", {}),
    ("TIFF", "F", {}),
    ("BMP", "RGB", {}),
    ("AVIF", "RGB", {}),
    ("JPEG2000", "RGB", {}),
    ("PPM", "RGB", {}),
)
_INTERESTING = np.array([0, 1, 2, 127, 128, 254, 255], np.uint8)


def valid_pictures(seed: int = 0) -> list[bytes]:
    """A small file of each kind that this Pillow can write."""
    random, files = np.random.default_rng(seed), []
    for kind, mode, options in _KINDS:
        values = random.integers(0, 256, (13, 17, 3), np.uint8)
        if mode in ("I;16", "F"):
            grey = values[..., 0]
            picture = Image.fromarray(
                grey.astype(np.uint16) * 257 if mode == "I;16" else grey / np.float32(255)
            )
        else:
            picture = Image.fromarray(values).convert(mode)
        file = io.BytesIO()
        with contextlib.suppress(KeyError, OSError):  # this Pillow was built without that encoder
            picture.save(file, kind, **options)
            files.append(file.getvalue())
    return files


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """A file cut, altered in a few bytes, with a piece doubled or left out, or with the tail of noise."""
    kind = random.integers(6)
    changed = np.frombuffer(content, np.uint8).copy()
    start, end = sorted(random.integers(0, len(content) + 1, 2))
    if kind == 0:
        return content[:end]
    if kind == 1:
        return content[:start] + content[end:]
    if kind == 2:
        return content[:end] + content[start:]
    if kind == 3:
        changed[start:] = random.integers(0, 256, len(content) - start, np.uint8)
    elif kind == 4:  # the header is where sizes and offsets are
        places = random.integers(0, min(len(content), 64), random.integers(1, 5))
        changed[places] = random.choice(_INTERESTING, places.size)
    else:
        places = random.integers(0, len(content), random.integers(1, 20))
        changed[places] = random.integers(0, 256, places.size)
    return changed.tobytes()


def try_picture(content: bytes) -> str:
    """ "read" or "refused"; raises AssertionError for any other outcome."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of damaged EXIF
            pixels = load_image(content)
    except ImageError as error:
        _check_sentence(str(error))
        return "refused"
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size, (
        pixels.shape
    )
    return "read"


def valid_networks(folder: Path) -> list[Path]:
    """A small network as each kind of file, that of Keras 2 too."""
    import h5py
    import keras

    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 3)),
            keras.layers.Conv2D(2, 3, name="conv"),
            keras.layers.BatchNormalization(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    paths = [folder / "network.keras", folder / "network.h5"]
    for path in paths:
        model.save(path)
    old = folder / "old.h5"
    old.write_bytes(paths[1].read_bytes())
    with h5py.File(old, "r+") as file:
        file.attrs["keras_version"] = "2.15.0"
    return [*paths, old]


def try_network(content: bytes, suffix: str, folder: Path) -> str:
    """As `try_picture`, of a network's file."""
    from cnnvis_widgets.networks.files import load_model_file

    path = folder / f"damaged{suffix}"
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load_model_file(path)
    except NetworkLoadError as error:
        _check_sentence(str(error))
        return "refused"
    return "read"


def _check_sentence(text: str) -> None:
    assert "\n" not in text and text.endswith((".", "?")) and len(text) < 500, text


def run(
    attempt: Callable[[np.random.Generator], str], cases: int, seed: int
) -> tuple[Counter, list[str], float]:
    """Outcomes counted, failures in words, and the seconds of the slowest case."""
    outcomes: Counter = Counter()
    failures, slowest = [], 0.0
    for number in range(seed, seed + cases):
        started = time.perf_counter()
        try:
            outcomes[attempt(np.random.default_rng(number))] += 1
        except Exception as error:
            outcomes["failed"] += 1
            failures.append(f"seed {number}: {type(error).__name__}: {error}")
        slowest = max(slowest, time.perf_counter() - started)
        if (number + 1 - seed) % 1000 == 0:  # should a case end the process, it is known where to look
            print(f"{number + 1 - seed} cases, up to seed {number}: {dict(outcomes)}", file=sys.stderr)
    return outcomes, failures, slowest


def images(cases: int, seed: int = 0) -> tuple[Counter, list[str], float]:
    """Damaged pictures; see `run`."""
    files = valid_pictures()
    return run(lambda random: try_picture(damaged(files[random.integers(len(files))], random)), cases, seed)


def models(cases: int, seed: int = 0) -> tuple[Counter, list[str], float]:
    """Damaged network files; see `run`. Archives are damaged inside, or their checksum would stop almost all; and
    some files are whole but for one value of their description."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contents = [(path.suffix, path.read_bytes()) for path in valid_networks(folder)]

        def attempt(random: np.random.Generator) -> str:
            suffix, content = contents[random.integers(len(contents))]
            way = random.random()
            if way < 0.2:
                content = _with_description(content, suffix, lambda text: _altered(text, random))
            elif suffix == ".keras" and way < 0.85:
                content = _damaged_inside(content, random)
            else:
                content = damaged(content, random)
            return try_network(content, suffix, folder)

        return run(attempt, cases, seed)


def _damaged_inside(content: bytes, random: np.random.Generator) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        chosen = random.choice(archive.namelist())
    return _with_entries(content, lambda name, part: damaged(part, random) if name == chosen else part)


def _with_entries(content: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return file.getvalue()


def _with_description(content: bytes, suffix: str, change: Callable[[str], str]) -> bytes:
    """A network's file with its JSON description changed."""
    if suffix == ".keras":
        return _with_entries(
            content, lambda name, part: change(part.decode()).encode() if name == "config.json" else part
        )
    import h5py

    file = io.BytesIO(content)
    with h5py.File(file, "r+") as opened:
        opened.attrs["model_config"] = change(opened.attrs["model_config"])
    return file.getvalue()


_ODD = (None, True, -1, 0, 0.5, 3, 10**6, 10**9, 10**30, float("nan"), "", "same", "x" * 500, [], [0], {})


def _altered(text: str, random: np.random.Generator) -> str:
    """JSON with one of its values another one, or gone."""
    whole = json.loads(text)
    places = list(_places(whole))
    holder, key = places[random.integers(len(places))]
    if random.random() < 0.2:
        del holder[key]
    else:
        holder[key] = _ODD[random.integers(len(_ODD))]
    return json.dumps(whole)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of everything in a JSON value."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def main() -> int:
    """Run from the command line; 1 where something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("reader", choices=("images", "models"))
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started = time.perf_counter()
    outcomes, failures, slowest = {"images": images, "models": models}[given.reader](given.cases, given.seed)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{given.cases} damaged {given.reader}: {dict(outcomes)}; {time.perf_counter() - started:.0f} s, "
        f"slowest {slowest:.2f} s, at most {peak} MB"
    )
    print("\n".join(failures[:20]))
    return int(bool(failures))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
