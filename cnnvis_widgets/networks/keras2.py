"""Networks saved by Keras 2, which Keras 3 mostly refuses: their description is JSON, so it is read and built anew.

The idea: each layer's settings go to the Keras 3 layer of the same name, without what only training needs; the calls
are made in the order in which they can be; each weight finds its layer by name. No code from the file is run.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from cnnvis_widgets.networks.hdf5 import names_in, read_array

_MODELS = ("Functional", "Model", "Network")
_RENAMED_CLASSES = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
}
_RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}}
# Of no effect on what a trained network answers.
_FOR_TRAINING = ("_initializer", "_regularizer", "_constraint")
_NEEDLESS = {
    "batch_input_shape",
    "build_input_shape",
    "fused",
    "groups",  # checked to be 1 where Keras 3 has no such setting
    "implementation",
    "input_dim",
    "input_shape",
    "optional",
    "rng_type",
}


def old_hard_sigmoid(x):
    """Keras 2's; what Keras 3 calls by that name is steeper no more: relu6(x + 3) / 6."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


_OLD_ACTIVATIONS = {"hard_sigmoid": old_hard_sigmoid}


def _slice(x, slice_spec):
    def part(one):
        return slice(one.get("start"), one.get("stop"), one.get("step")) if isinstance(one, dict) else one

    return x[tuple(map(part, slice_spec))]


# TensorFlow functions that stand amid layers, by the name in the file: (function, names of its further arguments).
_FUNCTIONS: dict[str, tuple[Callable, tuple[str, ...]]] = {
    **dict.fromkeys(("__operators__.add", "math.add"), (ops.add, ("y",))),
    **dict.fromkeys(("math.subtract", "__operators__.sub"), (ops.subtract, ("y",))),
    **dict.fromkeys(("math.multiply", "__operators__.mul"), (ops.multiply, ("y",))),
    **dict.fromkeys(("math.truediv", "math.divide", "__operators__.truediv"), (ops.divide, ("y",))),
    "math.maximum": (ops.maximum, ("y",)),
    "math.minimum": (ops.minimum, ("y",)),
    "clip_by_value": (ops.clip, ("clip_value_min", "clip_value_max")),
    "nn.relu": (ops.relu, ()),
    "nn.relu6": (ops.relu6, ()),
    "nn.elu": (ops.elu, ()),
    **dict.fromkeys(("nn.silu", "nn.swish"), (ops.silu, ())),
    **dict.fromkeys(("nn.sigmoid", "math.sigmoid"), (ops.sigmoid, ())),
    **dict.fromkeys(("nn.tanh", "math.tanh"), (ops.tanh, ())),
    "nn.softmax": (ops.softmax, ("axis",)),
    "math.abs": (ops.abs, ()),
    "math.exp": (ops.exp, ()),
    "math.negative": (ops.negative, ()),
    "math.sqrt": (ops.sqrt, ()),
    "math.square": (ops.square, ()),
    "math.reduce_max": (ops.max, ("axis", "keepdims")),
    "math.reduce_mean": (ops.mean, ("axis", "keepdims")),
    "math.reduce_sum": (ops.sum, ("axis", "keepdims")),
    "reshape": (ops.reshape, ("shape",)),
    "concat": (ops.concatenate, ("axis",)),
    "cast": (ops.cast, ("dtype",)),
    "__operators__.getitem": (_slice, ("slice_spec",)),
}


def build(config: Mapping[str, Any], custom_objects: Mapping[str, Any]) -> tuple[keras.Model, dict[int, str]]:
    """A Keras 3 model, weights still random, and by ``id`` the names that its layers have in the file.

    config: {"class_name": ..., "config": ...} as Keras 2 wrote it. Raises ValueError with the reason.
    """
    builder = _Builder(custom_objects)
    model = builder.layer(config)
    if not isinstance(model, keras.Model):
        raise ValueError(f"it holds a {config['class_name']}, not a network")
    return model, builder.names


class _Builder:
    def __init__(self, custom_objects: Mapping[str, Any]):
        self.custom_objects = custom_objects
        self.names: dict[int, str] = {}
        self._shared: dict[int, Any] = {}

    def layer(self, entry: Mapping[str, Any]) -> Any:
        """A layer or model for {"class_name", "config"}; the same one for the same "shared_object_id"."""
        shared = entry.get("shared_object_id")
        if shared is not None and shared in self._shared:
            return self._shared[shared]
        kind, config = entry["class_name"], entry["config"]
        if kind in _MODELS:
            made = self._functional(config)
        elif kind == "Sequential":
            made = self._sequential(config)
        else:
            made = self._plain(kind, config)
        if isinstance(config, dict) and "name" in config:
            self.names[id(made)] = config["name"]
        if shared is not None:
            self._shared[shared] = made
        return made

    def _plain(self, kind: str, config: Mapping[str, Any]) -> Any:
        kind = _RENAMED_CLASSES.get(kind, kind).rpartition(">")[2]
        custom = self.custom_objects.get(kind)
        if custom is not None:
            return custom.from_config(dict(config))
        if "Lambda" in kind:
            raise ValueError("unsafe: a Lambda layer holds arbitrary code")
        made_by = getattr(keras.layers, kind, None)
        if not (inspect.isclass(made_by) and issubclass(made_by, keras.layers.Layer)):
            raise ValueError(f"Could not locate class '{kind}'")
        return made_by(**self._settings(made_by, config))

    def _settings(self, made_by: type, config: Mapping[str, Any]) -> dict[str, Any]:
        known, settings = set(_parameters(made_by)), {}
        for name, value in config.items():
            name = _RENAMED.get(made_by.__name__, {}).get(name, name)
            if name.endswith(_FOR_TRAINING):
                continue
            if name not in known:
                if value and (name not in _NEEDLESS or (name == "groups" and value != 1)):
                    raise ValueError(f"{made_by.__name__} has no setting {name}={value!r} any more")
                continue
            if name == "name":
                value = safe_name(value)
            elif name == "dtype":
                value = _dtype(value)
            elif name.endswith("activation"):
                value = self._activation(value)
            elif name == "axis" and isinstance(value, list) and len(value) == 1:
                value = value[0]
            elif isinstance(value, dict) and "class_name" in value:  # the layer within a wrapper
                value = self.layer(value)
            settings[name] = value
        return settings

    def _activation(self, value: Any) -> Any:
        if isinstance(value, dict):
            if isinstance(value.get("config"), dict):
                return self.layer(value)
            value = value.get("config") or value["class_name"]
        if value is None or value in self.custom_objects:
            return value and self.custom_objects[value]
        try:
            return _OLD_ACTIVATIONS.get(value) or keras.activations.get(value)
        except ValueError:
            raise ValueError(f"Could not locate function '{value}'") from None

    def _sequential(self, config: Any) -> keras.Model:
        listed = config if isinstance(config, list) else config["layers"]
        given = {} if isinstance(config, list) else config
        model = keras.Sequential(name=safe_name(given.get("name")))
        for place, entry in enumerate(listed):
            if entry["class_name"] == "InputLayer":
                model.add(_input(entry["config"]))
                continue
            layer = self.layer(entry)
            if place == 0:
                settings = entry["config"] if isinstance(entry["config"], dict) else {}
                shape = settings.get("batch_input_shape") or getattr(layer, "input_shape", None)
                shape = shape or given.get("build_input_shape")
                if shape:
                    model.add(keras.Input(batch_shape=shape))
            model.add(layer)
        return model

    def _functional(self, config: Mapping[str, Any]) -> keras.Model:
        made: dict[str, Any] = {}
        tensors: dict[tuple[str, int], Any] = {}  # what each call of each layer puts out
        waiting = []
        for entry in config["layers"]:
            name = entry.get("name") or entry["config"]["name"]
            if entry["class_name"] == "InputLayer":
                tensors[name, 0] = _input(entry["config"])
                continue
            if entry["class_name"] in ("TFOpLambda", "SlicingOpLambda"):
                made[name] = _function(entry["config"]["function"])
            else:
                made[name] = self.layer(entry)
            first = int(isinstance(made[name], keras.Model))  # call 0 of a model is its own making
            waiting += [(name, first + index, node) for index, node in enumerate(entry["inbound_nodes"])]
        while waiting:
            left = [call for call in waiting if not _call(made, tensors, *call)]
            if len(left) == len(waiting):
                raise ValueError(f"its layer {left[0][0]} is fed by nothing")
            waiting = left
        inputs, outputs = (
            [_tensor(tensors, each) for each in _references(config[key])]
            for key in ("input_layers", "output_layers")
        )
        one_to_one = [side[0] if len(side) == 1 else side for side in (inputs, outputs)]
        return keras.Model(*one_to_one, name=safe_name(config.get("name")))


def _call(made: Mapping, tensors: dict, name: str, index: int, node: list) -> bool:
    """Make one call of a layer; False where what feeds it is not there yet."""
    flat = bool(node) and isinstance(node[0], str)  # how functions of TensorFlow are written
    entries = [node] if flat else node
    try:
        arguments = [_tensor(tensors, entry) for entry in entries]
        settings = entries[0][3] if entries and len(entries[0]) > 3 else {}
        settings = {key: _resolved(tensors, value) for key, value in settings.items()}
    except KeyError:
        return False
    settings = {
        key: value for key, value in settings.items() if value is not None and key not in ("name", "training")
    }
    outputs = made[name](arguments[0] if len(arguments) == 1 else arguments, **settings)
    if inspect.isfunction(made[name]):  # Keras would name it "multiply", as layers are named too
        outputs._keras_history.operation.name = safe_name(name)
    tensors[name, index] = outputs
    return True


def _tensor(tensors: Mapping, reference: list) -> Any:
    name, call, index = reference[:3]
    if name == "_CONSTANT_VALUE":
        return index
    return keras.tree.flatten(tensors[name, call])[index]


def _resolved(tensors: Mapping, value: Any) -> Any:
    """An argument, which may be another layer's output, written as ["name", 0, 0]."""
    is_reference = isinstance(value, list) and len(value) == 3 and isinstance(value[0], str)
    return _tensor(tensors, value) if is_reference else value


def _references(value: Any) -> Iterator[list]:
    """Each ["name", 0, 0] in what a file gives as inputs or outputs: one, a list, or a dictionary of them."""
    if isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str):
        yield value
        return
    for each in value.values() if isinstance(value, dict) else value:
        yield from _references(each)


def _function(name: str) -> Callable:
    if name not in _FUNCTIONS:
        raise ValueError(f"Could not locate function 'tf.{name}'")
    function, further = _FUNCTIONS[name]

    def call(x, **settings):
        if unknown := set(settings) - {*further, "x", "y"}:
            raise ValueError(f"tf.{name} with {', '.join(sorted(unknown))} is not known")
        first = [settings[key] for key in further if key in settings and key != "keepdims"]
        return function(x, *first, **{key: settings[key] for key in settings if key == "keepdims"})

    return call


def _input(config: Mapping[str, Any]) -> Any:
    shape = config.get("batch_input_shape") or config.get("batch_shape")
    return keras.Input(
        batch_shape=shape, dtype=_dtype(config.get("dtype")), name=safe_name(config.get("name"))
    )


def safe_name(name: str | None) -> str | None:
    """Keras 3 takes no "/" in a name: there it parts layers from the models that they lie in."""
    return name if name is None else str(name).replace("/", "_")


def _dtype(value: Any) -> Any:
    return value["config"]["name"] if isinstance(value, dict) else value


def _parameters(made_by: type) -> Iterator[str]:
    for parent in made_by.__mro__:
        if "__init__" in vars(parent):
            parameters = inspect.signature(vars(parent)["__init__"]).parameters.values()
            yield from (
                one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
            )
            if not any(one.kind is one.VAR_KEYWORD for one in parameters):
                return


def load_weights(group: Any, model: keras.Model, names: Mapping[int, str]) -> None:
    """Put the weights of an HDF5 group that Keras 2 wrote into the model that `build` made.

    Raises ValueError where they do not fit.
    """
    stored = {name: names_in(group[name], "weight_names") for name in names_in(group, "layer_names")}
    stored = {name: weights for name, weights in stored.items() if weights}
    layers = {names.get(id(layer), layer.name): layer for layer in model.layers if layer.weights}
    if len(stored) != len(layers):
        raise ValueError(
            f"it has weights for {len(stored)} layers, the network has {len(layers)} with weights"
        )
    if set(stored) != set(layers):  # named anew: Keras 2 then goes by their order
        layers = dict(zip(stored, layers.values(), strict=True))
    for name, weights in stored.items():
        variables = _by_name(layers[name], names, weights) or _in_order(layers[name])
        if len(variables) != len(weights):
            raise ValueError(
                f"it has {len(weights)} weights for the layer {name}, which takes {len(variables)}"
            )
        for variable, weight in zip(variables, weights, strict=True):
            variable.assign(_fitting(read_array(group[name], weight), variable, name))


def _by_name(layer: Any, names: Mapping[int, str], weights: list[str]) -> list | None:
    """The variables of a layer or nested model in the order of a file's names; None where names leave that open."""
    owned = {
        f"/{names.get(id(leaf), leaf.name)}/{variable.name}": variable
        for leaf in (layer, *layer._flatten_layers(include_self=False))
        if not isinstance(leaf, keras.Model)
        for variable in leaf.weights
    }
    found = []
    for weight in weights:
        path = "/" + weight.rpartition(":")[0] if ":" in weight else "/" + weight
        # The longest name that fits: "/block/conv/kernel" is rather of "block/conv" than of "conv".
        ends = [end for end in owned if path.endswith(end)]
        if not ends:
            return None
        found.append(owned[max(ends, key=len)])
    return found if len({id(variable) for variable in found}) == len(owned) == len(found) else None


def _in_order(layer: Any) -> list:
    return layer.trainable_weights + layer.non_trainable_weights


def _fitting(value: np.ndarray, variable: Any, layer: str) -> np.ndarray:
    if tuple(value.shape) != tuple(variable.shape):
        raise ValueError(
            f"a weight of the layer {layer} has the shape {value.shape}, and {tuple(variable.shape)} is needed"
        )
    return value
