"""One unit at a glance: what excites it, made and found; how often it is active; its weights and links."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cnnvis_widgets.compute import runs
from cnnvis_widgets.compute.maximize import AnyRecipe, ascend, find_recipe
from cnnvis_widgets.compute.maximize.maximize import checked_units, finish
from cnnvis_widgets.compute.patches import cut_samples, sample_patches
from cnnvis_widgets.errors import CnnvisError, MethodError, seed_of, whole
from cnnvis_widgets.images import resize, sample_images
from cnnvis_widgets.networks.convolution import Convolution, find_convolution
from cnnvis_widgets.networks.network import Network, check_network, kind_of
from cnnvis_widgets.networks.recording import INPUT
from cnnvis_widgets.results import LayerInfo, Link, UnitCard

_KERNELS, _LINKS, _BINS, _PATCHES = 6, 8, 32, 9
_KEEP_CHANNELS = ("pooling", "activation", "normalization")


def unit_card(
    network: Network,
    layer: str | LayerInfo | None,
    unit: int,
    recipe: str | AnyRecipe = "fourier",
    seed: int = 0,
) -> UnitCard:
    """A unit's synthetic picture, top patches, activations over the sample photographs, kernels and strongest links.

    Kernels: of the first layer as they are, (1, kh, kw, 3); later ones by the input channels with the longest kernels.
    Links: by the length of the kernel between two units, from the convolution at the layer (or the one that it follows
    directly), and to the convolutions that take the layer in; none where no convolution stands there.
    Raises `UnknownLayerError`, and `MethodError` for a unit that the layer does not have.
    """
    check_network(network, "unit_card")
    unit, seed = whole(unit, "unit", 0, MethodError), seed_of(seed, MethodError)
    for card in card_steps(network, network.layer(layer), unit, recipe, seed):  # noqa: B007 - the last one
        pass
    assert card is not None
    return card


def card_steps(
    network: Network, info: LayerInfo, unit: int, recipe: str | AnyRecipe = "fourier", seed: int = 0
) -> Iterator[UnitCard | None]:
    """For people who wait: None after each step of the work, at the end the card."""
    units, how = checked_units(info, unit), find_recipe(recipe)
    history = []
    for frame in ascend(network, info, units, how, seed):
        history.append(frame.activations)
        yield None
    made = finish(network, info, how, frame, history, seed)
    for best in sample_patches(network, info, _PATCHES):
        if best is None:
            yield None
    assert best is not None
    found = cut_samples(network, info, unit, best)
    values = [
        runs.layer_alone(network, resize(photograph, network.input_size), info.path)[..., unit].ravel()
        for photograph in sample_images().values()
    ]
    every = np.concatenate(values)
    counts, edges = np.histogram(every[np.isfinite(every)], _BINS)
    kernels, channels, before = _looks_at(network, info, unit)
    yield UnitCard(
        made.images[0],
        float(made.activations[0]),
        made.recipe,
        made.remarks[0],
        found,
        counts,
        edges.astype(np.float32),
        kernels,
        channels,
        before,
        _looked_at_by(network, info, unit),
        info,
        unit,
        network.name,
    )


def _looks_at(network: Network, layer: LayerInfo, unit: int):
    """(kernels, their channels, links) of the convolution at a layer."""
    convolution = _convolution(network, layer.path)
    if convolution is None:
        return np.zeros((0, 0, 0), np.float32), (), ()
    channels, kernel, _bias = convolution.unit(unit)
    lengths = np.sqrt((kernel**2).sum(axis=(0, 1)))
    order = np.argsort(-lengths, kind="stable")
    links: tuple[Link, ...] = ()
    if convolution.source is not None:
        links = tuple(_link(convolution.source, channels[n], kernel[..., n]) for n in order[:_LINKS])
    if convolution.source == INPUT and kernel.shape[-1] == 3:
        return kernel[None], tuple(channels.tolist()), links
    strongest = order[:_KERNELS]
    return np.moveaxis(kernel[..., strongest], -1, 0), tuple(channels[strongest].tolist()), links


def _looked_at_by(network: Network, layer: LayerInfo, unit: int) -> tuple[Link, ...]:
    """The strongest links to the convolutions that take in what a layer puts out, be it after a pool or a ReLU."""
    links = []
    for other in network.layers:
        following = _convolution(network, other.path) if other.kind == "convolution" else None
        if following is None or following.path != other.path or not following.source:
            continue
        if _origin(network, following.source) != _origin(network, layer.path):
            continue
        kernels = following.weights_of_channel(unit)
        strongest = np.argsort(-np.sqrt((kernels**2).sum(axis=(0, 1))), kind="stable")[:_LINKS]
        links += [_link(other.path, n, kernels[..., n]) for n in strongest]
    real = [link for link in links if link.strength]  # a depthwise unit looks at one channel, at no other
    return tuple(sorted(real, key=lambda link: -link.strength)[:_LINKS])


def _origin(network: Network, path: str) -> str:
    """The layer that channels come from: back through pools, activations and normalizations, which keep them."""
    node = network.graph.node(path)
    while kind_of(node.type_name) in _KEEP_CHANNELS and len(node.predecessors) == 1 and node.predecessors[0]:
        node = network.graph.node(node.predecessors[0])
    return node.path


def _convolution(network: Network, path: str) -> Convolution | None:
    try:
        return find_convolution(network, path)
    except CnnvisError:  # another kind of layer
        return None


def _link(layer: str, unit: int, kernel: np.ndarray) -> Link:
    return Link(layer, int(unit), float(kernel.sum()), float(np.sqrt((kernel**2).sum())))
