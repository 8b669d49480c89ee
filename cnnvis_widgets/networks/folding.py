"""A batch normalization as part of the convolution before it, for runs in which nobody looks between the two.

Keras runs it as a product and a sum, each of which reads and writes a whole layer: a quarter of the time of networks of
light convolutions. Both are found in the traced graph, so it does not matter who wrote the layers; what is not
asked for any more TensorFlow prunes.
"""

from __future__ import annotations

from cnnvis_widgets.networks.recording import tf

_CONVOLUTIONS = {"Conv2D": tf.raw_ops.Conv2D, "DepthwiseConv2dNative": tf.raw_ops.DepthwiseConv2dNative}
_SETTINGS = ("strides", "padding", "explicit_paddings", "data_format", "dilations")


def into_convolution(value):
    """The same as ``value``, which is scale * convolution + shift, by one convolution; any other ``value`` itself.

    scale * (kernel * x + bias) + shift = (scale * kernel) * x + (scale * bias + shift), to float32's rounding.
    """
    if not (total := _parts(value, "AddV2")) or not (product := _parts(total[0], "Mul")):
        return value
    (source, scale), shift = product, total[1]
    units = value.shape[-1]
    convolution, bias = _parts(source, "BiasAdd") or (source, None)
    operation = convolution.op
    per_unit = all(tuple(one.shape) in {(units,), (1, 1, 1, units)} for one in (scale, shift))
    known = operation.type in _CONVOLUTIONS and operation.get_attr("data_format") == b"NHWC"
    if not known or not per_unit or value.dtype != tf.float32:
        return value
    scale, shift = tf.reshape(scale, (units,)), tf.reshape(shift, (units,))
    images, kernel = operation.inputs
    # A depthwise kernel's units are (channel, multiplier), which is their order in the output too.
    sides = kernel.shape[2:] if operation.type == "DepthwiseConv2dNative" else (units,)
    settings = {name: operation.get_attr(name) for name in _SETTINGS}
    folded = _CONVOLUTIONS[operation.type](input=images, filter=kernel * tf.reshape(scale, sides), **settings)
    return tf.nn.bias_add(folded, shift if bias is None else scale * bias + shift)


def _parts(value, kind: str) -> tuple | None:
    """The two inputs of the operation that made a tensor, None where it is of another kind."""
    return tuple(value.op.inputs) if tf.is_tensor(value) and value.op.type == kind else None
