"""What one TensorFlow operation makes of what its inputs see: the table behind `fields.py`.

The idea: a tensor is described by what its rows and columns see and by the dimensions along which they lie, so that
pictures with the channels first, flattened or seen as a list of positions are all the same to it. An operation that is
not in the table makes everything after it unknown; a field is never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from cnnvis_widgets.networks.fields import Axis, ReceptiveField, joined
from cnnvis_widgets.networks.quiet import start_tensorflow

start_tensorflow()

import tensorflow as tf  # noqa: E402


class UnknownOperation(Exception):
    """The arithmetic cannot go on; the argument names the TensorFlow operation."""


# One factor of a dimension: ("y" | "x" | "batch" | "", how many); "" are channels and the like, which all see the same.
Atom = tuple[str, "int | None"]
Dimension = tuple[Atom, ...]


@dataclass(frozen=True, eq=False)
class Seen:
    """What a tensor sees, and along which of its dimensions its rows and columns lie."""

    dims: tuple[Dimension, ...]
    y: Axis
    x: Axis
    # SpaceToBatchND put every so-many-th row and column into a batch of its own
    phases: tuple[int, int] = (1, 1)

    def axis(self, name: str) -> Axis:
        return self.y if name == "y" else self.x

    def with_axis(self, name: str, axis: Axis) -> Seen:
        return replace(self, y=axis) if name == "y" else replace(self, x=axis)

    def with_dim(self, place: int, dim: Dimension) -> Seen:
        return replace(self, dims=(*self.dims[:place], dim, *self.dims[place + 1 :]))

    def folded(self) -> Seen:
        """With rows that were repeated (reshaped from (y, times)) as one dimension of rows."""
        seen = self
        for place, dim in enumerate(self.dims):
            spatial = [name for name, _n in dim if name in ("y", "x")]
            if len(dim) > 1 and len(spatial) == 1 and dim[0][0] == spatial[0]:
                times = math.prod(n or 1 for _name, n in dim[1:])
                axis = seen.axis(spatial[0])
                reads = np.arange(len(axis) * times) // times
                axis = axis.move(reads, reads, Fraction(1, times))
                seen = seen.with_axis(spatial[0], axis).with_dim(place, ((spatial[0], len(axis)),))
        return seen


def _plain(size: int | None) -> Dimension:
    if size is None:
        raise UnknownOperation("a size that is not known")
    return () if size == 1 else (("", size),)


def _letter(dim: Dimension) -> str:
    """Which axis lies along a dimension: "y", "x" or "" (none)."""
    names = [name for name, _n in dim if name in ("y", "x")]
    if names and len(dim) > 1:
        raise UnknownOperation("rows and columns in one dimension")
    return names[0] if names else ""


def _union(states: Sequence[Seen], shape: Sequence[int | None]) -> Seen:
    """Tensors that meet position by position, broadcast as TensorFlow does, in a tensor of this shape."""
    states = [state.folded() for state in states] if len(states) > 1 else list(states)
    if len({state.phases for state in states}) > 1:
        raise UnknownOperation("BatchToSpaceND")
    dims: list[Dimension] = []
    for back, size in zip(range(len(shape), 0, -1), shape, strict=True):
        here = {state.dims[-back] for state in states if len(state.dims) >= back}
        wide = {dim for dim in here if any(name in ("y", "x") and n != 1 for name, n in dim)}
        if len(wide) > 1:
            raise UnknownOperation("rows that meet columns")
        marked = wide or {dim for dim in here if any(name for name, _n in dim) and size in (1, None)}
        dims.append(marked.pop() if marked else _plain(size))
    names = [name for dim in dims for name, _n in dim if name in ("y", "x")]
    if len(set(names)) < len(names):
        raise UnknownOperation("rows that meet columns")
    y, x = joined([state.y for state in states]), joined([state.x for state in states])
    return Seen(tuple(dims), y, x, states[0].phases)


# ---- the table: (operation, what each of its inputs sees, None where it is no picture) -> what its outputs see


def _elementwise(op, inputs):
    states = [state for state in inputs if state is not None]
    return [_union(states, _shape(output)) for output in op.outputs]


def _first_only(op, inputs):
    """Pointwise in the first input, along channels: batch normalization, local response normalization."""
    if any(inputs[1:]) or (op.type.startswith("FusedBatchNorm") and op.get_attr("is_training")):
        raise UnknownOperation(op.type)
    return [inputs[0]] + [None] * (len(op.outputs) - 1)


def _each_its_own(op, inputs):
    return list(inputs)


def _along_channels(op, inputs):
    """Softmax and the like, which mix the last dimension."""
    return [_reduced(inputs[0], [len(inputs[0].dims) - 1], keep=True, shape=_shape(op.outputs[0]))]


def _windows(op, inputs):
    """Convolutions and pooling."""
    seen = _data_only(op, inputs).folded()
    channels_first = op.get_attr("data_format") in (b"NCHW", "NCHW")
    places = (2, 3) if channels_first else (1, 2)
    attributes = op.node_def.attr
    strides = op.get_attr("strides")
    dilations = op.get_attr("dilations") if "dilations" in attributes else [1, 1, 1, 1]
    kernel = _window_size(op, places)
    for place, taps in zip(places, kernel, strict=True):
        letter = _letter(seen.dims[place])
        size = op.outputs[0].shape[place]
        if not letter:  # everything is seen from everywhere along it already
            seen = seen.with_dim(place, _plain(size))
            continue
        axis, stride, dilation = seen.axis(letter), strides[place], dilations[place]
        phase = seen.phases["yx".index(letter)]
        if phase > 1:
            if op.get_attr("padding") not in (b"VALID", "VALID") or stride > 1:
                raise UnknownOperation(op.type)
            dilation, count = dilation * phase, len(axis) - (taps - 1) * dilation * phase
        else:
            count = size
        reach = (taps - 1) * dilation
        first = np.arange(count) * stride - _padding(op, place, count, stride, reach, len(axis))
        axis = axis.move(first, first + reach, stride, dilation)
        seen = seen.with_axis(letter, axis).with_dim(place, ((letter, count),))
    channels = 1 if channels_first else 3
    return [seen.with_dim(channels, _plain(op.outputs[0].shape[channels]))]


def _window_size(op, places: tuple[int, int]) -> tuple[int, int]:
    if "ksize" in op.node_def.attr:
        ksize = op.get_attr("ksize")
        return ksize[places[0]], ksize[places[1]]
    height, width = op.inputs[1].shape[:2]
    return int(height), int(width)


def _padding(op, place: int, count: int, stride: int, reach: int, length: int) -> int:
    """Positions that are added before the first one."""
    padding = op.get_attr("padding")
    if padding in (b"EXPLICIT", "EXPLICIT"):
        return int(op.get_attr("explicit_paddings")[2 * place])
    if padding in (b"VALID", "VALID"):
        return 0
    return max((count - 1) * stride + reach + 1 - length, 0) // 2


def _transposed_windows(op, inputs):
    """Transposed convolution: position p is reached by all q with p = q * stride - padding + tap."""
    if any(inputs[:2]):
        raise UnknownOperation(op.type)
    seen = inputs[2].folded()
    if op.get_attr("data_format") not in (b"NHWC", "NHWC"):
        raise UnknownOperation(op.type)
    for place in (1, 2):
        letter, count = _letter(seen.dims[place]), op.outputs[0].shape[place]
        if not letter:
            seen = seen.with_dim(place, _plain(count))
            continue
        axis, stride = seen.axis(letter), op.get_attr("strides")[place]
        reach = (int(op.inputs[1].shape[place - 1]) - 1) * op.get_attr("dilations")[place]
        if op.get_attr("dilations")[place] > 1 and stride > 1:
            raise UnknownOperation(op.type)  # which taps meet would depend on the position
        at = np.arange(count) + _padding(op, place, len(axis), stride, reach, count)
        axis = axis.move(
            -((reach - at) // stride), at // stride, Fraction(1, stride), op.get_attr("dilations")[place]
        )
        seen = seen.with_axis(letter, axis).with_dim(place, ((letter, count),))
    return [seen.with_dim(3, _plain(op.outputs[0].shape[3]))]


def _resized(op, inputs):
    """Enlarging and reducing by interpolation; the weight of a pixel that is met exactly is 1, its neighbours' 0."""
    seen = _data_only(op, inputs).folded()
    half, corners = op.get_attr("half_pixel_centers"), op.get_attr("align_corners")
    for place in (1, 2):
        letter, count = _letter(seen.dims[place]), op.outputs[0].shape[place]
        if not letter or count is None:
            seen = seen.with_dim(place, _plain(count))
            continue
        axis = seen.axis(letter)
        length = len(axis)
        scale = Fraction(length - 1, count - 1) if corners and count > 1 else Fraction(length, count)
        if op.type == "ResizeNearestNeighbor":
            shift = Fraction(1, 2) if half or corners else Fraction(0)
            steps = [p + shift if half else p for p in range(count)]
            first = [math.floor(p * scale + (shift if corners else 0)) for p in steps]
            last = first
        else:
            at = [(p + Fraction(1, 2)) * scale - Fraction(1, 2) if half else p * scale for p in range(count)]
            first, last = [math.floor(place) for place in at], [math.ceil(place) for place in at]
        axis = axis.move(np.array(first), np.array(last), scale)
        seen = seen.with_axis(letter, axis).with_dim(place, ((letter, count),))
    return [seen]


def _blocks(op, inputs):
    """SpaceToDepth reads a block, DepthToSpace is read by one."""
    seen, block = _data_only(op, inputs).folded(), op.get_attr("block_size")
    if op.get_attr("data_format") not in (b"NHWC", "NHWC"):
        raise UnknownOperation(op.type)
    for place in (1, 2):
        letter, count = _letter(seen.dims[place]), op.outputs[0].shape[place]
        p = np.arange(count)
        if letter and op.type == "SpaceToDepth":
            axis = seen.axis(letter).move(p * block, p * block + block - 1, block)
        elif letter:
            axis = seen.axis(letter).move(p // block, p // block, Fraction(1, block))
        seen = seen.with_dim(place, ((letter, count),) if letter else _plain(count))
        seen = seen.with_axis(letter, axis) if letter else seen
    return [seen.with_dim(3, _plain(op.outputs[0].shape[3]))]


def _padded(op, inputs):
    seen, paddings = _data_only(op, inputs).folded(), _constant(op, 1)
    return [_padded_by(seen, paddings, _shape(op.outputs[0]), _mode(op))]


def _mode(op) -> str:
    return op.get_attr("mode").decode().lower() if op.type == "MirrorPad" else ""


def _padded_by(seen: Seen, paddings: np.ndarray, shape: Sequence[int | None], mode: str = "") -> Seen:
    """Rows and columns added, or cut off where a padding is negative."""
    for place, (before, after) in enumerate(paddings.tolist()):
        letter = _letter(seen.dims[place])
        if before == after == 0:
            continue
        if not letter:
            seen = seen.with_dim(place, _plain(shape[place]))
            continue
        axis = seen.axis(letter)
        at = np.arange(len(axis) + before + after) - before
        moved = axis.move(at, at, 1)
        if mode:  # "reflect" or "symmetric": what is there stands in for what is not
            mirror = np.pad(np.arange(len(axis)), (before, after), mode)  # type: ignore[call-overload]
            moved = replace(moved, low=axis.low[mirror], high=axis.high[mirror])
        seen = seen.with_axis(letter, moved).with_dim(place, ((letter, len(moved)),))
    return seen


def _into_phases(op, inputs):
    """SpaceToBatchND, put before a dilated convolution: rows stay together here, and the phase is noted."""
    seen, blocks, paddings = _data_only(op, inputs).folded(), _constant(op, 1), _constant(op, 2)
    if len(blocks) != 2 or [_letter(dim) for dim in seen.dims[1:3]] != ["y", "x"] or seen.phases != (1, 1):
        raise UnknownOperation(op.type)
    seen = _padded_by(seen, np.array([[0, 0], *paddings.tolist()]), ())
    return [replace(seen, phases=(int(blocks[0]), int(blocks[1])))]


def _out_of_phases(op, inputs):
    seen, blocks, crops = _data_only(op, inputs), _constant(op, 1), _constant(op, 2)
    if tuple(blocks.tolist()) != seen.phases:
        raise UnknownOperation(op.type)
    return [_padded_by(replace(seen, phases=(1, 1)), -np.array([[0, 0], *crops.tolist()]), ())]


def _reduce(op, inputs):
    rank = len(inputs[0].dims)
    places = sorted({int(place) % rank for place in np.atleast_1d(_constant(op, 1))})
    return [_reduced(_data_only(op, inputs), places, op.get_attr("keep_dims"), _shape(op.outputs[0]))]


def _reduced(seen: Seen, places: Iterable[int], keep: bool, shape: Sequence[int | None]) -> Seen:
    """What is left when all along some dimensions meet."""
    for place in sorted(places, reverse=True):
        for name, _n in seen.dims[place]:
            if name == "batch" or seen.phases != (1, 1):
                raise UnknownOperation("a mean over images")
            if name:
                seen = seen.with_axis(name, seen.axis(name).together())
        after = (_plain(shape[place]),) if keep else ()
        seen = replace(seen, dims=(*seen.dims[:place], *after, *seen.dims[place + 1 :]))
    return seen


def _matrix_product(op, inputs):
    """Dense layers: the last dimension is summed over."""
    seen = _data_only(op, inputs)
    turned = any(op.node_def.attr[name].b for name in ("transpose_a", "adj_x"))
    units = op.outputs[0].shape[-1]
    kernel = op.inputs[1].shape
    if turned or seen.phases != (1, 1) or len(kernel) != 2:
        raise UnknownOperation(op.type)
    if len(seen.dims) == 1:  # reshaped to sizes that are not known; the kernel's are
        length = kernel[1 if any(op.node_def.attr[name].b for name in ("transpose_b", "adj_y")) else 0]
        rest = list(seen.dims[0])
        seen = replace(seen, dims=(_take(rest, length, back=True), ())[::-1])
        seen = seen.with_dim(0, tuple(rest))
    last = len(seen.dims) - 1
    return [_reduced(seen, [last], keep=True, shape=[*[None] * last, units])]


def _reshaped(op, inputs):
    seen = _data_only(op, inputs)
    if seen.phases != (1, 1):
        raise UnknownOperation(op.type)
    return [
        replace(seen, dims=_regrouped([atom for dim in seen.dims for atom in dim], _shape(op.outputs[0])))
    ]


def _regrouped(atoms: list[Atom], shape: Sequence[int | None]) -> tuple[Dimension, ...]:
    """The same factors in dimensions of these sizes; in a single one where more than one size is not known."""
    if list(shape).count(None) != 1:
        return (tuple(atoms),)
    left = list(atoms)
    middle = list(shape).index(None)
    before = [_take(left, size) for size in shape[:middle]]
    after = [_take(left, size, back=True) for size in reversed(shape[middle + 1 :])]
    return (*before, tuple(left), *reversed(after))


def _take(atoms: list[Atom], size: int | None, back: bool = False) -> Dimension:
    """Remove factors that make up ``size`` from one end."""
    taken: list[Atom] = []
    while size is None or size > 1:
        name, n = atoms.pop(-1 if back else 0) if atoms else ("", None)
        if n is None or size is None:
            raise UnknownOperation("Reshape")
        if size % n == 0:
            taken.append((name, n))
            size //= n
        elif not name and n % size == 0:
            atoms.insert(len(atoms) if back else 0, ("", n // size))
            taken.append(("", size))
            size = 1
        else:
            raise UnknownOperation("Reshape")
    return tuple(reversed(taken) if back else taken)


def _transposed(op, inputs):
    seen = _data_only(op, inputs)
    return [replace(seen, dims=tuple(seen.dims[place] for place in _constant(op, 1).tolist()))]


def _repeated(op, inputs):
    """Tile and BroadcastTo, along dimensions where all see the same."""
    seen, shape = inputs[0], _shape(op.outputs[0])
    if len(seen.dims) != len(shape):
        raise UnknownOperation(op.type)
    for place, (old, new) in enumerate(zip(_shape(op.inputs[0]), shape, strict=True)):
        if old != new:
            if _letter(seen.dims[place]):
                raise UnknownOperation(op.type)
            seen = seen.with_dim(place, _plain(new))
    return [seen]


def _concatenated(op, inputs):
    if op.type == "ConcatV2":
        inputs, place = inputs[:-1], int(_constant(op, len(inputs) - 1))
    else:
        place = int(op.get_attr("axis"))
    states, shape = [state for state in inputs if state is not None], _shape(op.outputs[0])
    place %= len(shape)
    if op.type == "Pack":
        states = [replace(s, dims=(*s.dims[:place], (), *s.dims[place:])) for s in states]
    if any(_letter(state.folded().dims[place]) for state in states):
        raise UnknownOperation(op.type)
    return [
        _union(
            [state.folded().with_dim(place, ()) for state in states], [*shape[:place], 1, *shape[place + 1 :]]
        ).with_dim(place, _plain(shape[place]))
    ]


def _split(op, inputs):
    where = {"Split": 0, "SplitV": 2}.get(op.type)
    seen = inputs[1 if op.type == "Split" else 0]
    place = (int(op.get_attr("axis")) if where is None else int(_constant(op, where))) % len(seen.dims)
    if _letter(seen.dims[place]):
        raise UnknownOperation(op.type)
    if op.type == "Unpack":
        return [replace(seen, dims=(*seen.dims[:place], *seen.dims[place + 1 :]))] * len(op.outputs)
    return [seen.with_dim(place, _plain(output.shape[place])) for output in op.outputs]


def _gathered(op, inputs):
    seen, place = _data_only(op, inputs), int(_constant(op, 2)) % len(inputs[0].dims)
    shape = _shape(op.outputs[0])
    if _letter(seen.dims[place]) or len(shape) != len(seen.dims) or op.get_attr("batch_dims"):
        raise UnknownOperation(op.type)
    return [seen.with_dim(place, _plain(shape[place]))]


def _sliced(op, inputs):
    """x[a:b:step, ...] with all masks of StridedSlice."""
    seen = _data_only(op, inputs).folded()
    index = _index(op, len(seen.dims))
    dims, place = [], 0
    shape = iter(_shape(op.outputs[0]))
    for part in index:
        if part is None:
            dims.append(_plain(next(shape)))
            continue
        dim = seen.dims[place]
        place += 1
        letter = _letter(dim)
        size = None if isinstance(part, int) else next(shape)
        if letter:
            axis = seen.axis(letter)
            taken = np.atleast_1d(np.arange(len(axis))[part])
            step = part.step or 1 if isinstance(part, slice) else 1
            if step < 0 or not len(taken):
                raise UnknownOperation(op.type)
            seen = seen.with_axis(letter, axis.move(taken, taken, step))
            dim = ((letter, len(taken)),)
        elif not any(name == "batch" for name, _n in dim):
            dim = _plain(1 if size is None and isinstance(part, int) else size)
        if not isinstance(part, int):
            dims.append(dim)
    return [replace(seen, dims=tuple(dims))]


def _index(op, rank: int) -> list[Any]:
    """The Python index that a StridedSlice or Slice stands for: slices, whole numbers, None for a new dimension."""
    if op.type == "Slice":
        starts, sizes = _constant(op, 1).tolist(), _constant(op, 2).tolist()
        return [slice(a, None if n < 0 else a + n) for a, n in zip(starts, sizes, strict=True)]
    starts, stops, steps = (_constant(op, place).tolist() for place in (1, 2, 3))
    bit = {
        name: op.get_attr(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    index: list[Any] = []
    for i, (a, b, step) in enumerate(zip(starts, stops, steps, strict=True)):
        flag = {name: bool(mask >> i & 1) for name, mask in bit.items()}
        if flag["ellipsis"]:
            named = sum(not (bit["new_axis"] >> j & 1) for j in range(len(starts)) if j != i)
            index.extend([slice(None)] * (rank - named))
        elif flag["new_axis"]:
            index.append(None)
        elif flag["shrink_axis"]:
            index.append(int(a))
        else:
            index.append(slice(None if flag["begin"] else a, None if flag["end"] else b, step))
    return index + [slice(None)] * (rank - sum(part is not None for part in index))


def _called(op, inputs):
    """A function within the graph, as Keras makes of grouped convolutions: its body is walked through."""
    body = op.graph._get_function(op.get_attr("f").name).graph
    starts = {own.name: state for own, state in zip(body.inputs, inputs, strict=True) if state is not None}
    known = see(body, starts)
    outcomes = [known.get(output.name) for output in body.outputs]
    for outcome in outcomes:
        if isinstance(outcome, str):
            raise UnknownOperation(outcome)
    return outcomes


def _data_only(op, inputs) -> Seen:
    """The first input, where the others are weights and sizes."""
    if inputs[0] is None or any(state is not None for state in inputs[1:]):
        raise UnknownOperation(op.type)
    return inputs[0]


def _constant(op, place: int) -> np.ndarray:
    value = tf.get_static_value(op.inputs[place])
    if value is None:
        raise UnknownOperation(op.type)
    return np.asarray(value)


def _shape(tensor) -> list[int | None]:
    if tensor.shape.rank is None:
        raise UnknownOperation(tensor.op.type)
    return tensor.shape.as_list()


_POINTWISE = """
    Abs Acos Acosh Add AddN AddV2 Asin Asinh Atan Atan2 Atanh BiasAdd Cast Ceil CheckNumerics ClipByValue Cos Cosh Div
    DivNoNan Elu Equal Erf Erfc Erfinv Exp Expm1 Floor FloorDiv FloorMod Greater GreaterEqual Identity IsFinite IsInf
    IsNan LeakyRelu Less LessEqual Log Log1p LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod Mul MulNoNan Neg
    NotEqual Pow PreventGradient RealDiv Reciprocal Relu Relu6 Rint Round Rsqrt Select SelectV2 Selu Sigmoid Sign Sin
    Sinh Softplus Softsign Sqrt Square SquaredDifference StopGradient Sub Tan Tanh TruncateDiv Xdivy Xlogy
"""
_TABLE: dict[str, Callable] = {
    **dict.fromkeys(_POINTWISE.split(), _elementwise),
    **dict.fromkeys(("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "LRN"), _first_only),
    **dict.fromkeys(("Softmax", "LogSoftmax"), _along_channels),
    **dict.fromkeys(("Conv2D", "DepthwiseConv2dNative", "MaxPool", "AvgPool"), _windows),
    **dict.fromkeys(("ResizeBilinear", "ResizeNearestNeighbor"), _resized),
    **dict.fromkeys(("SpaceToDepth", "DepthToSpace"), _blocks),
    **dict.fromkeys(("Pad", "PadV2", "MirrorPad"), _padded),
    **dict.fromkeys(("Mean", "Sum", "Max", "Min", "Prod", "All", "Any"), _reduce),
    **dict.fromkeys(("MatMul", "BatchMatMulV2", "BatchMatMulV3"), _matrix_product),
    **dict.fromkeys(("Reshape", "Squeeze", "ExpandDims"), _reshaped),
    **dict.fromkeys(("Tile", "BroadcastTo"), _repeated),
    **dict.fromkeys(("ConcatV2", "Pack"), _concatenated),
    **dict.fromkeys(("Split", "SplitV", "Unpack"), _split),
    **dict.fromkeys(("StridedSlice", "Slice"), _sliced),
    **dict.fromkeys(("PartitionedCall", "StatefulPartitionedCall"), _called),
    "IdentityN": _each_its_own,
    "Conv2DBackpropInput": _transposed_windows,
    "SpaceToBatchND": _into_phases,
    "BatchToSpaceND": _out_of_phases,
    "Transpose": _transposed,
    "GatherV2": _gathered,
}
# They tell the size of a picture and nothing of what is in it.
NO_PICTURE = ("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike")


def see(graph: Any, known: dict[str, Seen]) -> dict[str, Seen | str]:
    """What every tensor of a TensorFlow graph sees, by name; the name of an operation where that is not known.

    known: what the graph's inputs see. Tensors that do not depend on those are left out.
    """
    seen: dict[str, Seen | str] = dict(known)
    for op in graph.get_operations():
        if op.type in NO_PICTURE:
            continue
        names = [tensor.name for tensor in op.inputs]
        if not any(name in seen for name in names):
            continue
        inputs = [seen.get(name) for name in names]
        unknown = next((state for state in inputs if isinstance(state, str)), None)
        try:
            if unknown is not None or op.type not in _TABLE:
                raise UnknownOperation(unknown or op.type)
            outcomes = _TABLE[op.type](op, inputs)
        except UnknownOperation as error:
            outcomes = [str(error)] * len(op.outputs)
        seen.update(
            (output.name, outcome)
            for output, outcome in zip(op.outputs, outcomes, strict=True)
            if outcome is not None
        )
    return seen


def picture_of(tensor) -> Seen:
    """What the network's input (n, H, W, C) sees: each pixel itself."""
    _batch, height, width, channels = tensor.shape.as_list()
    dims = ((("batch", None),), (("y", height),), (("x", width),), _plain(channels))
    return Seen(dims, Axis.of_picture(height), Axis.of_picture(width))


def field_of(seen: Seen, picture: tuple[int, int]) -> ReceptiveField:
    """The field of a layer (n, h, w, c); of all of it together where it has no height and width."""
    seen = seen.folded()
    y, x = seen.y, seen.x
    if len(seen.dims) == 4:
        if [_letter(dim) for dim in seen.dims[1:3]] not in (["y", "x"], ["", "x"], ["y", ""], ["", ""]):
            raise UnknownOperation("Transpose")
        heights = [math.prod(n or 1 for _name, n in dim) for dim in seen.dims[1:3]]
    else:
        y, x, heights = y.together(), x.together(), [1, 1]
    rows, columns = (
        np.broadcast_to(np.stack([axis.low, axis.high], axis=1), (length, 2))
        for axis, length in zip((y, x), heights, strict=True)
    )
    sizes = [float(axis.stop - axis.start + 1) for axis in (y, x)]
    jumps = [float(axis.jump) if len(axis) > 1 else 0.0 for axis in (y, x)]
    return ReceptiveField(
        (sizes[0], sizes[1]), (jumps[0], jumps[1]), (float(y.start), float(x.start)), rows, columns, picture
    )
