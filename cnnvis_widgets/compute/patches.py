"""The patches of photographs that excite units most: beside a synthetic picture, what a unit meets in the world.

The photographs stream through the network one at a time; what is kept is the running best of every unit: an
activation, a photograph's number and a position. Patches are cut out at the end, from the few photographs that won.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cnnvis_widgets.compute import runs
from cnnvis_widgets.compute.maximize.maximize import checked_units
from cnnvis_widgets.errors import CnnvisWarning, ImageError, whole
from cnnvis_widgets.images import load_image, resize, sample_images
from cnnvis_widgets.networks.network import Network, check_network
from cnnvis_widgets.results import LayerInfo, TopPatches

_MOST_PATCHES = 1000  # of a unit
SIDE = 112  # pixels: patches are kept no larger, or all units of a layer would fill the memory
_NAMED = 5  # photographs that cannot be read
_GREY = 128  # stands for the padding that a receptive field reaches into
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".avif"}

Source = tuple[str, Callable[[], np.ndarray]]  # a photograph's name, and how to get it


def top_patches(
    network: Network,
    layer: str | LayerInfo | None = None,
    images: Any = None,
    units: Iterable[int] | int | None = None,
    count: int = 9,
    progress: Callable[[int, int], object] | None = None,
) -> TopPatches:
    """The patches of photographs that excite each unit most, strongest first (Borowski et al. 2021: people predict a
    unit better from these than from synthetic pictures).

    layer: a path; None gives the default layer. images: a folder (its subfolders too), a list of anything that
    `load_image` takes, or a dictionary of those by name; None gives the sample photographs. units: None gives all.
    count: at most so many patches a unit; where there are fewer photographs than that, one gives several, whose
    receptive fields lie at least half their size apart. progress: called with (photographs done, all of them).

    Returns `TopPatches`. A patch is the unit's receptive field in the photograph as the network sees it (resized to its
    input), no larger than the photograph; what lies beyond the border is padding, shown grey; enlarged or reduced to at
    most 112 pixels. Photographs that cannot be read are left out, and a `CnnvisWarning` names them. Raises
    `UnknownLayerError`, `MethodError`, `ImageError`.
    """
    check_network(network, "top_patches")
    info, sources = network.layer(layer), find_photographs(images)
    chosen = checked_units(info, units)
    count = whole(count, "count", most=_MOST_PATCHES)
    unread: list[str] = []
    best_after_each = _best_after_each(network, info, sources, chosen, count, unread)
    for done, best in enumerate(best_after_each, 1):  # noqa: B007
        if progress is not None:
            progress(done, len(sources))
    if unread:
        warnings.warn(
            f"{len(unread)} of {len(sources)} photographs cannot be read and are left out: "
            f"{', '.join(unread[:_NAMED])}{', ...' if len(unread) > _NAMED else ''}.",
            CnnvisWarning,
            stacklevel=2,
        )
    return replace(cut(network, info, sources, chosen, best), searched=len(sources) - len(unread))


def sample_patches(network: Network, layer: LayerInfo, count: int) -> Iterator[np.ndarray | None]:
    """For people who wait: step by step, at the end the best of all units of a layer over the samples, remembered.

    A (units, count, 4) array: activation, number of the photograph, y, x. None before the end.
    """
    key = ("patches", layer.path, count)
    network.notice_new_weights()
    known = network.memory.get(key)
    if known is None:
        samples, units = find_photographs(None), np.arange(layer.units)
        for best in _best_after_each(network, layer, samples, units, count, []):  # noqa: B007
            yield None
        known = network.memory.put(key, best)
    yield known


def cut_samples(network: Network, layer: LayerInfo, unit: int, best: np.ndarray) -> TopPatches:
    """The patches of one unit, of what `sample_patches` found."""
    return cut(network, layer, find_photographs(None), np.array([unit]), best[unit][None])


def find_photographs(images: Any) -> list[Source]:
    """What is to be searched, not read yet: a folder's files, a list, a dictionary or, of None, the samples."""
    if images is None:
        images = sample_images()
    if isinstance(images, str | Path):
        folder = Path(images)
        if folder.is_file():
            return [(folder.name, functools.partial(load_image, folder))]
        if not folder.is_dir():
            raise ImageError(f"There is no folder {str(images)!r}; name one with photographs in it.")
        files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _PICTURES)
        if not files:
            raise ImageError(f"There are no photographs in {str(images)!r}.")
        return [(str(file.relative_to(folder)), functools.partial(load_image, file)) for file in files]
    if not isinstance(images, Mapping | Sequence):
        raise ImageError(
            f"images is a folder, a list or a dictionary of photographs; a {type(images).__name__} was given."
        )
    named = (
        images.items() if isinstance(images, Mapping) else ((f"image {n}", i) for n, i in enumerate(images))
    )
    found: list[Source] = [(str(name), functools.partial(load_image, image)) for name, image in named]
    if not found:
        raise ImageError("At least one photograph is needed.")
    return found


def _best_after_each(
    network: Network,
    layer: LayerInfo,
    sources: list[Source],
    units: np.ndarray,
    count: int,
    unread: list[str],
) -> Iterator[np.ndarray]:
    """The running best (units, count, 4) after each photograph: activation, photograph, y, x; -inf where none.

    unread: takes the names of those that cannot be read.
    """
    best = np.full((len(units), count, 4), -np.inf, np.float32)
    each = math.ceil(count / len(sources))
    apart = _apart(network, layer)
    for number, (name, get) in enumerate(sources):
        try:
            picture = resize(get(), network.input_size)
        except ImageError:
            if len(sources) == 1:
                raise
            unread.append(name)
            yield best  # one broken file among many
            continue
        values = runs.layer_alone(network, picture, layer.path)[..., units]
        found = _peaks(np.nan_to_num(values, nan=-np.inf), each, apart)
        number_column = np.full((*found.shape[:2], 1), number, np.float32)
        candidates = np.concatenate(
            [best, np.concatenate([found[..., :1], number_column, found[..., 1:]], -1)], 1
        )
        order = np.argsort(-candidates[..., 0], axis=1, kind="stable")[:, :count]
        best = np.take_along_axis(candidates, order[..., None], axis=1)
        yield best
    if len(unread) == len(sources):
        raise ImageError(f"None of the {len(sources)} photographs could be read.")


def _apart(network: Network, layer: LayerInfo) -> tuple[int, int]:
    """How many positions lie between two patches of one photograph: half a receptive field."""
    field = network.graph.node(layer.path).field
    if field is None:
        return layer.shape[0], layer.shape[1]
    down, right = (
        math.ceil(size / 2 / jump) if jump else side
        for size, jump, side in zip(field.size, field.jump, layer.shape, strict=False)
    )
    return max(1, down), max(1, right)


def _peaks(values: np.ndarray, count: int, apart: tuple[int, int]) -> np.ndarray:
    """(units, count, 3): the highest values (h, w, units) and their y, x, each ``apart`` from the ones before."""
    height, width, units = values.shape
    left = values.copy() if count > 1 else values
    rows, columns = np.arange(height)[:, None], np.arange(width)[:, None]
    found = []
    for _ in range(count):
        place = left.reshape(-1, units).argmax(axis=0)
        y, x = np.divmod(place, width)
        found.append(np.stack([left[y, x, np.arange(units)], y, x], axis=-1))
        if len(found) < count:
            near = (np.abs(rows - y) < apart[0])[:, None] & (np.abs(columns - x) < apart[1])[None]
            left[near] = -np.inf
    return np.stack(found, axis=1).astype(np.float32)


def cut(
    network: Network, layer: LayerInfo, sources: list[Source], units: np.ndarray, best: np.ndarray
) -> TopPatches:
    """Best places (units, count, 4) as `TopPatches`: each winning photograph is read once more."""
    there = np.isfinite(best[..., 0])
    best = best[:, : max(1, there.sum(axis=1).max())]
    there = there[:, : best.shape[1]]
    window = _window(network, layer)
    share = SIDE / max(window)
    size = (max(1, round(window[0] * share)), max(1, round(window[1] * share)))
    images = np.full((*best.shape[:2], *size, 3), _GREY, np.uint8)
    numbers = np.where(there, best[..., 1], -1).astype(int)
    positions = np.where(there[..., None], best[..., 2:], -1).astype(int)
    boxes = np.full((*best.shape[:2], 4), -1)
    for number in np.unique(numbers[there]):
        picture = resize(sources[number][1](), network.input_size)
        for row, column in np.argwhere(numbers == number):
            box = _box(network, layer, positions[row, column], window)
            boxes[row, column] = box
            images[row, column] = _cut_out(picture, box, size)
    names = tuple(tuple(sources[n][0] if n >= 0 else "" for n in row) for row in numbers)
    values = np.where(there, best[..., 0], np.nan).astype(np.float32)
    return TopPatches(images, values, positions, names, boxes, units, layer, network.name, len(sources))


def _window(network: Network, layer: LayerInfo) -> tuple[int, int]:
    """(height, width) of what is cut out: the receptive field, no larger than the picture."""
    field = network.graph.node(layer.path).field
    if field is None:
        return network.input_size
    height, width = (
        min(math.ceil(s), whole) for s, whole in zip(field.size, network.input_size, strict=True)
    )
    return height, width


def _box(network: Network, layer: LayerInfo, position: np.ndarray, window) -> tuple[int, int, int, int]:
    """(top, left, bottom, right), inclusive, of the window around a position's receptive field."""
    field = network.graph.node(layer.path).field
    top, left = field.box(*position.tolist())[:2] if field is not None else (0, 0)
    # A field larger than the picture shows all of the picture, and nothing else.
    top, left = (
        0 if side == whole else first
        for first, side, whole in zip((top, left), window, network.input_size, strict=True)
    )
    return top, left, top + window[0] - 1, left + window[1] - 1


def _cut_out(picture: np.ndarray, box: Sequence[int], size: tuple[int, int]) -> np.ndarray:
    top, left, bottom, right = box
    height, width = picture.shape[:2]
    patch = np.full((bottom - top + 1, right - left + 1, 3), _GREY, np.uint8)
    rows, columns = slice(max(top, 0), min(bottom + 1, height)), slice(max(left, 0), min(right + 1, width))
    inside = picture[rows, columns]
    down, across = rows.start - top, columns.start - left
    patch[down : down + inside.shape[0], across : across + inside.shape[1]] = inside
    how = cv2.INTER_AREA if size[0] < patch.shape[0] else cv2.INTER_NEAREST
    return cv2.resize(patch, size[::-1], interpolation=how)
