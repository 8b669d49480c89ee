"""Pictures for the units of a layer, in batches, and for any objective; stoppable after every step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from cnnvis_widgets.compute.maximize import climb as climbing
from cnnvis_widgets.compute.maximize.climb import Progress
from cnnvis_widgets.compute.maximize.objectives import Objective, any_unit, unit
from cnnvis_widgets.compute.maximize.recipes import AnyRecipe, PlainRecipe, Recipe, find_recipe
from cnnvis_widgets.compute.maximize.remarks import remarks
from cnnvis_widgets.errors import MethodError, seed_of, whole
from cnnvis_widgets.networks.input_size import checked_size
from cnnvis_widgets.networks.network import Network, check_network
from cnnvis_widgets.results import FilterPictures, LayerInfo, MadePictures

# Units in one run of the network: larger batches gain little on a CPU and cost memory.
BATCH = 8


def maximize_filters(
    network: Network,
    layer: str | LayerInfo | None = None,
    units: Iterable[int] | int | None = None,
    recipe: str | AnyRecipe = "fourier",
    seed: int = 0,
    size: tuple[int, int] | None = None,
    steps: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> FilterPictures:
    """Pictures that excite units of a layer, strongest first.

    ``recipe="fourier"``: waves with the colours of photographs, moved a little before each look, low resolution first
    (Olah et al. 2017). ``"maco"``: the magnitudes of photographs, only phases climb (Fel et al. 2023): for deep layers.
    ``"fast"``: fewer steps at half the resolution, to look at live. ``"pixels"``: a few long steps of every pixel, in
    a tenth of the time of "classic" or less; noise rather than shapes. ``"classic"``: a noise image
    ``(U(0,1) - 0.5) * 20 + 128``, 20 steps of ``gradient / (RMS + 1e-7)`` up
    the unit's mean activation, the result standardized to mean 0.5 and deviation 0.25. All units start from one noise
    image, which is fed in the network's own input space, without preprocessing, as the well-known recipe does:
    gradient ascent walks in that space, and for networks that take pixel values less a mean (VGG, ResNet) noise
    around 128 is a bright grey. For networks on another scale, such as [-1, 1], start and step are brought to
    that scale (see ``recipes.grey_noise``), or every pixel would saturate in one step. A `Recipe` of one's own:
    ``dataclasses.replace(find_recipe("fourier"), steps=256)``.

    layer: a path; None gives ``network.default_layer``. units: indices; None gives all units. size: (H, W) of the
    pictures; None gives the network's input size. progress: called with (step, steps) over all batches.
    Returns `FilterPictures`: images (n, H, W, 3) uint8, units, activations (n,) reached after the last step, history
    (n, steps) of the activation before each step (as the network then saw it: moved, and at the resolution of
    that step), and for units that stayed off a remark that says why. Ctrl-C returns what there is, the running
    batch as it stands. Raises `UnknownLayerError`, and `MethodError` for an unknown recipe, units, steps or size.
    """
    check_network(network, "maximize_filters")
    info = network.layer(layer)
    how = find_recipe(recipe)
    chosen, seed = checked_units(info, units), seed_of(seed, MethodError)
    count = _counted(how, steps)
    batches = [chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH)]
    finished: list[tuple] = []
    try:
        for index, batch in enumerate(batches):
            history = []
            for frame in ascend(network, info, batch, how, seed, size, count):
                history.append(frame.activations)
                latest = frame
                if progress is not None:
                    progress(index * count + frame.step, len(batches) * count)
            finished.append(_finished(network, info, how, latest, history, count))
    except KeyboardInterrupt:
        if history and len(finished) == index:
            finished.append(_finished(network, info, how, latest, history, count))
        if not finished:
            raise
    return _told(network, info, how, seed, finished)


def finish(
    network: Network,
    layer: LayerInfo,
    recipe: AnyRecipe,
    frame: Progress,
    history: list[np.ndarray],
    seed: int = 0,
) -> FilterPictures:
    """What `maximize_filters` returns, of one batch that was taken step by step with `ascend`."""
    done = _finished(network, layer, recipe, frame, history, len(history))
    return _told(network, layer, recipe, seed, [done])


def _told(network, info, how, seed: int, finished: list[tuple]) -> FilterPictures:
    images, numbers, reached, rows = (np.concatenate(parts) for parts in zip(*finished, strict=True))
    order = np.argsort(-reached, kind="stable")
    said = remarks(network, info, numbers[order], reached[order], rows[order])
    return FilterPictures(
        images[order], numbers[order], reached[order], rows[order], info, network.name, how.name, seed, said
    )


def maximize(
    network: Network,
    objective: Objective,
    recipe: str | Recipe = "fourier",
    seed: int = 0,
    size: tuple[int, int] | None = None,
    steps: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> MadePictures:
    """Pictures that excite an objective, such as ``unit("conv", 3) - 0.5 * unit("conv", 9)`` or ``logit(281)``, by
    gradient ascent (Olah et al. 2017, *Feature Visualization*).

    objective: of `objectives`. recipe: a name out of `recipes`, or a `Recipe`. seed: of noise and moves. size, steps,
    progress, Ctrl-C: as in `maximize_filters`. All pictures of an objective are made in one batch; those that are
    compared with each other (`diversity`) start from noise of their own. Returns `MadePictures`.
    Raises `UnknownLayerError`, and `MethodError` for what does not fit.
    """
    check_network(network, "maximize")
    if not isinstance(objective, Objective):
        raise MethodError(
            f"maximize takes an objective, such as unit(layer, 3); a {type(objective).__name__} was given."
        )
    how = find_recipe(recipe)
    if isinstance(how, PlainRecipe):
        raise MethodError(f"Recipe {how.name!r} makes pictures of single units only; take maximize_filters.")
    count, seed = _counted(how, steps), seed_of(seed, MethodError)
    history = []
    try:
        for frame in climbing.climb(network, objective, how, seed, size, count):
            history.append(frame.activations)
            latest = frame
            if progress is not None:
                progress(frame.step, count)
    except KeyboardInterrupt:
        if not history:
            raise
    return MadePictures(
        how.picture(network, latest.inputs),
        climbing.reached(network, objective, latest.inputs),
        _rows(history, count),
        network.name,
        how.name,
        seed,
    )


def ascend(
    network: Network,
    layer: LayerInfo,
    units: np.ndarray,
    recipe: AnyRecipe,
    seed: int = 0,
    size: tuple[int, int] | None = None,
    steps: int | None = None,
    live: bool = False,
) -> Iterator[Progress]:
    """The steps of one batch of units, one at a time, so that whoever iterates can show, pause or stop.

    live: run the network to its end at every step, so that one compiled function serves every unit of every layer:
    nobody who goes from layer to layer waits for compiling again, and memory holds it once.
    Raises `MethodError` where the network cannot take pictures of ``size``.
    """
    units = np.asarray(units, np.int32)
    if isinstance(recipe, PlainRecipe):
        return _plain_steps(network, layer, units, recipe, seed, size, steps)
    shared = live and layer in network.layers
    objective = any_unit(network.layers, layer, units) if shared else unit(layer.path, units)
    return climbing.climb(network, objective, recipe, seed, size, steps, units)


def _plain_steps(network, layer, units, recipe: PlainRecipe, seed, size, steps) -> Iterator[Progress]:
    height, width = network.input_size if size is None else checked_size(size, "size", MethodError)
    if network.fixed_size and (height, width) != network.input_size:
        fixed_height, fixed_width = network.input_size
        raise MethodError(
            f"{network.name} takes pictures of {fixed_height}x{fixed_width} only; {height}x{width} was asked for."
        )
    network.probe.check_climb([layer.path], (len(units), height, width), (height, width))
    start = recipe.start(network, (height, width), np.random.default_rng(seed))
    inputs = np.repeat(start, len(units), axis=0)
    count = recipe.steps if steps is None else steps
    for step in range(1, count + 1):
        activations, gradients = network.probe.unit_gradient(inputs, layer.path, units)
        inputs = inputs + recipe.step(network, gradients)
        yield Progress(step, count, units, activations, functools.partial(np.asarray, inputs))


def checked_units(layer: LayerInfo, units: Iterable[int] | int | None) -> np.ndarray:
    """Units as an array; None gives all. Raises `MethodError` for those that the layer does not have."""
    if units is None:
        return np.arange(layer.units)
    chosen = np.atleast_1d(np.asarray(list(units) if isinstance(units, Iterable) else units))
    if chosen.size == 0 or chosen.dtype.kind not in "iu" or chosen.ndim > 1:
        raise MethodError(f"Units are whole numbers from 0 to {layer.units - 1}, at least one of them.")
    outside = chosen[(chosen < 0) | (chosen >= layer.units)]
    if outside.size:
        raise MethodError(
            f"Layer {layer.path!r} has units 0 to {layer.units - 1}; {int(outside[0])} was asked for."
        )
    return chosen


def _counted(recipe: AnyRecipe, steps: int | None) -> int:
    return whole(recipe.steps if steps is None else steps, "steps", error=MethodError)


def _finished(network, layer, recipe, frame: Progress, history: list[np.ndarray], steps: int) -> tuple:
    """A batch as it is returned, (pictures, units, activations reached, history): its float inputs need not be kept."""
    if isinstance(recipe, PlainRecipe):
        reached = network.probe.unit_gradient(frame.inputs, layer.path, frame.units)[0]
    else:
        reached = climbing.reached(network, unit(layer.path, frame.units), frame.inputs)
    pictures = recipe.picture(network, frame.inputs)
    return pictures, frame.units, reached.astype(np.float32), _rows(history, steps)


def _rows(history: list[np.ndarray], steps: int) -> np.ndarray:
    """(n, steps) float32, NaN where steps were not taken."""
    rows = np.full((len(history[0]), steps), np.nan, np.float32)
    rows[:, : len(history)] = np.stack(history, axis=1)
    return rows
