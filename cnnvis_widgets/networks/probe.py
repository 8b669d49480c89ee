"""Run a network once and record what every layer puts out, and the gradient of a score at all of them.

The idea: the model is never cut apart, cloned or changed. While it is traced once inside a `tf.function`,
each layer's `call` is wrapped on the instance to remember its output; nested, Sequential, functional and
subclassed models are all the same to that. What a request does not ask for, TensorFlow prunes from the graph,
so a request for an early layer stops there.

This is the only file that knows `tf.function` and automatic differentiation.
"""

from __future__ import annotations

import contextlib
import functools
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnvis_widgets.errors import CnnvisError, NetworkLoadError, UnknownLayerError
from cnnvis_widgets.networks.files import reason
from cnnvis_widgets.networks.graph import Graph, Trace, parameters_of
from cnnvis_widgets.networks.quiet import start_tensorflow

start_tensorflow()  # before anything else imports it and fills the screen

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

# Wrapping writes to layer instances, which two networks may share.
_TRACING = threading.RLock()

# Functions kept compiled; a person who looks at layers and sizes for hours would fill the memory with them.
COMPILED = 24

# For models that compute in float16 the goal is this much larger: the hw-th part of a small weight would be 0 there.
_FLOAT16_SCALE = 1024.0

# What may stand between a softmax and the model's output without changing which softmax it was.
_TRANSPARENT = ("Identity", "Cast", "Reshape", "Squeeze")
_SCOPE_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
_HEADS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}


@dataclass(frozen=True)
class Recorded:
    """One call of one operation, in the order in which the network runs."""

    path: str
    type_name: str  # the Keras class: "Conv2D"
    shape: tuple[int | None, ...]  # of the output, without the batch


class Probe:
    """Everything that is computed by running one Keras model; results are NumPy float32 arrays.

    Functions are compiled once for each kind of request, set of layers and input size, and kept here, so
    they live and die with their network. Classes and units enter as tensors: another one never retraces.
    """

    def __init__(self, model: keras.Model, input_shape: tuple[int, int, int]):
        self.model = model
        self.input_shape = input_shape
        self.traces = 0  # how often a function was traced: tests and benchmarks count it
        self._compiled: OrderedDict[tuple, Callable] = OrderedDict()  # least recently used first

    @functools.cached_property
    def _dry_run(self) -> tuple[tuple[Recorded, ...], str, int, Trace]:
        """The recorded calls, the head that scores are taken before, the number of classes, and the traced graph."""
        found: list = []

        def look(inputs):
            if not self.model.built:  # Keras would build it amid the recorded run, by a run of its own
                self.model(inputs, training=False)
            outputs, calls = self._run(inputs)
            scores, head = _before_head(outputs)
            recorded = tuple(Recorded(path, name, _static_shape(value)) for path, name, value in calls)
            found.append((recorded, head, int(scores.shape[-1]), self._trace_of(inputs, scores, calls)))

        with _TRACING:  # traced and thrown away: nothing is computed
            self._trace(look, self.input_shape)
        return found[0]

    def _trace_of(self, inputs, scores, calls) -> Trace:
        sizes = {path: parameters_of(operation) for path, operation in _operations(self.model)}
        return Trace(
            inputs,
            scores,
            tuple(tuple(filter(tf.is_tensor, tf.nest.flatten(value))) for _path, _name, value in calls),
            tuple(sizes[path if path in sizes else path.rpartition("#")[0]] for path, _name, _value in calls),
        )

    @functools.cached_property
    def graph(self) -> Graph:
        """The layers as a graph, read off the dry run when it is first asked for."""
        return Graph(self.calls, self._dry_run[3])

    def _trace(self, function: Callable, shape: tuple[int, ...], *further: tf.TensorSpec) -> Callable:
        """A function of images of ``shape``, traced now."""
        signature = (tf.TensorSpec((None, *shape), tf.float32), *further)
        # No autograph, as Keras itself does without: it would put our sentences into a traceback's text.
        with self._errors_in_words(shape):
            return tf.function(function, input_signature=signature, autograph=False).get_concrete_function()

    @contextlib.contextmanager
    def _errors_in_words(self, shape: tuple[int, ...]) -> Iterator[None]:
        try:
            yield
        except CnnvisError:
            raise
        except Exception as error:  # anything that a model's own code raises
            height, width, channels = shape
            raise NetworkLoadError(
                f"{self.model.name} cannot be run on images of {height}x{width} with {channels} channels: "
                f"{reason(error)}."
            ) from error

    @property
    def calls(self) -> tuple[Recorded, ...]:
        """Every operation that the network runs, in order, with its path and output shape."""
        return self._dry_run[0]

    @property
    def head(self) -> str:
        """What stood after the scores and was taken off: "softmax", "sigmoid" or "none"."""
        return self._dry_run[1]

    @property
    def classes(self) -> int:
        """The number of scores."""
        return self._dry_run[2]

    def forward(self, inputs: np.ndarray, paths: Sequence[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Scores before the head (n, classes) and the outputs of the layers at ``paths``, in one run."""
        run = self._function("forward", tuple(paths), inputs.shape[1:])
        with self._errors_in_words(inputs.shape[1:]):
            scores, values = run(tf.constant(inputs))
        return scores.numpy(), {path: value.numpy() for path, value in zip(paths, values, strict=True)}

    def backward(
        self, inputs: np.ndarray, weights: np.ndarray, paths: Sequence[str]
    ) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
        """All scores, the outputs of the layers at ``paths``, and the gradient of ``weights . scores`` there.

        weights: (n, classes) float32; a row of zeros stands for each image's own highest score.
        """
        run = self._function("backward", tuple(paths), inputs.shape[1:])
        with self._errors_in_words(inputs.shape[1:]):
            scores, values, gradients = run(tf.constant(inputs), tf.constant(weights, tf.float32))
        return (
            scores.numpy(),
            {path: value.numpy() for path, value in zip(paths, values, strict=True)},
            {path: value.numpy() for path, value in zip(paths, gradients, strict=True)},
        )

    def unit_gradient(
        self, inputs: np.ndarray, path: str, units: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean activation (n,) of one unit per image, and its gradient with respect to the images (n, H, W, C)."""
        run = self._function("unit", (path,), inputs.shape[1:])
        with self._errors_in_words(inputs.shape[1:]):
            activations, gradients = run(tf.constant(inputs), tf.constant(units, tf.int32))
        return activations.numpy(), gradients.numpy()

    def position_gradient(
        self, inputs: np.ndarray, path: str, units: np.ndarray, positions: np.ndarray
    ) -> np.ndarray:
        """The gradient (n, H, W, C) with respect to the images of one unit (n,) at one position (n, 2), (y, x) each."""
        run = self._function("position", (path,), inputs.shape[1:])
        with self._errors_in_words(inputs.shape[1:]):
            gradient = run(
                tf.constant(inputs), tf.constant(units, tf.int32), tf.constant(positions, tf.int32)
            )
        return gradient.numpy()

    def ablated(self, inputs: np.ndarray, path: str, kept: np.ndarray) -> np.ndarray:
        """Scores (n, classes) where the units of one layer that are not ``kept``, (c,) bool, put out zero."""
        run = self._function("ablated", (path,), inputs.shape[1:])
        with self._errors_in_words(inputs.shape[1:]):
            return run(tf.constant(inputs), tf.constant(kept, tf.bool)).numpy()

    def is_compiled(self, kind: str, paths: tuple[str, ...]) -> bool:
        """Whether a "forward" or "backward" run that records these layers needs no tracing any more."""
        return (kind, paths, self.input_shape) in self._compiled

    def _function(self, kind: str, paths: tuple[str, ...], shape: tuple[int, ...]) -> Callable:
        key = (kind, paths, shape)
        with _TRACING:
            if key not in self._compiled:
                further: tuple = ()
                build: Callable = self._forward
                if kind == "backward":
                    build, further = self._backward, (tf.TensorSpec((None, self.classes), tf.float32),)
                elif kind == "unit":
                    build, further = self._unit, (tf.TensorSpec((None,), tf.int32),)
                elif kind == "position":
                    units, positions = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((None, 2), tf.int32)
                    build, further = self._position, (units, positions)
                elif kind == "ablated":
                    build, further = self._ablated, (tf.TensorSpec((None,), tf.bool),)
                # Tracing happens here, under the lock; later calls only execute.
                self._compiled[key] = self._trace(functools.partial(build, paths), shape, *further)
                while len(self._compiled) > COMPILED:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(key)
            return self._compiled[key]

    def _forward(self, paths, inputs):
        outputs, calls = self._run(inputs)
        return tf.cast(_before_head(outputs)[0], tf.float32), [
            _float(value) for value in _select(calls, paths)
        ]

    def _backward(self, paths, inputs, weights):
        outputs, calls = self._run(inputs)
        scores = tf.cast(_before_head(outputs)[0], tf.float32)
        top = tf.one_hot(tf.argmax(scores, axis=-1), self.classes)
        unsaid = tf.reduce_all(tf.equal(weights, 0.0), axis=-1, keepdims=True)
        goal = tf.reduce_sum(scores * tf.where(unsaid, tf.stop_gradient(top), weights))
        values = _select(calls, paths)
        return scores, [_float(value) for value in values], self._gradients(goal, values)

    def _unit(self, paths, inputs, units):
        _outputs, calls = self._run(inputs)
        (value,) = (_float(value) for value in _select(calls, paths))
        means = tf.reduce_mean(value, axis=tuple(range(1, len(value.shape) - 1)))
        activations = tf.gather(means, units, axis=1, batch_dims=1)
        return activations, self._gradients(tf.reduce_sum(activations), [inputs])[0]

    def _position(self, paths, inputs, units, positions):
        _outputs, calls = self._run(inputs)
        (value,) = (_float(value) for value in _select(calls, paths))
        chosen = tf.gather_nd(value, tf.concat([positions, units[:, None]], axis=1), batch_dims=1)
        return self._gradients(tf.reduce_sum(chosen), [inputs])[0]

    def _ablated(self, paths, inputs, kept):
        def silence(value):
            return tf.where(kept, value, tf.zeros((), value.dtype))  # a product would leave NaN and infinity

        outputs, calls = self._run(inputs, dict.fromkeys(paths, silence))
        _select(calls, paths)
        return _float(_before_head(outputs)[0])

    def _gradients(self, goal, values: list) -> list:
        """d goal / d value for each, in float32; zeros where nothing leads from the value to the goal."""
        parts = (operation for _path, operation in _operations(self.model))
        in_float16 = any(getattr(part, "compute_dtype", None) == "float16" for part in parts)
        scale = _FLOAT16_SCALE if in_float16 else 1.0
        gradients = tf.gradients(goal * scale, values)
        return [
            tf.zeros_like(_float(v)) if g is None else _float(g) / scale
            for v, g in zip(values, gradients, strict=True)
        ]

    def _run(self, inputs, changes: Mapping[str, Callable] | None = None):
        """Call the model while every operation's outputs are recorded: (output tensor, calls).

        changes: by path, a function that makes what the network goes on with of what the layer put out.
        """
        self.traces += 1
        calls: list[tuple[str, str, object]] = []
        with _recording(self.model, calls, changes or {}):
            outputs = self.model(inputs, training=False)
        flat = tf.nest.flatten(outputs)
        if len(flat) != 1:
            raise NetworkLoadError(
                f"This network has {len(flat)} outputs and only one can be explained; "
                "make a keras.Model with the output you mean and load that."
            )
        return flat[0], calls


@contextlib.contextmanager
def _recording(model: keras.Model, calls: list, changes: Mapping[str, Callable]) -> Iterator[None]:
    """Within this context, each call of an operation of ``model`` appends (path, class name, output) to ``calls``.

    What is put out at a path in ``changes`` is changed first.
    """
    seen: dict[str, int] = {}
    tracing = threading.get_ident()
    restore: list[Callable[[], None]] = []

    def replace(operation, attribute: str, value) -> None:
        # Past Keras's own __setattr__, which tracks what is set on a layer.
        if attribute in vars(operation):
            restore.append(
                functools.partial(object.__setattr__, operation, attribute, vars(operation)[attribute])
            )
        else:
            restore.append(functools.partial(object.__delattr__, operation, attribute))
        object.__setattr__(operation, attribute, value)

    def recorder(path: str, operation) -> Callable:
        original = operation.call

        @functools.wraps(original)
        def call(*args, **kwargs):
            outputs = original(*args, **kwargs)
            if threading.get_ident() != tracing:  # someone else uses the model meanwhile
                return outputs
            seen[path] = times = seen.get(path, 0) + 1
            # A shared layer is called more than once: each call has a path of its own.
            called = path if times == 1 else f"{path}#{times}"
            outputs = changes[called](outputs) if called in changes else outputs
            calls.append((called, type(operation).__name__, outputs))
            return outputs

        return call

    try:
        for path, operation in list(_operations(model)):
            if not isinstance(operation, keras.Model):
                replace(operation, "call", recorder(path, operation))
            if not _SCOPE_NAME.fullmatch(operation.name):
                # Names with spaces or in other scripts are fine for Keras, but not in a TensorFlow graph.
                replace(operation, "name", "layer")
        yield
    finally:
        for undo in reversed(restore):
            undo()


def _operations(model, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """(path, operation) for a model and everything that it runs, through nested models; each instance once."""
    seen = set() if seen is None else seen
    if id(model) in seen:
        return
    seen.add(id(model))
    yield path, model
    # Functional models have operations; Sequential and subclassed ones layers; a layer made of layers _layers.
    parts = (getattr(model, name, None) for name in ("operations", "layers", "_layers"))
    for operation in next(filter(None, parts), ()):
        yield from _operations(operation, f"{path}/{operation.name}" if path else operation.name, seen)


def _before_head(outputs):
    """The scores that a final softmax or sigmoid was given, found in the traced graph, and that head's name.

    Works however the head was written (a Dense activation, a layer, a Keras or TensorFlow function, inside a
    nested model) and changes nothing. With no such head the outputs are the scores.
    """
    scores, head, source = outputs, "none", outputs
    while source.op.type in _TRANSPARENT:
        source = source.op.inputs[0]
    if source.op.type in _HEADS:
        head = _HEADS[source.op.type]
        scores = tf.reshape(source.op.inputs[0], tf.shape(outputs))
        scores.set_shape(outputs.shape)
    if len(scores.shape) == 4:  # fully convolutional: the mean score over space
        scores = tf.reduce_mean(scores, axis=(1, 2))
    if len(scores.shape) != 2:
        raise NetworkLoadError(
            f"This network puts out an array of shape {tuple(outputs.shape)}; scores of shape (images, classes) "
            "are needed to say what it sees."
        )
    return scores, head


def _select(calls, paths: Sequence[str]) -> list:
    by_path = {path: value for path, _name, value in calls}
    missing = [path for path in paths if not tf.is_tensor(by_path.get(path))]
    if missing:
        raise UnknownLayerError(f"The network ran without putting out anything at {missing[0]!r}.")
    return [by_path[path] for path in paths]


def _float(tensor):
    return tf.cast(tensor, tf.float32)


def _static_shape(value) -> tuple[int | None, ...]:
    return tuple(value.shape[1:]) if tf.is_tensor(value) and value.shape.rank is not None else ()
