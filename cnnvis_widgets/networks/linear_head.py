"""Where the scores are an affine function of a layer's mean over space, and the matrix of that function.

The idea: backwards from the scores, operation after operation, as long as each is affine and treats all positions
alike; the layers met on the way are such layers. The matrix is what the same operations, run one by one, make of one
unit at a time. Grad-CAM's weights for class k are then exactly its column k, divided by the number of positions.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from cnnvis_widgets.networks import operations
from cnnvis_widgets.networks.quiet import start_tensorflow

start_tensorflow()

import tensorflow as tf  # noqa: E402

_SHAPED = ("Identity", "Reshape", "Squeeze", "ExpandDims", "Cast", "Transpose")
_SHIFTED = ("BiasAdd", "Add", "AddV2", "Sub")
_SCALED = ("Mul", "RealDiv")
_MIXED = ("MatMul", "BatchMatMulV2", "Conv2D")
_AVERAGED = ("Mean", "AvgPool")
# Arguments and attributes that `tf.raw_ops` calls by another name than the graph.
_RENAMED = {"reduction_indices": "axis", "dim": "axis"}
_ATTRIBUTES = {("Squeeze", "axis"): "squeeze_dims"}


def linear_tail(scores: Any, dependent: set[str]) -> list[Any]:
    """The tensors, last first, of which the scores are an affine function that treats all positions alike.

    dependent: the names of all tensors that depend on the picture.
    """
    tail = [scores]
    while (source := _only_source(tail[-1].op, dependent)) is not None:
        tail.append(source)
    while tail:
        wrong = _mixes_positions(tail)
        if wrong is None:
            return tail
        tail = tail[:wrong]
    return []


def matrix(layer: Any, scores: Any) -> np.ndarray | None:
    """(c, classes) float32: the scores for a map that is 1 in one unit and 0 in all others, without the constant part.

    layer: (n, h, w, c), one of the tensors of `linear_tail`. None where the network's code counts positions itself.
    """
    units = int(layer.shape[-1])
    # The mean of a constant map is itself
    fed = tf.reshape(tf.eye(units, dtype=layer.dtype), (units, 1, 1, units))
    try:
        values = _Replay(layer, fed).value(scores)
    except (ValueError, tf.errors.OpError, LookupError):
        return None
    return np.asarray(tf.cast(values, tf.float32))


def _only_source(op: Any, dependent: set[str]) -> Any:
    """The one input of an affine operation that depends on the picture; None where it is not affine."""
    sources = [place for place, tensor in enumerate(op.inputs) if tensor.name in dependent]
    if len(sources) != 1:
        return None
    affine = op.type in (*_SHAPED, *_SHIFTED) or (op.type == "Mul") or sources == [0]
    known = op.type in (*_SHAPED, *_SHIFTED, *_SCALED, *_MIXED, *_AVERAGED)
    source = op.inputs[sources[0]]
    return source if affine and known and source.dtype.is_floating else None


def _mixes_positions(tail: list[Any]) -> int | None:
    """How many tensors of a tail may stay, where its first ones, in the network's order, cannot; None where all can."""
    if tail[-1].shape.rank != 4 or None in tail[-1].shape.as_list()[1:]:
        return len(tail) - 1
    left = operations.picture_of(tail[-1])
    seen = operations.see(tail[-1].graph, {tail[-1].name: left})
    for place in range(len(tail) - 2, -1, -1):
        source, output = seen.get(tail[place + 1].name), seen.get(tail[place].name)
        if isinstance(source, str) or isinstance(output, str) or source is None or output is None:
            return len(tail) - 1
        if not _treats_positions_alike(tail[place].op, tail[place + 1].name, source, output):
            return place + 1
        left = output
    return len(tail) - 1 if any(map(_spatial, left.dims)) else None  # scores that are themselves a map


def _treats_positions_alike(op: Any, name: str, source: operations.Seen, output: operations.Seen) -> bool:
    if op.type in (*_SHIFTED, *_SCALED):
        # The constant of a batch normalization varies along the channels; one that varies over space would not do.
        constant = next(tensor for tensor in op.inputs if tensor.name != name).shape.as_list()
        pairs = zip(reversed(constant), reversed(output.dims), strict=False)
        return all(size == 1 or not _spatial(dim) for size, dim in pairs)
    if op.type == "Conv2D":
        return list(op.inputs[1].shape[:2]) == [1, 1] and set(op.get_attr("strides")) == {1}
    if op.type == "AvgPool":
        whole = list(op.inputs[0].shape[1:3]) == list(op.get_attr("ksize")[1:3])
        return whole and op.get_attr("padding") in (b"VALID", "VALID")
    if op.type in ("MatMul", "BatchMatMulV2"):
        return _spatial_names(source) == _spatial_names(output)  # no rows or columns were summed over
    return True


def _spatial(dim: operations.Dimension) -> bool:
    return any(name in ("y", "x") and n != 1 for name, n in dim)


def _spatial_names(seen: operations.Seen) -> list[str]:
    return sorted(name for dim in seen.dims for name, n in dim if name in ("y", "x") and n != 1)


class _Replay:
    """Runs single operations of a traced graph again, with the variables' values of today, from one tensor on."""

    def __init__(self, layer: Any, fed: Any):
        self._graph = layer.graph
        self._known = {layer.name: fed}
        self._fed = fed
        self._after = operations.see(self._graph, {layer.name: operations.picture_of(layer)})
        self._captured = {inner.name: outer for outer, inner in self._graph.captures}

    def value(self, tensor: Any) -> Any:
        if tensor.name not in self._known:
            self._known[tensor.name] = self._compute(tensor)
        return self._known[tensor.name]

    def _compute(self, tensor: Any) -> Any:
        op = tensor.op
        if op.type == "Placeholder":
            return self._captured[tensor.name]
        if op.type == "Const":
            return tf.constant(tf.get_static_value(tensor), tensor.dtype)
        on_the_way = [source for source in op.inputs if source.name in self._after]
        if op.type == "Shape" and op.inputs[0].name not in self._after:
            sizes = [len(self._fed) if n is None else n for n in op.inputs[0].shape.as_list()]
            return tf.constant(sizes, tensor.dtype)
        if on_the_way and op.type in _SHIFTED:  # the constant part
            value = self.value(on_the_way[0])
            return -value if op.type == "Sub" and on_the_way[0].name == op.inputs[1].name else value
        if op.type == "AvgPool":
            return tf.reduce_mean(self.value(op.inputs[0]), axis=(1, 2), keepdims=True)
        return self._run(op)[tensor.value_index]

    def _run(self, op: Any) -> list[Any]:
        run = getattr(tf.raw_ops, op.type)
        values = [self.value(source) for source in op.inputs]
        given: dict[str, Any] = {}
        for argument in op.op_def.input_arg:
            count = op.get_attr(argument.number_attr) if argument.number_attr else None
            value = values.pop(0) if count is None else [values.pop(0) for _ in range(count)]
            given[_RENAMED.get(argument.name, argument.name)] = value
        for name in inspect.signature(run).parameters:
            if name not in given and name != "name":
                given[name] = op.get_attr(_ATTRIBUTES.get((op.type, name), name))
        outputs = run(**given)
        return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
