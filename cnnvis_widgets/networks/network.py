"""A Keras model made ready to be looked into: its input, its layers by path, its classes by name."""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import math
import operator
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnvis_widgets.errors import (
    CnnvisError,
    CnnvisWarning,
    NetworkLoadError,
    UnknownLayerError,
    did_you_mean,
    listed,
    number,
    short,
    whole,
)
from cnnvis_widgets.images import load_image, resize, sample_images
from cnnvis_widgets.networks.files import reason
from cnnvis_widgets.networks.graph import Graph
from cnnvis_widgets.networks.input_size import completed, own_input_shape
from cnnvis_widgets.networks.memory import Memory
from cnnvis_widgets.networks.preflight import Preflight, doubts, preflight
from cnnvis_widgets.networks.probe import Probe
from cnnvis_widgets.networks.signature import signature
from cnnvis_widgets.networks.targets import read_words, sum_in_words
from cnnvis_widgets.results import LayerInfo, Prediction, Target

if TYPE_CHECKING:
    import keras

_KINDS = {
    "convolution": ("Conv",),
    "activation": (
        "ReLU",
        "Activation",
        "ELU",
        "Softmax",
        "Sigmoid",
        "Silu",
        "Swish",
        "Gelu",
        "Selu",
        "Tanh",
    ),
    "merge": ("Add", "Concat", "Multiply", "Average", "Maximum", "Minimum", "Subtract", "Merge"),
    "pooling": ("Pool",),
    "normalization": ("Normalization",),
}
_SEEN_FIRST = ("convolution", "activation", "merge", "pooling")
# Kinds whose output may stand for what the network saw last; pools and the like only shrink it.
_EVIDENCE = ("convolution", "activation", "merge", "normalization")


def kind_of(type_name: str) -> str:
    """The word for a Keras class: "Conv2D" and "SeparableConv2D" are a "convolution", "ReLU" an "activation"."""
    if "Pool" in type_name:  # AveragePooling2D is no merge
        return "pooling"
    for kind, marks in _KINDS.items():
        if any(mark in type_name for mark in marks):
            return kind
    return "other"


class Network:
    """A Keras model and what is needed to feed it, name its parts and read its answers.

    model: a `keras.Model` with one image input and one output; it is used as it is, never cloned or changed.
    preprocess: float32 RGB (n, H, W, 3) in [0, 255] -> the model's input; None where the model takes those as
        they are. Must not modify its argument.
    class_names: one for each output; None gives "class 0", "class 1", ...
    input_size: (H, W); needed only where the model's own input leaves it open.

    Answers are remembered. After training or new weights they are computed again; that is noticed by a sample of the
    biases and normalization weights, so call `forget` where only other weights changed, or ``preprocess`` did.

    Raises `NetworkLoadError` where the model takes something other than one image, or cannot be run.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        name: str | None = None,
        preprocess: Callable[[np.ndarray], np.ndarray] | None = None,
        class_names: Sequence[str] | None = None,
        input_size: tuple[int, int] | None = None,
    ):
        if not hasattr(model, "weights"):
            raise NetworkLoadError(
                f"A Network is made of a keras.Model; {short(model)} was given. load_network takes names and paths."
            )
        self.model = model
        self.name = str(name or model.name)
        self.preprocess = preprocess
        own_height, own_width, self._channels = own_input_shape(model, preprocess)
        height, width = completed(model, (own_height, own_width), input_size)
        self.input_size = (height, width)
        self.fixed_size = None not in (own_height, own_width)
        self.probe = Probe(model, (height, width, self._channels))
        self.memory = Memory()
        if class_names is not None:
            class_names = tuple(map(str, listed(class_names, "class_names", "names", NetworkLoadError)))
        self._class_names = class_names
        # Runs the model symbolically: what cannot be used is refused now, not at the first picture
        _ = self.class_names
        self._watched = _some_vectors(model)
        self._weights_known = _fingerprint(self._watched)
        self._steady: set[int] = set()  # the threads that take the weights for unchanged
        # Shape and bytes of the last picture, then what `seen` said of it.
        self._last_seen: tuple[tuple[int, ...], bytes, tuple[bytes, np.ndarray]] = (
            (),
            b"",
            (b"", np.empty(0)),
        )

    def __repr__(self) -> str:
        height, width = self.input_size
        counts = f"{len(self.layers)} layers, {len(self.class_names)} classes"
        head = "no softmax or sigmoid" if self.head == "none" else self.head
        return f"<Network {self.name!r}: {height}x{width} input, {counts}, {head}>"

    @property
    def head(self) -> str:
        """What follows the scores: "softmax", "sigmoid", or "none", where the model's outputs are the scores."""
        return self.probe.head

    @property
    def graph(self) -> Graph:
        """How the layers hang together, and what each can see of the picture: ``graph.node(path).field``."""
        return self.probe.graph

    @functools.cached_property
    def class_names(self) -> tuple[str, ...]:
        """A name for each output of the network."""
        names = self._class_names
        if names is None:
            names = tuple(f"class {index}" for index in range(self.probe.classes))
        if len(names) != self.probe.classes:
            raise NetworkLoadError(
                f"{self.name} has {_counted(self.probe.classes, 'class', 'classes')} but "
                f"{_counted(len(names), 'class name was', 'class names were')} given; "
                "give one name for each class, in the order of the outputs."
            )
        return names

    @functools.cached_property
    def _every_map(self) -> tuple[LayerInfo, ...]:
        """Everything that puts out feature maps, normalization and padding too, in the order of the run."""
        found = []
        for call in self.probe.calls:
            match call.shape:
                case (int(h), int(w), int(c)) if call.type_name != "InputLayer":
                    found.append(LayerInfo(call.path, kind_of(call.type_name), (h, w, c), c))
        return tuple(found)

    @functools.cached_property
    def _by_path(self) -> dict[str, LayerInfo]:
        return {layer.path: layer for layer in self._every_map}

    @functools.cached_property
    def layers(self) -> tuple[LayerInfo, ...]:
        """The layers that a person wants to see first, in the order in which the network runs.

        Convolutions, activations, merges and pools; the default layer in any case. What lies between, such as
        batch normalization, can be named by its path all the same.
        """
        if not self._every_map:  # a graph in one piece
            return ()
        wanted = (*_SEEN_FIRST, self.default_layer.kind)
        return tuple(layer for layer in self._every_map if layer.kind in wanted)

    @functools.cached_property
    def default_layer(self) -> LayerInfo:
        """The last feature maps before global pooling, after merge and ReLU; never 1x1."""
        maps = [layer for layer in self._every_map if layer.shape[0] * layer.shape[1] > 1]
        evidence = [layer for layer in maps if layer.kind in _EVIDENCE]
        if not maps:
            in_one_piece = any(call.type_name == "TFSMLayer" for call in self.probe.calls)
            remedy = "; a SavedModel has no layers: give the Keras model that it was made from" * in_one_piece
            raise UnknownLayerError(
                f"{self.name} has no layer that puts out feature maps larger than 1x1, so there is nothing to look at"
                f"{remedy}."
            )
        return (evidence or maps)[-1]

    def layer(self, path: str | LayerInfo | None) -> LayerInfo:
        """The layer at a path; None gives the default one. Raises `UnknownLayerError`."""
        if path is None:
            return self.default_layer
        if isinstance(path, LayerInfo):
            path = path.path
        known = self._by_path
        if str(path) not in known:
            if any(call.path == path for call in self.probe.calls):
                raise UnknownLayerError(
                    f"Layer {path!r} of {self.name} puts out no feature maps (its output has no height and width); "
                    f"choose one that does, such as {self.default_layer.path!r}."
                )
            listed = [layer.path for layer in self.layers]
            raise UnknownLayerError(f"{self.name} has no layer {short(path)}; {did_you_mean(path, listed)}")
        return known[str(path)]

    def target(self, target: Any) -> Target:
        """What is to be explained, from however it is said. Raises `CnnvisError`.

        A class by index or name: its logit. A list of classes: their logits' sum. A dictionary of classes and
        weights: that combination, as in ``{"cat": 1, "dog": -1}``, what speaks for a cat rather than a dog, or
        ``{"cat": -1}``, what speaks against one. The same in words (see `targets.read_words`): "cat - dog", "!cat",
        "probability of cat", "unit 5 of conv2". A `Target`: itself; ``.probability`` of one is explained where a
        class's probability is meant, `unit` makes one of a layer's unit.
        """
        if isinstance(target, str) and (words := read_words(target, self.class_names)) is not None:
            if words.unit is not None:
                return self.unit(words.layer, words.unit)
            combined: dict = {}
            for one, weight in words.weights:
                combined[one] = combined.get(one, 0) + weight
            meant = self.target(combined)
            return meant.probability if words.probability else meant
        if isinstance(target, Target) and target.of == "unit":
            return self.unit(target.layer, target.index)
        if isinstance(target, Target):
            plain = self.target(dict(target.weights) or target.index)
            return plain if target.of == "logit" else plain.probability
        if isinstance(target, list | tuple | set):
            target = {self._class(one): 1 for one in target}
        if not isinstance(target, Mapping):
            index = self._class(target)
            return Target(index, self.class_names[index])
        if not target:
            raise CnnvisError("A target of several classes needs at least one of them.")
        weights = tuple(
            (self._class(one), number(weight, "The weight of a class", -math.inf))
            for one, weight in target.items()
        )
        if weights[0][1] == 1 and len(weights) == 1:
            return self.target(weights[0][0])
        return Target(weights[0][0], sum_in_words(self.class_names, weights), weights)

    def unit(self, layer: str | LayerInfo | None, index: int) -> Target:
        """A unit of a layer, its mean over space, to be explained in place of a class. Raises `CnnvisError`."""
        info = self.layer(layer)
        if not hasattr(index, "__index__") or not 0 <= operator.index(index) < info.units:
            raise CnnvisError(
                f"Layer {info.path!r} has units 0 to {info.units - 1}; {short(index)} was asked for."
            )
        return Target(operator.index(index), f"unit {index} of {info.path}", of="unit", layer=info.path)

    def _class(self, target: object) -> int:
        names = self.class_names
        if isinstance(target, str):
            if target not in names:
                raise CnnvisError(f"{self.name} has no class {target!r}; {did_you_mean(target, names)}")
            target = names.index(target)
        if isinstance(target, bool) or not hasattr(target, "__index__"):
            raise CnnvisError(f"A target is a class's index or name; {short(target)} was given.")
        try:
            index = operator.index(target)  # type: ignore[arg-type]
        except TypeError:  # an array
            raise CnnvisError(f"A target is a class's index or name; {short(target)} was given.") from None
        if not 0 <= index < len(names):
            raise CnnvisError(
                f"{self.name} has {_counted(len(names), 'class', 'classes')}, 0 to {len(names) - 1}; "
                f"{index} was asked for."
            )
        return index

    def aside(self, probe: Probe | None = None) -> Network:
        """The same network with a memory of its own: what is only tried takes nothing from what a person looks at.

        probe: what runs it, where that is not this network's own.
        """
        other = copy.copy(self)
        other.memory = Memory(self.memory.limit // 4)
        other._steady = set()
        other.probe = probe or self.probe
        return other

    def forget(self) -> None:
        """Drop all remembered answers: for when the model's weights, or what ``preprocess`` does, changed."""
        self.memory.clear()

    def notice_new_weights(self) -> None:
        """Forget everything where the weights are not what they were."""
        weights = _fingerprint(self._watched)
        if weights != self._weights_known:
            self.forget()
            self._weights_known = weights

    @contextlib.contextmanager
    def steady(self) -> Iterator[None]:
        """Within it this thread does not look for new weights again: what it asks there belongs together."""
        mine = threading.get_ident()
        if mine in self._steady:
            yield
            return
        self.notice_new_weights()
        known = self._weights_known
        self._steady.add(mine)
        try:
            yield
        finally:
            self._steady.discard(mine)
            # Where another thread has noticed meanwhile, what was put in since may be of before.
            if self._weights_known != known:
                self.forget()

    @functools.cached_property
    def preflight(self) -> Preflight:
        """Input size, colour order, value range and why, classes, memory: what to know before anything heavy."""
        return preflight(self)

    def check(self) -> str:
        """Run the sample photographs through the network. Returns, and warns of, what looks like wrong preprocessing.

        "" where nothing does. The warning is a `CnnvisWarning`.
        """
        found = doubts(self, sample_images().values())
        if found:
            warnings.warn(found, CnnvisWarning, stacklevel=2)
        return found

    def signature(self) -> str:
        """A short text for what this network computes: another one after training, the same in another kernel."""
        return signature(self)

    def seen(self, image: np.ndarray) -> tuple[bytes, np.ndarray]:
        """An RGB uint8 image as the network sees it, resized to ``input_size``, after its key for `memory`.

        Two photographs that look the same at that size share a key, and all answers. Read-only.
        """
        if threading.get_ident() not in self._steady:
            self.notice_new_weights()
        shape, content, seen = self._last_seen
        # Most questions are about the picture of the last one.
        if image.shape != shape or image.tobytes() != content:
            pixels = resize(image, self.input_size)
            pixels.setflags(write=False)
            seen = hashlib.blake2b(pixels.data, digest_size=16).digest(), pixels
            self._last_seen = (image.shape, image.tobytes(), seen)
        return seen

    def prepare(self, image: Any) -> np.ndarray:
        """The model's input (1, H, W, C) float32 for an image (all that `load_image` takes), the whole of it resized.

        Raises `ImageError`, and `CnnvisError` where ``preprocess`` fails or makes another shape.
        """
        inputs = resize(load_image(image), self.input_size).astype(np.float32)[None]
        if self.preprocess is not None:
            try:
                inputs = np.asarray(self.preprocess(inputs), np.float32)
            except Exception as error:  # a person's own function
                raise CnnvisError(
                    f"The preprocess of {self.name} failed ({type(error).__name__}: {reason(error)}); "
                    "it is given float32 RGB (n, H, W, 3) in [0, 255]."
                ) from error
        if inputs.shape[-1:] == (3,) and self._channels == 1:
            inputs = inputs @ np.array([[0.299], [0.587], [0.114]], np.float32)  # Rec. 601 luma
        if inputs.shape[1:] != self.probe.input_shape:
            raise CnnvisError(
                f"{self.name} takes inputs of shape {self.probe.input_shape}; its preprocess made {inputs.shape[1:]}."
            )
        return inputs

    def predict(self, image: Any, top: int = 5) -> list[Prediction]:
        """The ``top`` classes for an image (all that `load_image` takes), most probable first."""
        top, logits = whole(top, "top"), self.logits(image)
        return self.predictions(logits, strongest(logits, top))

    def predictions(self, logits: np.ndarray, classes: Iterable[int]) -> list[Prediction]:
        """What logits (classes,) say of some of the classes, in that order."""
        shares, names = self.probabilities(logits), self.class_names
        return [Prediction(int(i), names[i], float(shares[i]), float(logits[i])) for i in classes]

    def logits(self, image: Any) -> np.ndarray:
        """(classes,) float32, read-only: the scores before softmax or sigmoid, from memory where they are known.

        The outputs themselves where ``head`` is "none".
        """
        key, pixels = self.seen(load_image(image))
        known = self.memory.get(("logits", key))
        if known is None:
            known = self.memory.put(("logits", key), self.probe.forward(self.prepare(pixels), ())[0][0])
        return known

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Logits through the network's own head.

        A network without one is taken to mean softmax, unless its scores are probabilities already: in [0, 1], sum 1.
        """
        if self.head == "none" and logits.shape[-1] > 1 and _is_distribution(logits):
            return logits
        if self.head == "sigmoid" or logits.shape[-1] == 1:
            return 1.0 / (1.0 + np.exp(-logits))
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)


def strongest(logits: np.ndarray, top: int) -> list[int]:
    """The classes with the highest logits (classes,), highest first; of equal ones the first."""
    return np.argsort(-logits, kind="stable")[:top].tolist()


def check_network(network: object, verb: str) -> None:
    """Raise `CnnvisError` where ``verb`` was given a name or a model instead of a `Network`."""
    if not isinstance(network, Network):
        given = repr(network) if isinstance(network, str) else "model"
        kind = "" if isinstance(network, str) else f", not a {type(network).__name__}"
        raise CnnvisError(f"{verb} takes a Network{kind}; load_network({given}) makes one.")


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _is_distribution(scores: np.ndarray) -> bool:
    """Whether scores (..., classes) are probabilities; float16 sums to 1 within a thousandth or so."""
    return bool(
        (scores >= 0).all() and (scores <= 1).all() and (np.abs(scores.sum(axis=-1) - 1) < 5e-3).all()
    )


def _some_vectors(model: keras.Model, most: int = 16) -> list:
    """Weights that are small and that any training changes: biases and normalization, from all depths and the last."""
    vectors = [weight for weight in model.weights if len(weight.shape) == 1]
    places = np.linspace(0, len(vectors) - 1, min(most, len(vectors))).round().astype(int)
    return [vectors[place] for place in places]


def _fingerprint(weights: list) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for weight in weights:
        digest.update(np.ascontiguousarray(weight.numpy()).tobytes())
    return digest.digest()
