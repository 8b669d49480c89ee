"""Every constant that a network adds on its way: biases, the shift of a batch normalization, a rescaling's offset.

They are found in the traced graph, as sums of which one side depends on the input and the other does not. So it does
not matter which layer adds them, or in which of its ways. Of a network of ReLUs it then holds exactly that
score = gradient . input + sum over constants of (gradient at the sum) . (constant).
"""

from __future__ import annotations

from cnnvis_widgets.networks.operations import tf

_SUMS = ("Add", "AddV2", "BiasAdd", "Sub")


def added_constants(inputs) -> list[tuple]:
    """(sum, constant) tensors of the graph that ``inputs`` lie in, in its order; a constant broadcasts to its sum."""
    varying = _downstream(inputs)
    found = []
    for operation in inputs.graph.get_operations():
        if operation.type not in _SUMS or not operation.outputs[0].dtype.is_floating:
            continue
        left, right = operation.inputs
        if (left.ref() in varying) == (right.ref() in varying):
            continue
        constant = left if right.ref() in varying else right
        if operation.type == "BiasAdd" and operation.get_attr("data_format") == b"NCHW":
            constant = tf.reshape(constant, (-1, *[1] * (len(operation.outputs[0].shape) - 2)))
        sign = -1 if operation.type == "Sub" and constant is right else 1
        found.append((operation.outputs[0], sign * constant))
    return found


def _downstream(tensor) -> set:
    """References to all tensors that depend on one, in value."""
    reached, open_ends = {tensor.ref()}, [tensor]
    while open_ends:
        for operation in open_ends.pop().consumers():
            if operation.type in ("Shape", "ShapeN", "Size", "Rank"):
                continue
            for output in operation.outputs:
                if output.ref() not in reached:
                    reached.add(output.ref())
                    open_ends.append(output)
    return reached
