"""One step of activation maximization, compiled: picture, moves, network, gradient and optimizer in one graph.

The idea: what a step is made of is plain data, compared by value (`Climb`); equal ones share their compiled function.
All that changes from unit to unit and from step to step enters as tensors: indices, weights, the drawn moves, and the
size at which the network is shown a picture. So neither another unit of a layer nor another resolution traces again,
which for a network of 150 layers would take a second or two and some 60 MB. It is traced up to the layer, no further.

Like `probe.py`, beside which it lies, this file knows `tf.function` and automatic differentiation.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnvis_widgets.networks.memory import give_back
from cnnvis_widgets.networks.probe import Probe
from cnnvis_widgets.networks.recording import Reached, recording, tf
from cnnvis_widgets.networks.scores import before_head

SCORES = ""  # the path that stands for the scores before the head


@dataclass(frozen=True)
class Climb:
    """What a compiled step is made of: frozen dataclasses and tuples, written with `keras.ops`."""

    # .layers: paths, or (Other, path); .value(outputs by those, numbers) -> (n,); .slopes(numbers), where it knows them
    plan: Any
    parametrization: Any  # .picture(values, size, shown) -> (n, *shown, 3) in [0, 1]
    transforms: Any  # .apply(pictures, warp) -> pictures
    optimizer: Any  # .slots, .step(value, slots, gradient, count, rate) -> (value, slots)
    penalties: Any  # .value(pictures) -> (n,)
    size: tuple[int, int]  # that the values were started at
    view: tuple[int, int] | None = None  # that the network is shown, where it takes no picture of open size
    dtype: str = "float32"  # what its layers compute in


@dataclass(frozen=True)
class Colours:
    """How RGB in [0, 1] becomes the network's input: ``rgb @ matrix + offset``."""

    matrix: np.ndarray  # (3, C) float32
    offset: np.ndarray  # (C,) float32


@dataclass(frozen=True)
class Other:
    """Another network that is shown the same pictures, at its own input size; equal by network."""

    network: Any  # a `Network`
    colours: Colours = field(compare=False)

    def outputs(self, paths: tuple[str, ...], pictures) -> dict:
        """As `_outputs`, of pictures (n, h, w, 3) in [0, 1]."""
        size, probe = self.network.input_size, self.network.probe
        shown = tf.image.resize(pictures, size, antialias=True)
        inputs = tf.ensure_shape(
            tf.tensordot(shown, self.colours.matrix, 1) + self.colours.offset, (None, *probe.input_shape)
        )
        with probe.errors_in_words(probe.input_shape):
            return _outputs(probe, paths, inputs)


@dataclass(frozen=True)
class State:
    """Where pictures stand in their climb: tensors whose first axis is the pictures. Never changed, only followed."""

    values: tuple
    slots: tuple[tuple, ...]  # the optimizer's memory, for each of the values
    count: int = 0  # steps done


def begin(values: Sequence[np.ndarray], optimizer: Any) -> State:
    """The state before the first step, of values (n, ...) float32."""
    tensors = tuple(tf.constant(value, tf.float32) for value in values)
    return State(tensors, tuple((tf.zeros_like(value),) * optimizer.slots for value in tensors))


def some(state: State, rows: np.ndarray) -> State:
    """The state of some of the pictures."""
    return _each(lambda tensor: tf.gather(tensor, rows), state)


def put_back(state: State, rows: np.ndarray, part: State) -> State:
    """The state with these rows from ``part``, as many steps done."""
    places = tf.constant(rows[:, None])
    return _each(lambda whole, new: tf.tensor_scatter_nd_update(whole, places, new), state, part)


def step(
    probe: Probe,
    climb: Climb,
    state: State,
    numbers: Sequence[np.ndarray],
    warp: np.ndarray,
    colours: Colours,
    view: tuple[int, int],
    rate: float = 1.0,
    waking: bool = False,
) -> tuple[State, np.ndarray, np.ndarray]:
    """(the state after a step, the objective before it (n,), whether the network gave a gradient (n,) bool).

    numbers: the plan's; the first axis of each, where it has one, is the pictures. view: the size that the network is
    shown. rate: of the optimizer's own. waking: whether gradients pass through closed ReLUs.
    """
    given = (
        state.values,
        state.slots,
        (np.float32(state.count + 1), np.float32(rate), np.float32(waking)),
        tuple(numbers),
        (warp, colours.matrix, colours.offset, np.array(view, np.int32)),
    )
    run = _compiled(probe, climb, given, view)
    with probe.errors_in_words((*view, probe.input_shape[-1])):
        values, slots, reached, moved = run(*map(tf.convert_to_tensor, tf.nest.flatten(given)))
    if state.count == 0:
        give_back()  # what TensorFlow took to arrange the graph for its first run
    return State(tuple(values), tuple(map(tuple, slots)), state.count + 1), reached.numpy(), moved.numpy()


def measure(
    probe: Probe, plan: Any, numbers: Sequence[np.ndarray], inputs: np.ndarray, pictures: np.ndarray
) -> np.ndarray:
    """The objective (n,) on inputs (n, H, W, C) of the network, in float32, with no moves.

    pictures: the same as (n, H, W, 3) in [0, 1], for other networks that the plan reads.
    """
    given = (np.asarray(inputs, np.float32), np.asarray(pictures, np.float32), tuple(numbers))

    def look(inputs, pictures, *numbers):
        return plan.value(_all_outputs(probe, plan.layers, inputs, pictures), numbers)

    key = ("measure", plan, _shapes(given))
    with probe.errors_in_words(inputs.shape[1:]):
        run = probe.compiled(key, lambda: _traced(look, given))
        return run(*map(tf.convert_to_tensor, tf.nest.flatten(given))).numpy()


def draw(climb: Climb, state: State, shown: tuple[int, int]) -> np.ndarray:
    """The pictures (n, *shown, 3) float32 in [0, 1] of a state."""
    return climb.parametrization.picture(list(state.values), climb.size, shown).numpy()


@functools.cache
def bfloat16_pays() -> bool:
    """Whether this machine convolves clearly faster in bfloat16; measured once, in some hundredths of a second.

    Asking the processor's flags would not do: some emulate bfloat16, and TensorFlow's builds differ.
    """
    try:
        image, kernel = tf.ones((4, 32, 32, 128)), tf.ones((3, 3, 128, 128))
        run = tf.function(lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"), autograph=False)
        seconds: dict[Any, list[float]] = {tf.float32: [], tf.bfloat16: []}
        for _round in range(6):  # the first one traces
            for dtype, kept in seconds.items():
                given = tf.cast(image, dtype), tf.cast(kernel, dtype)
                started = time.perf_counter()
                run(*given).numpy()
                kept.append(time.perf_counter() - started)
        return min(seconds[tf.bfloat16]) < 0.75 * min(seconds[tf.float32])
    except tf.errors.OpError:
        return False


def quickest_dtype(probe: Probe) -> str:
    """What the layers of a network should compute in.

    Depthwise convolutions are slower in bfloat16 on a CPU, and batch normalization goes to float32 and back: networks
    made of those stay in float32.
    """
    slow = ("DepthwiseConv2D", "SeparableConv2D", "BatchNormalization")
    plain = not any(call.type_name in slow for call in probe.calls)
    return "bfloat16" if plain and bfloat16_pays() else "float32"


def _each(function: Callable, *states: State) -> State:
    whole = [(state.values, state.slots) for state in states]
    values, slots = tf.nest.map_structure(function, *whole)
    return State(values, slots, states[-1].count)


def _compiled(probe: Probe, climb: Climb, given: tuple, view: tuple[int, int]) -> Callable:
    def look(*flat):
        return _step(probe, climb, *tf.nest.pack_sequence_as(given, flat))

    def trace():
        with probe.errors_in_words((*view, probe.input_shape[-1])):
            return _traced(look, given)

    return probe.compiled(("ascent", climb, _shapes(given)), trace)


def _shapes(given: tuple) -> tuple:
    return tuple((len(np.shape(t)), *np.shape(t)[1:]) for t in tf.nest.flatten(given))


def _traced(function: Callable, given: tuple) -> Callable:
    """Traced for any number of pictures; warp, colours and view, which come last, keep their shape."""
    specs = [
        tf.TensorSpec((None, *np.shape(t)[1:]) if np.ndim(t) else (), tf.as_dtype(t.dtype))
        for t in tf.nest.flatten(given)
    ]
    return tf.function(function, input_signature=specs, autograph=False).get_concrete_function()


def _step(probe: Probe, climb: Climb, values, slots, pace, numbers, seeing):
    count, rate, waking = pace
    warp, matrix, offset, view = seeing
    channels = probe.input_shape[-1]
    shown = climb.view or tuple(tf.unstack(tf.ensure_shape(view, (2,))))
    with _opening_relus(waking):
        pictures = climb.parametrization.picture(list(values), climb.size, shown)
        # A tensor of its own, so that its gradient is the networks' alone: penalties know the pictures.
        seen = tf.identity(climb.transforms.apply(pictures, tf.ensure_shape(warp, (2, 3))))
        inputs = tf.tensordot(seen, tf.ensure_shape(matrix, (3, channels)), 1)
        inputs += tf.ensure_shape(offset, (channels,))
        inputs = tf.ensure_shape(inputs, (None, *(climb.view or (None, None)), channels))
        taps = _Taps(climb.plan.slopes(numbers)) if hasattr(climb.plan, "slopes") else None
        outputs = _all_outputs(probe, climb.plan.layers, inputs, seen, climb.dtype, taps)
        reached = climb.plan.value(outputs, numbers)
        goal = taps.goal() if taps else tf.reduce_sum(reached)
        goal -= tf.reduce_sum(climb.penalties.value(pictures))
        none = tf.UnconnectedGradients.ZERO
        *gradients, felt = tf.gradients(goal, [*values, seen], unconnected_gradients=none)
    after = [
        climb.optimizer.step(value, list(kept), gradient, count, rate)
        for value, kept, gradient in zip(values, slots, gradients, strict=True)
    ]
    return (
        [value for value, _ in after],
        [kept for _, kept in after],
        reached,
        tf.reduce_any(felt != 0, axis=(1, 2, 3)),
    )


def _all_outputs(
    probe: Probe,
    places: tuple,
    inputs,
    pictures,
    dtype: str = "float32",
    taps: _Taps | None = None,
) -> dict:
    """What a plan reads, by place: paths of the network itself, (Other, path) of others that see the same pictures."""
    own = tuple(place for place in places if isinstance(place, str))
    found = _outputs(probe, own, inputs, dtype, taps) if own else {}
    theirs: dict[Other, list[str]] = {}
    for place in places:
        if not isinstance(place, str):
            theirs.setdefault(place[0], []).append(place[1])
    for other, paths in theirs.items():
        outputs = other.outputs(tuple(paths), pictures)
        found |= {(other, path): value for path, value in outputs.items()}
    return found


def _outputs(
    probe: Probe, paths: tuple[str, ...], inputs, dtype: str = "float32", taps: _Taps | None = None
) -> dict:
    """What the layers at ``paths`` put out, in float32; the network is run no further than it must."""
    probe.traces += 1
    calls: list[tuple[str, str, Any]] = []
    other, first = None if dtype == "float32" else dtype, probe.channels_first
    if SCORES in paths:
        with recording(probe.model, calls, dtype=other, first=first):
            calls.append((SCORES, "", before_head(probe.model(inputs, training=False))[0]))
    else:
        changes = {path: functools.partial(taps.put_on, path) for path in paths} if taps else None
        with contextlib.suppress(Reached), recording(probe.model, calls, paths, other, changes, first):
            probe.model(inputs, training=False)
    found = {path: value for path, _name, value in calls}
    return {path: tf.cast(found[path], tf.float32) for path in paths}


class _Taps:
    """Where each layer's output passes, a place at which a known slope joins the gradient on its way back.

    The same as the gradient of a sum over all layers' means, without a second gradient of every layer's size for each.
    """

    def __init__(self, slopes: dict):
        self.slopes = slopes
        self.ends: list = []

    def put_on(self, path: str, output):
        graph = tf.compat.v1.get_default_graph()
        with graph.gradient_override_map({"IdentityN": "CnnvisTap"}):
            passed, end = tf.raw_ops.IdentityN(input=[output, self.slopes[path]])
        self.ends.append(end)
        return passed

    def goal(self):
        """What to differentiate: its way back leads through every tap."""
        graph = tf.compat.v1.get_default_graph()
        with graph.gradient_override_map({"IdentityN": "CnnvisEnds"}):
            first, *_others = tf.raw_ops.IdentityN(input=self.ends)
        return tf.reduce_sum(first)


def _tapped(operation, slope, _end):
    output, slopes = operation.inputs
    # Constants of one for all taps: a network of 100 layers has 100, and each operation of a graph takes memory.
    one, three, step, axis = _constants(operation.graph)
    pixels = tf.reduce_prod(tf.strided_slice(tf.shape(output), one, three, step), axis)
    share = slopes / tf.cast(pixels, tf.float32)
    return slope + tf.cast(share, output.dtype), None


def _constants(graph) -> list:
    kept = graph.get_collection_ref("cnnvis_constants")
    if not kept:
        kept += [tf.constant(value) for value in ([1], [3], [1], [0])]
    return kept


@contextlib.contextmanager
def _opening_relus(waking) -> Iterator[None]:
    """Within this, gradients pass through all ReLUs, open or closed, while ``waking`` is 1: so a unit that is off
    learns what wakes it.

    As in Lucid's redirected ReLU gradients, but for all ReLUs on the way, and only used while nothing else arrives.
    """
    graph = tf.compat.v1.get_default_graph()
    graph.get_collection_ref(_WAKING)[:] = [waking]
    with graph.gradient_override_map({"Relu": "CnnvisWakingRelu", "Relu6": "CnnvisWakingRelu6"}):
        yield


def _through(grad: Callable) -> Callable:
    """The gradient of a kind of ReLU: its own, or while it is waking all that arrives.

    A choice between two finished gradients: it copies nothing, and nothing waits in memory from the way forward.
    """

    def gradient(operation, slope):
        own = grad(gradients=slope, features=operation.outputs[0])
        waking = operation.graph.get_collection(_WAKING)[0]
        return tf.raw_ops.Select(condition=waking > 0, x=slope, y=own)

    return gradient


_WAKING = "cnnvis_waking"
with contextlib.suppress(KeyError):  # known already where this module is loaded again
    tf.RegisterGradient("CnnvisTap")(_tapped)
    # Any will do: none is used
    tf.RegisterGradient("CnnvisEnds")(lambda operation, *_slopes: list(operation.inputs))
    tf.RegisterGradient("CnnvisWakingRelu")(_through(tf.raw_ops.ReluGrad))
    tf.RegisterGradient("CnnvisWakingRelu6")(_through(tf.raw_ops.Relu6Grad))
