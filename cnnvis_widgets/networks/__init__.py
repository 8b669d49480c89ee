"""From a name, a file or a Keras model to a `Network`: a model made ready to be looked into.

Keras and TensorFlow are imported when the first network is loaded, not before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnvis_widgets.errors import NetworkLoadError, UnknownNetworkError, did_you_mean, listed, short

if TYPE_CHECKING:
    import keras
    import numpy as np

    from cnnvis_widgets.networks.network import Network

__all__ = ["load_network", "network_names"]


def network_names() -> tuple[str, ...]:
    """Every name that `load_network` knows: "bundled", then the classifiers of `keras.applications`."""
    from cnnvis_widgets.networks.zoo import ZOO

    return ("bundled", *(entry.name for entry in ZOO))


def load_network(
    source: str | Path | keras.Model | Network = "bundled",
    *,
    weights: str | Path | None = None,
    preprocess: Callable[[np.ndarray], np.ndarray] | None = None,
    class_names: Sequence[str] | None = None,
    input_size: tuple[int, int] | None = None,
    input: str | None = None,
    output: str | int | None = None,
    other_inputs: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    allow_code: bool = False,
    **options: Any,
) -> Network:
    """A network made ready to be looked into, from a name, a file or a Keras model.

    source: "bundled" (comes with the package, needs no download); a classifier of `keras.applications`, case,
        spaces, "-" and "_" ignored ("vgg16", "Inception V3", "densenet" for DenseNet121); the path of a
        ``.keras`` or ``.h5`` file, of Keras 2 too, of a ``.json`` file, or of a SavedModel's folder; a `keras.Model`,
        which is used as it is; or a `Network`, which is returned.
    weights: for a name of `keras.applications`: "imagenet" (the default; Keras downloads them once), the path
        of a local weights file, or "random" for an untrained network. For a ``.json`` file its weights file.
    preprocess: float32 RGB (n, H, W, 3) in [0, 255] -> the network's input; must not change its argument.
        Names bring their own; files and models get the values 0..255 as they are unless this is given.
    class_names: one for each output. Networks of `keras.applications` with 1000 outputs, from a file too, get
        ImageNet's; others "class 0", "class 1", ...
    input_size: (height, width), where the network leaves it open or another than its own is wanted.
    input, output: names, where a model has several: the input that takes the picture, the output that is looked at (its
        place will do). other_inputs: by name, what the others are given for each picture; zeros where nothing is said.
    custom_objects: by name, layers and functions of one's own that a file needs. allow_code: run Python code that came
        in a file (a Lambda layer), which is refused otherwise; only for files from people you trust.
    options: further arguments of the Keras constructor of a name, as in
        ``load_network("mobilenet", weights="mobilenet_quarter.h5", alpha=0.25)``.

    Raises `UnknownNetworkError` for a name that nothing goes by, `NetworkLoadError` for what cannot be
    loaded, each in one sentence.
    """
    from cnnvis_widgets.networks.quiet import start_tensorflow

    start_tensorflow()
    from cnnvis_widgets.networks import files, zoo
    from cnnvis_widgets.networks.input_size import checked_size
    from cnnvis_widgets.networks.network import Network
    from cnnvis_widgets.networks.sides import single

    given = {"preprocess": preprocess, "class_names": _names(class_names), "input_size": input_size}
    if isinstance(source, Network):
        if options or weights is not None or any(value is not None for value in given.values()):
            raise NetworkLoadError(
                f"{source.name} is a Network already and stays as it is; "
                "load_network(network.model, ...) makes another one of its model."
            )
        return source
    if input_size is not None:
        given["input_size"] = checked_size(input_size, "input_size", NetworkLoadError)
    if preprocess is not None and not callable(preprocess):
        raise NetworkLoadError(
            f"preprocess is a function from RGB 0..255 to the network's input; {short(preprocess)} was given."
        )
    if other_inputs is not None and not isinstance(other_inputs, Mapping):
        raise NetworkLoadError(
            f"other_inputs is a dictionary of what each input is given, by name; {short(other_inputs)} was given."
        )
    entry = zoo.find(source) if isinstance(source, str) else None
    named = entry is not None or (isinstance(source, str) and zoo.key_of(source) == "bundled")
    if named and (input is not None or output is not None or other_inputs):
        raise NetworkLoadError(
            f"{source} has one input and one output; leave out input=, output= and other_inputs=."
        )
    if entry is not None:
        return _from_zoo(entry, weights, options, **given)
    if options:
        raise NetworkLoadError(
            f"{', '.join(options)}: such options are for the names of keras.applications; "
            "load_network itself takes weights, preprocess, class_names, input_size, input, output, other_inputs, "
            "custom_objects and allow_code."
        )
    if isinstance(source, str) and zoo.key_of(source) == "bundled":
        return _bundled(weights, **given)
    if isinstance(source, str) and not files.looks_like_path(source):
        raise UnknownNetworkError(
            f"There is no network {source!r}; {did_you_mean(source, network_names())} "
            "The path of a .keras or .h5 file and a keras.Model work too."
        )
    if isinstance(source, (str, Path)):
        model, name = files.load_model_file(source, weights, custom_objects, allow_code), Path(source).stem
    elif weights is not None:
        raise NetworkLoadError(
            "weights= belongs to a name of keras.applications; a keras.Model brings its own "
            "(model.load_weights puts others into a model)."
        )
    else:
        model, name = _keras_model(source), None
    return _from_model(single(model, input, output, other_inputs), name, **given)


def _bundled(weights, preprocess, class_names, input_size) -> Network:
    from cnnvis_widgets.networks import bundled, channels, files
    from cnnvis_widgets.networks.network import Network

    if weights not in (None, "random"):
        raise NetworkLoadError(
            "The bundled network brings its own weights; leave out weights=, "
            'or say weights="random" for an untrained one.'
        )
    try:
        with channels.last():
            model = bundled.build(input_size or bundled.INPUT_SIZE)
    except ValueError as error:  # Keras, of a picture that its pools leave nothing of
        raise NetworkLoadError(
            f"The bundled network cannot look at pictures of {input_size}; give an input_size of 8x8 at least."
        ) from error
    if weights is None:
        try:
            bundled.load_weights(model)
        except Exception as error:  # a damaged archive raises BadZipFile, EOFError, KeyError, ValueError, ...
            raise NetworkLoadError(
                f"The bundled network's weights are missing or damaged ({files.reason(error)}); "
                "install cnnvis-widgets again."
            ) from error
    return Network(
        model,
        name="bundled",
        preprocess=preprocess or bundled.preprocess,
        class_names=bundled.CLASS_NAMES if class_names is None else class_names,
        input_size=input_size,
    )


def _from_zoo(entry, weights, options, preprocess, class_names, input_size) -> Network:
    from cnnvis_widgets.networks import channels, zoo
    from cnnvis_widgets.networks.classes import imagenet_classes
    from cnnvis_widgets.networks.network import Network

    if preprocess is None and not options.get("include_preprocessing", True):
        raise NetworkLoadError(
            f"{entry.name} with include_preprocessing=False needs preprocess=, "
            "a function from RGB 0..255 to its input."
        )
    with channels.last():
        model = zoo.build(entry, weights, input_size, options)
    if class_names is None and _outputs(model) == 1000:
        class_names = imagenet_classes()
    return Network(
        model,
        name=entry.name,
        preprocess=preprocess or zoo.preprocess(entry),
        class_names=class_names,
        input_size=input_size or (entry.size, entry.size),
    )


def _from_model(model: keras.Model, name: str | None, preprocess, class_names, input_size) -> Network:
    from cnnvis_widgets.networks.classes import imagenet_classes
    from cnnvis_widgets.networks.network import Network

    if class_names is None and _outputs(model) == 1000 and _is_from_zoo(model):
        class_names = imagenet_classes()
    return Network(
        model, name=name or model.name, preprocess=preprocess, class_names=class_names, input_size=input_size
    )


def _keras_model(source: object) -> keras.Model:
    import keras

    if isinstance(source, keras.Model):
        return source
    kind = f"{type(source).__module__}.{type(source).__qualname__}".removeprefix("builtins.")
    remedy = "give a name, a path or a keras.Model"
    if "keras" in kind:  # a model of Keras 2 (tf_keras), or a layer
        remedy = "give a keras.Model of Keras 3, or a model saved as an .h5 or .keras file"
    raise NetworkLoadError(f"A network cannot be made from a {kind}; {remedy}.")


def _is_from_zoo(model: keras.Model) -> bool:
    """Whether `keras.applications` made a model, going by the name that it gave it ("mobilenet_1.00_224")."""
    from cnnvis_widgets.networks import zoo

    name = zoo.key_of(model.name)
    return any(name.startswith(entry.key) for entry in zoo.ZOO)


def _outputs(model: keras.Model) -> int | None:
    """How many classes a model puts out, as far as it says so before it is run."""
    shape = getattr(model, "output_shape", None)
    return shape[-1] if isinstance(shape, tuple) and shape else None


def _names(class_names: Sequence[str] | None) -> tuple[str, ...] | None:
    if isinstance(class_names, str):
        raise NetworkLoadError(
            f"class_names must be a list with one name for each class, not the text {class_names!r}."
        )
    if class_names is None:
        return None
    return tuple(
        str(name) for name in listed(class_names, "class_names", "one name for each class", NetworkLoadError)
    )
