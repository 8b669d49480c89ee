"""A network as a graph of its layers: which feeds which, how large each is, and what each can see of the picture.

The idea: the probe's dry run leaves a TensorFlow graph and the tensors that the layers put out; everything here is
read off that graph, so it is the same for functional, Sequential, nested and subclassed models. Nothing is run.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnvis_widgets.errors import UnknownLayerError, did_you_mean
from cnnvis_widgets.networks import linear_head, operations
from cnnvis_widgets.networks.fields import ReceptiveField

PICTURE = ""  # stands among a node's predecessors for the network's input


@dataclass(frozen=True)
class Trace:
    """What the dry run leaves: tensors of one TensorFlow graph."""

    inputs: Any
    scores: Any  # before the head, (n, classes)
    outputs: tuple[tuple[Any, ...], ...]  # of each recorded call
    parameters: tuple[int, ...]  # of each recorded call's layer


@dataclass(frozen=True)
class Node:
    """One call of one layer."""

    path: str
    type_name: str  # the Keras class: "Conv2D"
    shape: tuple[int | None, ...]  # of the output, without the batch
    # Paths of the calls that feed it, `PICTURE` for the input, in the network's order
    predecessors: tuple[str, ...]
    parameters: int  # of the layer; each call of a shared layer shows all of them
    field: ReceptiveField | None = field(repr=False)  # None where it is not known
    obstacle: str = ""  # then: the TensorFlow operation that is not understood


class Graph:
    """The recorded calls of a network and how they hang together.

    nodes: in the order in which they run. `node` gives one by its path.
    """

    def __init__(self, calls: Iterable, trace: Trace):
        self._trace = trace
        calls = tuple(calls)
        sources = _sources([call.path for call in calls], trace)
        picture = operations.picture_of(trace.inputs)
        self._seen = operations.see(trace.inputs.graph, {trace.inputs.name: picture})
        fields = [_field(outputs, self._seen, picture) for outputs in trace.outputs]
        self.nodes = tuple(
            Node(call.path, call.type_name, call.shape, before, parameters, *seen)
            for call, before, parameters, seen in zip(calls, sources, trace.parameters, fields, strict=True)
        )

    @functools.cached_property
    def _by_path(self) -> dict[str, Node]:
        return {node.path: node for node in self.nodes}

    def node(self, path: str) -> Node:
        """The call at a path. Raises `UnknownLayerError`."""
        if path not in self._by_path:
            raise UnknownLayerError(
                f"The network has no layer {path!r}; {did_you_mean(path, list(self._by_path))}"
            )
        return self._by_path[path]

    @functools.cached_property
    def _tail(self) -> dict[str, Any]:
        """The tensors of `linear_layers`, by path."""
        tail = {tensor.name for tensor in linear_head.linear_tail(self._trace.scores, set(self._seen))}
        return {
            node.path: outputs[0]
            for node, outputs in zip(self.nodes, self._trace.outputs, strict=True)
            if len(node.shape) == 3 and None not in node.shape and outputs[0].name in tail
        }

    @property
    def linear_layers(self) -> tuple[str, ...]:
        """Paths of the layers (h, w, c) of whose mean over space the scores are exactly an affine function.

        Such as the last feature maps before global average pooling and one Dense layer, and a Dropout that passes them
        on; in the order in which they run. Empty where the network ends in another way.
        """
        return tuple(self._tail)

    def linear_head(self, path: str) -> np.ndarray | None:
        r"""(c, classes) float32: the matrix W of such a layer, from the weights as they are now; None for other layers.

        .. math:: \mathrm{scores}_k = b_k + \sum_c W_{ck} \, \tfrac{1}{hw} \sum_{yx} A_{yxc}

        The gradient of score k at every position of unit c is W[c, k] / (h * w), which is Grad-CAM's weight.
        Raises `UnknownLayerError`.
        """
        layer = self._tail.get(self.node(path).path)
        return None if layer is None else linear_head.matrix(layer, self._trace.scores)


def _sources(paths: list[str], trace: Trace) -> list[tuple[str, ...]]:
    """The predecessors of each call: backwards through what was not recorded, up to what was."""
    makers: dict[str, list[int]] = {trace.inputs.name: [-1]}  # a tensor that a layer passes on has several
    found = []
    for number, outputs in enumerate(trace.outputs):
        for output in outputs:
            makers.setdefault(output.name, []).append(number)
    for number, outputs in enumerate(trace.outputs):
        before: set[int] = set()
        visited: set[str] = set()
        waiting = list(outputs)
        while waiting:
            tensor = waiting.pop()
            if tensor.name in visited:
                continue
            visited.add(tensor.name)
            earlier = [maker for maker in makers.get(tensor.name, ()) if maker < number]
            if earlier:
                before.add(max(earlier))
            elif tensor.op.type not in operations.NO_PICTURE:
                waiting.extend(tensor.op.inputs)
        found.append(tuple(PICTURE if maker < 0 else paths[maker] for maker in sorted(before)))
    return found


def _field(outputs: tuple, seen: dict, picture: operations.Seen) -> tuple[ReceptiveField | None, str]:
    """(field, "") of a call, or (None, what stood in the way)."""
    state = seen.get(outputs[0].name) if len(outputs) == 1 else "more than one output"
    try:
        if state is None or isinstance(state, str):
            raise operations.UnknownOperation(state or "no picture")
        return operations.field_of(state, (len(picture.y), len(picture.x))), ""
    except operations.UnknownOperation as error:
        return None, str(error)


def parameters_of(layer: Any) -> int:
    """How many numbers a layer has learned or keeps."""
    return sum(math.prod(weight.shape) for weight in getattr(layer, "weights", ()))
