"""What a convolution is made of: its kernel and bias, what it takes in, and what follows up to a layer shown.

The model is run symbolically once while `recording.py` notes the tensor that each layer is given; one that is another
layer's output tells who stands before whom, however the model is built.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.networks.network import Network, kind_of
from cnnvis_widgets.networks.recording import INPUT, keras, operations_of, tf


@dataclass(frozen=True)
class Convolution:
    """One convolution of a network and the way from it to a layer that shows its result."""

    path: str
    kind: str  # "convolution", "depthwise" or "separable"
    source: str | None  # path of what it takes in; `INPUT`, or None where code outside any layer made that
    zeros: tuple[int, int, int, int]  # that a layer before it adds: above, below, left, right
    after: tuple[str, ...]  # paths of the normalizations and activations that follow, in order
    operation: Any  # the Keras layer

    @property
    def activation(self) -> str:
        """The name of the activation function inside the layer: "linear" where it has none."""
        return getattr(self.operation.activation, "__name__", type(self.operation.activation).__name__)

    @property
    def strides(self) -> tuple[int, int]:
        return tuple(self.operation.strides)

    @property
    def dilation(self) -> tuple[int, int]:
        return tuple(self.operation.dilation_rate)

    def unit(self, unit: int) -> tuple[np.ndarray, np.ndarray, float]:
        """The input channels (n,) that a unit looks at, its kernel (kh, kw, n) float32, and its bias.

        A separable convolution's two kernels are multiplied into the one that does the same.
        """
        layer = self.operation
        if self.kind == "depthwise":
            kernel = _array(layer.kernel)  # (kh, kw, c, multiplier)
            channel, copy = divmod(unit, kernel.shape[-1])
            channels, weights = np.array([channel]), kernel[:, :, channel : channel + 1, copy]
        elif self.kind == "separable":
            depthwise, pointwise = _array(layer.depthwise_kernel), _array(layer.pointwise_kernel)
            channels = np.arange(depthwise.shape[2])
            weights = np.einsum(
                "ijcm,cm->ijc", depthwise, pointwise[0, 0, :, unit].reshape(depthwise.shape[2:])
            )
        else:
            weights = _array(layer.kernel[..., unit])
            n = weights.shape[-1]  # channels of one group
            first = unit // (layer.filters // layer.groups) * n
            channels = np.arange(first, first + n)
        bias = float(_array(layer.bias)[unit]) if layer.use_bias else 0.0
        return channels, weights, bias

    def weights_of_channel(self, channel: int) -> np.ndarray:
        """One input channel's kernels (kh, kw, units) float32, zero for units that do not look at it."""
        layer = self.operation
        if self.kind == "separable":
            depthwise, pointwise = _array(layer.depthwise_kernel), _array(layer.pointwise_kernel)
            copies = depthwise.shape[-1]
            part = pointwise[0, 0, channel * copies : (channel + 1) * copies]  # (copies, units)
            return np.einsum("ijm,mu->iju", depthwise[:, :, channel], part)
        kernel = _array(layer.kernel)
        if self.kind == "depthwise":
            units = kernel.shape[2] * kernel.shape[3]
            found = np.zeros((*kernel.shape[:2], units), np.float32)
            first = channel * kernel.shape[3]
            found[..., first : first + kernel.shape[3]] = kernel[:, :, channel]
            return found
        group, within = divmod(channel, kernel.shape[2])
        size = layer.filters // layer.groups
        found = np.zeros((*kernel.shape[:2], layer.filters), np.float32)
        found[..., group * size : (group + 1) * size] = kernel[
            :, :, within, group * size : (group + 1) * size
        ]
        return found

    def activate(self, values: np.ndarray) -> np.ndarray | None:
        """What the activation function inside the layer makes of each value; None where it needs all units."""
        if "max" in self.activation:  # softmax, sparsemax
            return None
        return _array(self.operation.activation(tf.constant(values)))


def find_convolution(network: Network, path: str) -> Convolution:
    """The convolution at a path, or the one that a normalization or an activation there follows directly.

    Raises `CnnvisError` where there is none, or one that this project cannot take apart.
    """
    sources, operations = _wiring(network)
    after: list[str] = []
    here = network.layer(path).path
    while not isinstance(operations[_instance(here)], _KINDS):
        layer = operations[_instance(here)]
        source = sources.get(here)
        if isinstance(layer, keras.layers.Conv2DTranspose):
            raise CnnvisError(
                f"Layer {here!r} is a transposed convolution, which spreads each of its inputs over many places "
                "instead of summing up a patch; choose a convolution."
            )
        if kind_of(type(layer).__name__) not in ("activation", "normalization") or not source:
            raise CnnvisError(
                f"Layer {path!r} is no convolution and follows none directly; "
                "choose a convolution, or an activation or normalization behind one."
            )
        after.insert(0, here)
        here = source
    layer = operations[_instance(here)]
    if layer.data_format != "channels_last":
        raise CnnvisError(f"Layer {here!r} puts channels first; only channels last can be walked through.")
    kind = next(word for type_, word in _WORDS.items() if isinstance(layer, type_))
    source, zeros = sources.get(here), (0, 0, 0, 0)
    padding = operations[_instance(source)] if source else None
    if source and isinstance(padding, keras.layers.ZeroPadding2D) and sources.get(source) is not None:
        source, ((top, bottom), (left, right)) = sources[source], padding.padding
        zeros = (top, bottom, left, right)
    return Convolution(here, kind, source, zeros, tuple(after), layer)


def normalization(network: Network, path: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Batch normalization as it is after training: (scale, shift), each (units,): output = input * scale + shift.

    None for a layer that is something else.
    """
    layer = _wiring(network)[1][_instance(path)]
    if not isinstance(layer, keras.layers.BatchNormalization):
        return None
    scale = 1 / np.sqrt(_array(layer.moving_variance) + layer.epsilon)
    if layer.scale:
        scale = scale * _array(layer.gamma)
    shift = -_array(layer.moving_mean) * scale
    return scale, shift + _array(layer.beta) if layer.center else shift


def function_name(network: Network, path: str) -> str:
    """What people call the function of an activation layer: "relu6", "LeakyReLU"; else the layer's class."""
    layer = _wiring(network)[1][_instance(path)]
    if type(layer).__name__ == "ReLU" and not layer.negative_slope and not layer.threshold:
        return "ReLU" if layer.max_value is None else f"ReLU{layer.max_value:g}"
    return getattr(getattr(layer, "activation", None), "__name__", type(layer).__name__)


def way(network: Network, path: str) -> tuple[str, tuple[Any, ...]]:
    """(a layer worth recording, the layers from there to a path that are quicker called again than recorded)."""
    sources, operations = _wiring(network)
    layers: list[Any] = []
    while isinstance(operations[_instance(path)], _QUICK) and (source := sources.get(path)):
        layers.insert(0, operations[_instance(path)])
        path = source
    return path, tuple(layers)


def passed_through(layers: tuple[Any, ...], values: np.ndarray) -> np.ndarray:
    """What layers, one after the other, make of (h, w, c): float32."""
    for layer in layers:
        values = _array(layer(tf.constant(values[None]), training=False))[0]
    return values


def taken_in(network: Network, inputs: np.ndarray, path: str) -> np.ndarray:
    """What the layer at a path is given, (n, h, w, c) float32, for the network's own input (n, H, W, C)."""

    def look(images):
        given: dict[str, Any] = {}
        network.probe.run(images, given=given)
        return tf.cast(given[path], tf.float32)

    return network.probe.traced(look, inputs.shape[1:])(tf.constant(inputs)).numpy()


_WORDS = {
    keras.layers.DepthwiseConv2D: "depthwise",
    keras.layers.SeparableConv2D: "separable",
    keras.layers.Conv2D: "convolution",
}
_KINDS = tuple(_WORDS)
_QUICK = (keras.layers.BatchNormalization, keras.layers.ZeroPadding2D)
_known: weakref.WeakKeyDictionary[Network, tuple[dict, dict]] = weakref.WeakKeyDictionary()


def _wiring(network: Network) -> tuple[dict[str, str | None], dict[str, Any]]:
    """(path of what each call takes in, by the call's path; the layer instances by theirs). Found once a network."""
    if network not in _known:
        found: list[dict[str, str | None]] = []

        def look(images):
            given: dict[str, Any] = {}
            _outputs, calls = network.probe.run(images, given=given)
            makers = {images.ref(): INPUT}
            for path, _name, value in calls:
                if tf.is_tensor(value):
                    makers.setdefault(value.ref(), path)  # a layer that changes nothing is not the maker
            shown = {path for path in makers.values() if path == INPUT or _has_maps(network, path)}
            sources = {path: makers.get(t.ref()) for path, t in given.items() if tf.is_tensor(t)}
            found.append({path: source if source in shown else None for path, source in sources.items()})

        network.probe.traced(look, network.probe.input_shape)
        _known[network] = found[0], dict(operations_of(network.model))
    return _known[network]


def _has_maps(network: Network, path: str) -> bool:
    try:
        return bool(network.layer(path))
    except CnnvisError:
        return False


def _instance(path: str) -> str:
    """The path of the layer of which a path names one call."""
    return path.split("#")[0]


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor), np.float32)
