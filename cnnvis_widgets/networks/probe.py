"""Run a network once and record what every layer puts out, and the gradient of a score at all of them.

The idea: the model is never cut apart, cloned or changed; it is traced once inside a `tf.function`, while
`recording.py` notes what passes. What a request does not ask for, TensorFlow prunes from the graph, so a request for
an early layer stops there.

With `ascent.py`, `folding.py`, `relu_rules.py` and `biases.py` beside it, all that knows `tf.function` and automatic
differentiation.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnvis_widgets.errors import CnnvisError, MethodError, NetworkLoadError
from cnnvis_widgets.networks import biases, channels, relu_rules, room
from cnnvis_widgets.networks.files import reason
from cnnvis_widgets.networks.folding import into_convolution
from cnnvis_widgets.networks.graph import Graph, Trace, parameters_of
from cnnvis_widgets.networks.memory import give_back
from cnnvis_widgets.networks.recording import INPUT, TRACING, keras, operations_of, recording, select, tf
from cnnvis_widgets.networks.scores import LOGITS, as_float, before_head, goal_of, scores_of

# Functions kept compiled; a person who looks at layers and sizes for hours would fill the memory with them.
COMPILED = 24

# For models that compute in float16 the goal is this much larger: the hw-th part of a small weight would be 0 there.
_FLOAT16_SCALE = 1024.0

# Arrays of a picture's size that a step of activation maximization holds at once: waves, picture, moves, slopes.
_PICTURES_OF_A_STEP = 20

_WEIGHTS = tf.TensorSpec((None, None), tf.float32)
_VALUES = tf.TensorSpec((None, None, None, None), tf.float32)
_UNITS = tf.TensorSpec((None,), tf.int32)
_POSITIONS = tf.TensorSpec((None, 2), tf.int32)
_KEPT = tf.TensorSpec((None,), tf.bool)


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
            outputs, calls = self.run(inputs)
            scores, head = before_head(outputs)
            recorded = tuple(Recorded(path, name, _static_shape(value)) for path, name, value in calls)
            found.append((recorded, head, int(scores.shape[-1]), self._trace_of(inputs, scores, calls)))

        self.traced(look, self.input_shape)  # and thrown away: nothing is computed
        return found[0]

    @functools.cached_property
    def channels_first(self) -> frozenset[str]:
        """The paths of the calls that put out (c, h, w); they are recorded and changed as (h, w, c)."""
        parts = dict(operations_of(self.model))
        found: list[frozenset[str]] = [frozenset()]

        def look(inputs):
            calls: list = []
            with recording(self.model, calls):
                self.model(inputs, training=False)
            found[0] = channels.put_first(inputs, calls, parts)

        if channels.any_first(parts.values()):
            self.traced(look, self.input_shape)
        return found[0]

    def _trace_of(self, inputs, scores, calls) -> Trace:
        sizes = {path: parameters_of(operation) for path, operation in operations_of(self.model)}
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

    def traced(self, function: Callable, shape: tuple[int, ...], *further: tf.TensorSpec) -> Callable:
        """A function of images of ``shape``, traced now."""
        signature = (tf.TensorSpec((None, *shape), tf.float32), *further)
        # No autograph, as Keras itself does without: it would put our sentences into a traceback's text.
        with TRACING, self.errors_in_words(shape):
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
            lambda: self.traced(functools.partial(build, paths, *how), shape, *further),
        )

    def compiled(self, key: tuple, trace: Callable[[], Callable]) -> Callable:
        """The function kept under ``key``; where there is none it is traced now, under the lock."""
        with TRACING:
            if key not in self._compiled:
                self._compiled[key] = trace()
                give_back()
                while len(self._compiled) > COMPILED:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(key)
            return self._compiled[key]

    def _forward(self, paths, of, inputs):
        outputs, calls = self.run(inputs, {} if paths else self._folded)
        values = select(calls, paths)
        return scores_of(outputs, calls, of), [as_float(value) for value in values]

    def _backward(self, paths, of, rule, inputs, weights):
        with relu_rules.rule(rule):
            outputs, calls = self.run(inputs)
        if rule and not relu_rules.any_relu(inputs.graph):
            raise MethodError(
                f"{self.model.name} has no ReLU, and {rule} differs from the gradient in nothing else; "
                "choose the gradient itself."
            )
        if INPUT in paths:
            self._check_slope_at(inputs)
        scores = scores_of(outputs, calls, of)
        values = select([(INPUT, "InputLayer", inputs), *calls], paths)
        return (
            scores,
            [as_float(value) for value in values],
            self._gradients(goal_of(scores, weights), values),
        )

    def _check_slope_at(self, inputs) -> None:
        """Refuse what would be zero everywhere and look like an answer: the slope at pixels that become integers."""
        ways = inputs.consumers()
        if ways and all(way.type == "Cast" and way.outputs[0].dtype.is_integer for way in ways):
            raise MethodError(
                f"{self.model.name} takes whole numbers ({ways[0].outputs[0].dtype.name}), and through those no "
                "gradient leads back to the pixels; explain a layer (grad-cam), hide parts of the picture (occlusion), "
                "or give the model an input of float32."
            )

    @property
    def _folded(self) -> dict[str, Callable]:
        """Changes that bring the same scores in fewer steps, for runs that put out no layer.

        What layers put out must not depend, in its last digits, on what else was asked for with it.
        """
        normalizations = (call.path for call in self.calls if call.type_name == "BatchNormalization")
        return dict.fromkeys(normalizations, into_convolution)

    def _forward_from(self, paths, of, inputs, values):
        # As many images as values, so that what goes past the layer meets them one to one.
        images = tf.repeat(inputs, tf.shape(values)[0], axis=0)
        outputs, calls = self.run(images, self._folded | {paths[0]: _instead(values)})
        return scores_of(outputs, calls, of)

    def _backward_from(self, paths, inputs, values, weights):
        outputs, calls = self.run(inputs, {paths[0]: _instead(values)})
        return self._gradients(goal_of(scores_of(outputs, calls, LOGITS), weights), [values])[0]

    def _bias_terms(self, _paths, of, inputs, weights):
        outputs, calls = self.run(inputs)
        self._check_slope_at(inputs)
        scores = scores_of(outputs, calls, of)
        sums = biases.added_constants(inputs)
        slopes = self._gradients(goal_of(scores, weights), [inputs, *(total for total, _ in sums)])
        first = (
            channels.put_first(inputs, [(t.name, "", t) for t, _ in sums], {}) if self.channels_first else ()
        )
        terms = []
        for slope, (total, constant) in zip(slopes[1:], sums, strict=True):
            term = slope * as_float(constant)
            terms.append(channels.turned(term) if total.name in first else term)
        return scores, slopes[0], terms

    def _unit(self, paths, inputs, units):
        _outputs, calls = self.run(inputs)
        (value,) = (as_float(value) for value in select(calls, paths))
        means = tf.reduce_mean(value, axis=tuple(range(1, len(value.shape) - 1)))
        activations = tf.gather(means, units, axis=1, batch_dims=1)
        return activations, self._gradients(tf.reduce_sum(activations), [inputs])[0]

    def _position(self, paths, inputs, units, positions):
        _outputs, calls = self.run(inputs)
        (value,) = (as_float(value) for value in select(calls, paths))
        chosen = tf.gather_nd(value, tf.concat([positions, units[:, None]], axis=1), batch_dims=1)
        return self._gradients(tf.reduce_sum(chosen), [inputs])[0]

    def _ablated(self, paths, inputs, kept):
        def silence(value):
            return tf.where(kept, value, tf.zeros((), value.dtype))  # a product would leave NaN and infinity

        outputs, calls = self.run(inputs, dict.fromkeys(paths, silence))
        select(calls, paths)
        return as_float(before_head(outputs)[0])

    def _gradients(self, goal, values: list) -> list:
        """d goal / d value for each, in float32; zeros where nothing leads from the value to the goal."""
        parts = (operation for _path, operation in operations_of(self.model))
        in_float16 = any(getattr(part, "compute_dtype", None) == "float16" for part in parts)
        scale = _FLOAT16_SCALE if in_float16 else 1.0
        gradients = tf.gradients(goal * scale, values)
        return [
            tf.zeros_like(as_float(v)) if g is None else as_float(g) / scale
            for v, g in zip(values, gradients, strict=True)
        ]

    def run(
        self,
        inputs,
        changes: Mapping[str, Callable] | None = None,
        given: dict[str, Any] | None = None,
    ):
        """Call the model while every operation's outputs are recorded: (output tensor, calls). Within a function that
        is being `traced`. changes, given: see `recording`.
        """
        self.traces += 1
        calls: list[tuple[str, str, object]] = []
        first = self.channels_first
        with self.traced_within(), recording(self.model, calls, changes=changes, first=first, given=given):
            outputs = self.model(inputs, training=False)
        flat = tf.nest.flatten(outputs)
        if len(flat) != 1:
            raise NetworkLoadError(
                f"This network has {len(flat)} outputs and only one can be explained; "
                "make a keras.Model with the output you mean and load that."
            )
        return flat[0], calls


def _instead(values) -> Callable:
    """What a layer puts out becomes ``values``."""
    return lambda own: tf.cast(tf.ensure_shape(values, own.shape), own.dtype)


def _array(tensor) -> np.ndarray:
    """The tensor's own memory, read-only; ``numpy()`` would copy, and a network's layers are hundreds of megabytes."""
    return np.asarray(memoryview(tensor))


def _arrays(paths: Sequence[str], tensors: Sequence) -> dict[str, np.ndarray]:
    return {path: _array(tensor) for path, tensor in zip(paths, tensors, strict=True)}


def _static_shape(value) -> tuple[int | None, ...]:
    return tuple(value.shape[1:]) if tf.is_tensor(value) and value.shape.rank is not None else ()
