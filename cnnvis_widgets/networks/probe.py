"""Run a network once and record what every layer puts out, and the gradient of a score at all of them.

The idea: the model is never cut apart, cloned or changed. While it is traced once inside a `tf.function`,
each layer's `call` is wrapped on the instance to remember its output; nested, Sequential, functional and
subclassed models are all the same to that. What a request does not ask for, TensorFlow prunes from the graph,
so a request for an early layer stops there.

With `ascent.py`, `relu_rules.py` and `biases.py` beside it, all that knows `tf.function` and automatic
differentiation.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnvis_widgets.errors import CnnvisError, MethodError, NetworkLoadError, UnknownLayerError
from cnnvis_widgets.networks.files import reason
from cnnvis_widgets.networks.graph import Graph, Trace, parameters_of
from cnnvis_widgets.networks.memory import give_back
from cnnvis_widgets.networks.quiet import start_tensorflow

start_tensorflow()  # before anything else imports it and fills the screen

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from cnnvis_widgets.networks import biases, channels, relu_rules, room  # noqa: E402

# Wrapping writes to layer instances, which two networks may share.
_TRACING = threading.RLock()

# Functions kept compiled; a person who looks at layers and sizes for hours would fill the memory with them.
COMPILED = 24

# For models that compute in float16 the goal is this much larger: the hw-th part of a small weight would be 0 there.
_FLOAT16_SCALE = 1024.0

# Arrays of a picture's size that a step of activation maximization holds at once: waves, picture, moves, slopes.
_PICTURES_OF_A_STEP = 20

# The path of the network's own input, wherever layers are named by paths.
INPUT = ""

# Which numbers ``weights`` weigh, ``of``: the scores before the head, the probabilities after it, or, as
# ("unit", path), the mean over space of each unit of a layer.
LOGITS, PROBABILITIES = ("logit", ""), ("probability", "")

# What may stand between a softmax and the model's output without changing which softmax it was.
_TRANSPARENT = ("Identity", "Cast", "Reshape", "Squeeze")
_WEIGHTS = tf.TensorSpec((None, None), tf.float32)
_VALUES = tf.TensorSpec((None, None, None, None), tf.float32)
_UNITS = tf.TensorSpec((None,), tf.int32)
_POSITIONS = tf.TensorSpec((None, 2), tf.int32)
_KEPT = tf.TensorSpec((None,), tf.bool)
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
        # Within what the model is traced: `randomized.py` puts other weights in the place of the model's own.
        self.traced_within: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext
        # Whether those are the model's own, which alone are known to the graph of the dry run.
        self.own_weights = True
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
            scores, head = before_head(outputs)
            recorded = tuple(Recorded(path, name, _static_shape(value)) for path, name, value in calls)
            found.append((recorded, head, int(scores.shape[-1]), self._trace_of(inputs, scores, calls)))

        with _TRACING:  # traced and thrown away: nothing is computed
            self._trace(look, self.input_shape)
        return found[0]

    @functools.cached_property
    def channels_first(self) -> frozenset[str]:
        """The paths of the calls that put out (c, h, w); they are recorded and changed as (h, w, c)."""
        parts = dict(_operations(self.model))
        found: list[frozenset[str]] = [frozenset()]

        def look(inputs):
            calls: list = []
            with recording(self.model, calls):
                self.model(inputs, training=False)
            found[0] = channels.put_first(inputs, calls, parts)

        if channels.any_first(parts.values()):
            with _TRACING:
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
        return Graph(self.calls, self.trace)

    @property
    def trace(self) -> Trace:
        """The TensorFlow graph of the dry run."""
        return self._dry_run[3]

    def _trace(self, function: Callable, shape: tuple[int, ...], *further: tf.TensorSpec) -> Callable:
        """A function of images of ``shape``, traced now."""
        signature = (tf.TensorSpec((None, *shape), tf.float32), *further)
        # No autograph, as Keras itself does without: it would put our sentences into a traceback's text.
        with self.errors_in_words(shape):
            return tf.function(function, input_signature=signature, autograph=False).get_concrete_function()

    @contextlib.contextmanager
    def errors_in_words(self, shape: tuple[int, ...]) -> Iterator[None]:
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

    def twin(self, traced_within: Callable[[], contextlib.AbstractContextManager]) -> Probe:
        """A probe of the same model, traced anew within a context: what is known of its layers is not asked again."""
        assert self.calls  # the dry run is shared
        other = copy.copy(self)
        other.traced_within, other._compiled, other.own_weights = traced_within, OrderedDict(), False
        return other

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

    def forward(
        self, inputs: np.ndarray, paths: Sequence[str], of: tuple[str, str] = LOGITS
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Scores before the head (n, classes) and the outputs of the layers at ``paths``, in one run."""
        self._check_room(inputs.shape, paths)
        run = self._function("forward", tuple(paths), inputs.shape[1:], of)
        with self.errors_in_words(inputs.shape[1:]):
            scores, values = run(tf.constant(inputs))
        return _array(scores), _arrays(paths, values)

    def backward(
        self,
        inputs: np.ndarray,
        weights: np.ndarray,
        paths: Sequence[str],
        of: tuple[str, str] = LOGITS,
        rule: str = "",
    ) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
        """All scores, the outputs of the layers at ``paths``, and the gradient of ``weights . scores`` there.

        weights: (n, classes) float32; a row of zeros stands for each image's own highest score. paths: `INPUT` among
        them asks for the images and the gradient with respect to them. rule: one of `relu_rules.RULES` in place of
        the true gradient of ReLU.
        """
        self._check_room(inputs.shape)
        run = self._function("backward", tuple(paths), inputs.shape[1:], of, rule)
        with self.errors_in_words(inputs.shape[1:]):
            scores, values, gradients = run(tf.constant(inputs), tf.constant(weights, tf.float32))
        return _array(scores), _arrays(paths, values), _arrays(paths, gradients)

    def forward_from(
        self, inputs: np.ndarray, path: str, values: np.ndarray, of: tuple[str, str] = LOGITS
    ) -> np.ndarray:
        """Scores (n, classes) where the layer at ``path`` puts out ``values`` (n, h, w, c), whatever it is given.

        inputs: (1, H, W, C), for what goes past that layer; what leads only to it is not computed.
        """
        run = self._function("forward_from", (path,), inputs.shape[1:], of)
        with self.errors_in_words(inputs.shape[1:]):
            return run(tf.constant(inputs), tf.constant(values, tf.float32)).numpy()

    def backward_from(
        self, inputs: np.ndarray, path: str, values: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """The gradient (n, h, w, c) of ``weights . scores`` at the layer at ``path`` where it puts out ``values``.

        As `forward_from`, and no further back than that layer: for the last ones far less than a run of the network.
        """
        run = self._function("backward_from", (path,), inputs.shape[1:])
        with self.errors_in_words(inputs.shape[1:]):
            return _array(run(tf.constant(inputs), tf.constant(values), tf.constant(weights, tf.float32)))

    def bias_terms(
        self, inputs: np.ndarray, weights: np.ndarray, of: tuple[str, str] = LOGITS
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """All scores, the gradient of ``weights . scores`` with respect to the images, and for each constant that
        the network adds, in order, (n, h, w, c) or (n, c): constant times the gradient where it is added."""
        run = self._function("bias_terms", (), inputs.shape[1:], of)
        with self.errors_in_words(inputs.shape[1:]):
            scores, gradient, terms = run(tf.constant(inputs), tf.constant(weights, tf.float32))
        return scores.numpy(), gradient.numpy(), [term.numpy() for term in terms]

    def unit_gradient(
        self, inputs: np.ndarray, path: str, units: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean activation (n,) of one unit per image, and its gradient with respect to the images (n, H, W, C)."""
        run = self._function("unit", (path,), inputs.shape[1:])
        with self.errors_in_words(inputs.shape[1:]):
            activations, gradients = run(tf.constant(inputs), tf.constant(units, tf.int32))
        return _array(activations), _array(gradients)

    def position_gradient(
        self, inputs: np.ndarray, path: str, units: np.ndarray, positions: np.ndarray
    ) -> np.ndarray:
        """The gradient (n, H, W, C) with respect to the images of one unit (n,) at one position (n, 2), (y, x) each."""
        run = self._function("position", (path,), inputs.shape[1:])
        with self.errors_in_words(inputs.shape[1:]):
            gradient = run(
                tf.constant(inputs), tf.constant(units, tf.int32), tf.constant(positions, tf.int32)
            )
        return _array(gradient)

    def ablated(self, inputs: np.ndarray, path: str, kept: np.ndarray) -> np.ndarray:
        """Scores (n, classes) where the units of one layer that are not ``kept``, (c,) bool, put out zero."""
        run = self._function("ablated", (path,), inputs.shape[1:])
        with self.errors_in_words(inputs.shape[1:]):
            return run(tf.constant(inputs), tf.constant(kept, tf.bool)).numpy()

    def _check_room(self, shape: tuple[int, ...], paths: Sequence[str] | None = None) -> None:
        """Refuse a run that cannot fit: forward, the layers at ``paths`` and two more; backward (None), all twice."""
        sizes = {call.path: 4 * math.prod(side or 1 for side in call.shape) for call in self.calls}
        if paths is None:
            needed = 2 * sum(sizes.values())
        else:
            needed = sum(sizes.get(path, 0) for path in paths) + 2 * max(sizes.values(), default=0)
        room.check(
            int(self._times_larger(shape) * needed),
            f"A run of {self.model.name} on {shape[0]} x {shape[1]}x{shape[2]} pixels",
            "load it with a smaller input_size, or close what else takes memory",
        )

    def check_climb(self, paths: Sequence[str], shape: tuple[int, ...], drawn: tuple[int, int]) -> None:
        """Refuse steps of activation maximization that cannot fit: forward up to the last of the layers and back, on
        pictures (n, H, W, C), drawn at a size of their own. Other paths stand for the whole network."""
        sizes = [4 * math.prod(side or 1 for side in call.shape) for call in self.calls]
        places = [place for place, call in enumerate(self.calls) if call.path in paths]
        last = places[-1] if places and set(paths) <= {call.path for call in self.calls} else len(sizes)
        pictures = shape[0] * max(math.prod(drawn), math.prod(shape[1:3])) * 3 * 4
        room.check(
            int(self._times_larger(shape) * sum(sizes[: last + 1])) + _PICTURES_OF_A_STEP * pictures,
            f"Drawing {shape[0]} pictures of {drawn[0]}x{drawn[1]} pixels for {self.model.name}",
            "ask for a smaller size or fewer units, or close what else takes memory",
        )

    def _times_larger(self, shape: tuple[int, ...]) -> float:
        """Than one picture of the size that the layers' sizes are known for."""
        own_height, own_width, _channels = self.input_shape
        return shape[0] * shape[1] * shape[2] / (own_height * own_width)

    def is_compiled(self, kind: str, paths: tuple[str, ...]) -> bool:
        """Whether a "forward" or "backward" run that records these layers needs no tracing any more."""
        how = {"forward": (LOGITS,), "backward": (LOGITS, "")}[kind]
        return (kind, paths, self.input_shape, how) in self._compiled

    def _function(self, kind: str, paths: tuple[str, ...], shape: tuple[int, ...], *how) -> Callable:
        kinds: dict[str, tuple[Callable, tuple]] = {
            "forward": (self._forward, ()),
            "backward": (self._backward, (_WEIGHTS,)),
            "forward_from": (self._forward_from, (_VALUES,)),
            "backward_from": (self._backward_from, (_VALUES, _WEIGHTS)),
            "bias_terms": (self._bias_terms, (_WEIGHTS,)),
            "unit": (self._unit, (_UNITS,)),
            "position": (self._position, (_UNITS, _POSITIONS)),
            "ablated": (self._ablated, (_KEPT,)),
        }
        build, further = kinds[kind]
        return self.compiled(
            (kind, paths, shape, how),
            lambda: self._trace(functools.partial(build, paths, *how), shape, *further),
        )

    def compiled(self, key: tuple, trace: Callable[[], Callable]) -> Callable:
        """The function kept under ``key``; where there is none it is traced now, under the lock."""
        with _TRACING:
            if key not in self._compiled:
                self._compiled[key] = trace()
                give_back()
                while len(self._compiled) > COMPILED:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(key)
            return self._compiled[key]

    def _forward(self, paths, of, inputs):
        outputs, calls = self._run(inputs)
        values = _select(calls, paths)
        return _scores(outputs, calls, of), [_float(value) for value in values]

    def _backward(self, paths, of, rule, inputs, weights):
        with relu_rules.rule(rule):
            outputs, calls = self._run(inputs)
        if rule and not relu_rules.any_relu(inputs.graph):
            raise MethodError(
                f"{self.model.name} has no ReLU, and {rule} differs from the gradient in nothing else; "
                "choose the gradient itself."
            )
        scores = _scores(outputs, calls, of)
        values = _select([(INPUT, "InputLayer", inputs), *calls], paths)
        return scores, [_float(value) for value in values], self._gradients(_goal(scores, weights), values)

    def _forward_from(self, paths, of, inputs, values):
        # As many images as values, so that what goes past the layer meets them one to one.
        images = tf.repeat(inputs, tf.shape(values)[0], axis=0)
        outputs, calls = self._run(images, {paths[0]: _instead(values)})
        return _scores(outputs, calls, of)

    def _backward_from(self, paths, inputs, values, weights):
        outputs, calls = self._run(inputs, {paths[0]: _instead(values)})
        return self._gradients(_goal(_scores(outputs, calls, LOGITS), weights), [values])[0]

    def _bias_terms(self, _paths, of, inputs, weights):
        outputs, calls = self._run(inputs)
        scores = _scores(outputs, calls, of)
        sums = biases.added_constants(inputs)
        slopes = self._gradients(_goal(scores, weights), [inputs, *(total for total, _ in sums)])
        first = (
            channels.put_first(inputs, [(t.name, "", t) for t, _ in sums], {}) if self.channels_first else ()
        )
        terms = []
        for slope, (total, constant) in zip(slopes[1:], sums, strict=True):
            term = slope * _float(constant)
            terms.append(channels.turned(term) if total.name in first else term)
        return scores, slopes[0], terms

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
        return _float(before_head(outputs)[0])

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
        first = self.channels_first
        with self.traced_within(), recording(self.model, calls, changes=changes, first=first):
            outputs = self.model(inputs, training=False)
        flat = tf.nest.flatten(outputs)
        if len(flat) != 1:
            raise NetworkLoadError(
                f"This network has {len(flat)} outputs and only one can be explained; "
                "make a keras.Model with the output you mean and load that."
            )
        return flat[0], calls


class Reached(BaseException):
    """All that was to be recorded is. Not an Exception: Keras and people's own layers catch those."""


@contextlib.contextmanager
def recording(
    model: keras.Model,
    calls: list,
    last: Collection[str] = (),
    dtype: str | None = None,
    changes: Mapping[str, Callable] | None = None,
    first: Collection[str] = (),
) -> Iterator[None]:
    """Within this context, each call of an operation of ``model`` appends (path, class name, output) to ``calls``.

    last: paths; when all of them are recorded, `Reached` is raised, so that what follows is not even traced, and
    models take images of other sizes than their own: what insists on a size stands behind. dtype: what layers of
    float32 compute in; their weights stay. changes: by path, what is put out there is changed by that function first.
    first: paths whose outputs have their channels first, and are recorded with them last.
    """
    policy = keras.DTypePolicy(f"mixed_{dtype}") if dtype else None
    missing = set(last)
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
            full = path if times == 1 else f"{path}#{times}"
            if full in first:
                outputs = channels.turned(outputs)
            if changes and full in changes:
                outputs = changes[full](outputs)
            calls.append((full, type(operation).__name__, outputs))
            missing.discard(full)
            if last and not missing:
                raise Reached
            return channels.turned_back(outputs) if full in first else outputs

        return call

    try:
        for path, operation in list(_operations(model)):
            if not isinstance(operation, keras.Model):
                replace(operation, "call", recorder(path, operation))
            elif last and hasattr(operation, "_assert_input_compatibility"):
                replace(operation, "_assert_input_compatibility", lambda *_given: None)
            if policy and getattr(getattr(operation, "_dtype_policy", None), "name", "") == "float32":
                replace(operation, "_dtype_policy", policy)
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


def before_head(outputs):
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


def _scores(outputs, calls, of: tuple[str, str]):
    """What weights weigh: (n, classes) or, of a layer's units, (n, c); float32."""
    kind, path = of
    if kind == "unit":
        value = _float(_select(calls, [path])[0])
        return tf.reduce_mean(value, axis=tuple(range(1, len(value.shape) - 1)))
    logits, head = before_head(outputs)
    logits = _float(logits)
    if kind == "logit":
        return logits
    if head == "sigmoid" or logits.shape[-1] == 1:
        return tf.sigmoid(logits)
    total = tf.reduce_sum(logits, axis=-1, keepdims=True)
    outside = tf.reduce_any((logits < 0) | (logits > 1), axis=-1, keepdims=True)
    are_already = (head == "none") & ~outside & (tf.abs(total - 1) < 5e-3)
    return tf.where(are_already, logits, tf.nn.softmax(logits))


def _goal(scores, weights):
    """The number that is differentiated; the images' goals are independent, so their sum serves all."""
    top = tf.one_hot(tf.argmax(scores, axis=-1), tf.shape(scores)[-1])
    unsaid = tf.reduce_all(tf.equal(weights, 0.0), axis=-1, keepdims=True)
    return tf.reduce_sum(scores * tf.where(unsaid, tf.stop_gradient(top), weights))


def _instead(values) -> Callable:
    """What a layer puts out becomes ``values``."""
    return lambda own: tf.cast(tf.ensure_shape(values, own.shape), own.dtype)


def _select(calls, paths: Sequence[str]) -> list:
    by_path = {path: value for path, _name, value in calls}
    missing = [path for path in paths if not tf.is_tensor(by_path.get(path))]
    if missing:
        raise UnknownLayerError(f"The network ran without putting out anything at {missing[0]!r}.")
    return [by_path[path] for path in paths]


def _array(tensor) -> np.ndarray:
    """The tensor's own memory, read-only; ``numpy()`` would copy, and a network's layers are hundreds of megabytes."""
    return np.asarray(memoryview(tensor))


def _arrays(paths: Sequence[str], tensors: Sequence) -> dict[str, np.ndarray]:
    return {path: _array(tensor) for path, tensor in zip(paths, tensors, strict=True)}


def _float(tensor):
    return tf.cast(tensor, tf.float32)


def _static_shape(value) -> tuple[int | None, ...]:
    return tuple(value.shape[1:]) if tf.is_tensor(value) and value.shape.rank is not None else ()
