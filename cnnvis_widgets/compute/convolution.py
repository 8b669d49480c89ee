"""One unit of a convolution taken apart: patch times kernel, channel by channel, up to the value that is shown.

Sums over all channels are computed here for every position; of the channels themselves only as many are handed on as
are wanted, the strongest first. So whoever shows a few of them can always say what the rest adds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnvis_widgets.compute import runs
from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.images import load_image
from cnnvis_widgets.networks import convolution
from cnnvis_widgets.networks.network import Network, check_network
from cnnvis_widgets.networks.recording import INPUT


@dataclass(frozen=True)
class Line:
    """One of the maps between the sum and what is shown, as the network itself computed it."""

    path: str  # of the layer that puts it out
    kind: str  # "bias", "normalization" or "activation"
    name: str  # "ReLU6", "batch normalization"; "" for the bias
    values: np.ndarray  # (h, w) float32
    scale: float | None = None  # of a batch normalization: values = scale * the line before + shift
    shift: float | None = None


@dataclass(frozen=True)
class ConvolutionSteps:
    """One unit of one convolution on one image; arrays are float32."""

    path: str  # of the convolution
    kind: str  # "convolution", "depthwise" or "separable"
    # Path of the layer that made the input maps; "" is the network's own input, None: no layer
    source: str | None
    unit: int
    channels: np.ndarray  # (n,) int: the input channels here, strongest over the whole picture first
    channel_count: int  # of all channels that the unit looks at
    inputs: np.ndarray  # (h, w, n)
    kernel: np.ndarray  # (kh, kw, n)
    bias: float
    strides: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int, int, int]  # rows above and below, columns left and right, of zeros
    sums: np.ndarray  # (h', w'): patch times kernel, summed over patch and all channels, without the bias
    sizes: np.ndarray  # (h', w'): each channel's part of that without its sign, summed
    lines: tuple[Line, ...]  # sum and bias first, the layer asked for last


def convolution_steps(
    network: Network, image, layer, unit: int, most_values: int = 400_000
) -> ConvolutionSteps:
    """What a unit of a convolution, or of a normalization or activation behind one, adds up to at every position.

    image: anything `load_image` takes. most_values: so many numbers of input maps are handed on, at least one channel.
    Raises `CnnvisError` where the layer is no convolution and follows none directly, or computes something else.
    """
    check_network(network, "convolution_steps")
    image, info = load_image(image), network.layer(layer)
    if not 0 <= unit < info.units:
        raise CnnvisError(f"Layer {info.path!r} has units 0 to {info.units - 1}; {unit} was asked for.")
    found = convolution.find_convolution(network, info.path)
    paths = [found.path, *found.after, *([found.source] if found.source else [])]
    recorded = _recorded(network, image, paths)
    channels, kernel, bias = found.unit(unit)
    inputs = (recorded[found.source] if found.source else _inputs(network, image, found))[..., channels]
    padding = _padding(found, inputs.shape[:2], kernel.shape[:2])
    parts = contributions(inputs, kernel, found.strides, found.dilation, padding)
    sums = parts.sum(axis=-1, dtype=np.float64).astype(np.float32)
    _check(found, sums + np.float32(bias), recorded[found.path][..., unit])
    order = np.argsort(-np.nan_to_num(np.abs(parts)).sum(axis=(0, 1)), kind="stable")
    order = order[: max(1, most_values // (inputs.shape[0] * inputs.shape[1]))]
    return ConvolutionSteps(
        found.path,
        found.kind,
        found.source,
        unit,
        channels[order],
        len(channels),
        inputs[..., order],
        kernel[..., order],
        bias,
        found.strides,
        found.dilation,
        padding,
        sums,
        np.abs(parts).sum(axis=-1),
        tuple(_lines(network, found, sums, bias, recorded, unit)),
    )


def contributions(inputs, kernel, strides, dilation, padding) -> np.ndarray:
    """Patch times kernel, summed over the patch alone: (h, w, c) and (kh, kw, c) -> (h', w', c).

    padding: rows of zeros above and below, columns left and right.
    """
    top, bottom, left, right = padding
    padded = np.pad(inputs, ((top, bottom), (left, right), (0, 0)))
    kh, kw, c = kernel.shape
    h, w = (
        (padded.shape[axis] - (kernel.shape[axis] - 1) * dilation[axis] - 1) // strides[axis] + 1
        for axis in (0, 1)
    )
    total = np.zeros((h, w, c), np.float32)
    for i in range(kh):
        for j in range(kw):
            y, x = i * dilation[0], j * dilation[1]
            rows = slice(y, y + (h - 1) * strides[0] + 1, strides[0])
            columns = slice(x, x + (w - 1) * strides[1] + 1, strides[1])
            total += padded[rows, columns] * kernel[i, j]
    return total


def paddings(size, kernel, strides, dilation, how: str) -> tuple[int, int, int, int]:
    """Rows of zeros above and below, columns left and right, as TensorFlow adds them: an odd one comes last.

    ``total = max((ceil(n / stride) - 1) * stride + (k - 1) * dilation + 1 - n, 0)``, half of it, rounded down, first.
    """
    if how != "same":
        return (0, 0, 0, 0)
    both = []
    for n, k, stride, rate in zip(size, kernel, strides, dilation, strict=True):
        total = max((-(-n // stride) - 1) * stride + (k - 1) * rate + 1 - n, 0)
        both += [total // 2, total - total // 2]
    return (both[0], both[1], both[2], both[3])


def _padding(found: convolution.Convolution, size, kernel) -> tuple[int, int, int, int]:
    """All zeros around the input: those of a padding layer before the convolution and its own."""
    top, bottom, left, right = found.zeros
    size = (size[0] + top + bottom, size[1] + left + right)
    own = paddings(size, kernel, found.strides, found.dilation, found.operation.padding)
    return (top + own[0], bottom + own[1], left + own[2], right + own[3])


def _recorded(network: Network, image: np.ndarray, paths) -> dict[str, np.ndarray]:
    """What layers put out. Normalization and padding are not among what is remembered, so they are called again."""
    ways = {path: convolution.way(network, path) for path in paths}
    bases = [base for base, _layers in ways.values() if base]
    values = runs.activations(network, image, list(dict.fromkeys(bases)))
    if len(bases) < len(ways):
        values |= {INPUT: network.prepare(network.seen(image)[1])[0]}
    return {path: convolution.passed_through(layers, values[base]) for path, (base, layers) in ways.items()}


def _inputs(network: Network, image: np.ndarray, found: convolution.Convolution) -> np.ndarray:
    """(h, w, c) float32: what the convolution takes in, where no layer made it."""
    key, pixels = network.seen(image)
    if found.source == INPUT:
        return network.prepare(pixels)[0]
    about = ("taken in", key, found.path)
    known = network.memory.get(about)
    if known is None:
        known = network.memory.put(
            about, convolution.taken_in(network, network.prepare(pixels), found.path)[0]
        )
    return known


def _lines(network, found, sums, bias, recorded, unit):
    """Each map from the sum on, read from the network's own run but for what stands before its activation function."""
    inside = found.activation != "linear"
    before = sums + np.float32(bias) if inside else recorded[found.path][..., unit]
    yield Line(found.path, "bias", "", before)
    if inside:
        yield Line(found.path, "activation", found.activation, recorded[found.path][..., unit])
    for path in found.after:
        values = recorded[path][..., unit]
        constants = convolution.normalization(network, path)
        if constants is not None:
            scale, shift = (float(each[unit]) for each in constants)
            yield Line(path, "normalization", "", values, scale, shift)
        else:
            yield Line(path, "activation", convolution.function_name(network, path), values)


def _check(found, before: np.ndarray, after: np.ndarray) -> None:
    """A layer may be a convolution by class and compute something else (scaled kernels, say): then nothing is shown."""
    expected = found.activate(before)
    if before.shape == after.shape and (expected is None or not np.isfinite(after).all()):
        return
    room = 2e-2 if found.operation.compute_dtype != "float32" else 1e-3
    if before.shape != after.shape or not np.allclose(
        expected, after, rtol=room, atol=room * float(np.abs(before).max())
    ):
        raise CnnvisError(
            f"Layer {found.path!r} puts out something else than its kernel and bias add up to, "
            "so it cannot be shown step by step."
        )
