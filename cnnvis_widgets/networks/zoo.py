"""The classifiers of `keras.applications`: one table, one function that builds a row of it.

Everything that knows these networks (`load_network`, dropdowns, the command line, the docs) reads `ZOO`;
a network that Keras adds needs one more line there.
"""

from __future__ import annotations

import http.client
import importlib
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnvis_widgets.errors import NetworkLoadError, did_you_mean
from cnnvis_widgets.networks.files import check_weights_file, reason

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class ZooEntry:
    """One classifier of `keras.applications`."""

    name: str  # its class in keras.applications, which is also the name shown
    module: str  # the submodule whose preprocess_input belongs to it
    size: int  # height and width that it was trained at
    aliases: tuple[str, ...] = ()  # other names people type, as `key_of` writes them

    @property
    def key(self) -> str:
        """The name as `key_of` writes it: "densenet121"."""
        return key_of(self.name)


ZOO = (
    ZooEntry("VGG16", "vgg16", 224, ("vgg",)),
    ZooEntry("VGG19", "vgg19", 224),
    ZooEntry("ResNet50", "resnet", 224, ("resnet", "resnet50v1")),
    ZooEntry("ResNet101", "resnet", 224),
    ZooEntry("ResNet152", "resnet", 224),
    ZooEntry("ResNet50V2", "resnet_v2", 224, ("resnetv2",)),
    ZooEntry("ResNet101V2", "resnet_v2", 224),
    ZooEntry("ResNet152V2", "resnet_v2", 224),
    ZooEntry("InceptionV3", "inception_v3", 299, ("inception",)),
    ZooEntry("InceptionResNetV2", "inception_resnet_v2", 299, ("inceptionresnet",)),
    ZooEntry("Xception", "xception", 299),
    ZooEntry("MobileNet", "mobilenet", 224, ("mobilenetv1",)),
    ZooEntry("MobileNetV2", "mobilenet_v2", 224),
    ZooEntry("MobileNetV3Small", "mobilenet_v3", 224),
    ZooEntry("MobileNetV3Large", "mobilenet_v3", 224, ("mobilenetv3",)),
    ZooEntry("DenseNet121", "densenet", 224, ("densenet",)),
    ZooEntry("DenseNet169", "densenet", 224),
    ZooEntry("DenseNet201", "densenet", 224),
    ZooEntry("NASNetMobile", "nasnet", 224, ("nasnet",)),
    ZooEntry("NASNetLarge", "nasnet", 331),
    ZooEntry("EfficientNetB0", "efficientnet", 224, ("efficientnet",)),
    ZooEntry("EfficientNetB1", "efficientnet", 240),
    ZooEntry("EfficientNetB2", "efficientnet", 260),
    ZooEntry("EfficientNetB3", "efficientnet", 300),
    ZooEntry("EfficientNetB4", "efficientnet", 380),
    ZooEntry("EfficientNetB5", "efficientnet", 456),
    ZooEntry("EfficientNetB6", "efficientnet", 528),
    ZooEntry("EfficientNetB7", "efficientnet", 600),
    ZooEntry("EfficientNetV2B0", "efficientnet_v2", 224, ("efficientnetv2",)),
    ZooEntry("EfficientNetV2B1", "efficientnet_v2", 240),
    ZooEntry("EfficientNetV2B2", "efficientnet_v2", 260),
    ZooEntry("EfficientNetV2B3", "efficientnet_v2", 300),
    ZooEntry("EfficientNetV2S", "efficientnet_v2", 384),
    ZooEntry("EfficientNetV2M", "efficientnet_v2", 480),
    ZooEntry("EfficientNetV2L", "efficientnet_v2", 480),
    ZooEntry("ConvNeXtTiny", "convnext", 224, ("convnext",)),
    ZooEntry("ConvNeXtSmall", "convnext", 224),
    ZooEntry("ConvNeXtBase", "convnext", 224),
    ZooEntry("ConvNeXtLarge", "convnext", 224),
    ZooEntry("ConvNeXtXLarge", "convnext", 224),
)


def key_of(name: str) -> str:
    """A name without case, spaces, "-" and "_": "Inception-v3" and "inception_v3" are "inceptionv3"."""
    return name.lower().translate(str.maketrans("", "", " -_"))


def find(name: str) -> ZooEntry | None:
    """The row that goes by this name or alias; None where there is none."""
    key = key_of(name)
    return next((entry for entry in ZOO if key == entry.key or key in entry.aliases), None)


def preprocess(entry: ZooEntry) -> Callable[[np.ndarray], np.ndarray]:
    """The network's own `preprocess_input`: RGB (n, H, W, 3) in [0, 255] -> its input, in a new array."""
    module = importlib.import_module(f"keras.applications.{entry.module}")

    def preprocess_copy(pixels: np.ndarray) -> np.ndarray:
        copy = np.array(pixels, np.float32)  # Keras computes in place
        return module.preprocess_input(copy, data_format="channels_last")

    return preprocess_copy


def build(
    entry: ZooEntry,
    weights: str | Path | None = None,
    input_size: tuple[int, int] | None = None,
    options: dict[str, Any] | None = None,
) -> keras.Model:
    """The Keras model of a row.

    weights: "imagenet" or None (downloaded by Keras, once), "random" (untrained), or a weights file's path.
    input_size: (H, W) where it is not the network's own. options: further arguments of its Keras constructor.
    Raises `NetworkLoadError`.
    """
    import keras

    constructor = getattr(keras.applications, entry.name)
    arguments = dict(options or {})
    _check_options(entry, constructor, arguments)
    if input_size is not None and tuple(input_size) != (entry.size, entry.size):
        arguments["input_shape"] = (*input_size, 3)
    if weights is None or weights == "imagenet":
        return _download(entry, constructor, arguments)
    if weights == "random":
        return _construct(entry, constructor, arguments | {"weights": None})
    path = check_weights_file(weights, entry.name)
    return _read_weights(entry, _construct(entry, constructor, arguments | {"weights": None}), path)


def _check_options(entry: ZooEntry, constructor: Callable, options: dict[str, Any]) -> None:
    known = set(inspect.signature(constructor).parameters) - {"weights", "input_shape", "input_tensor"}
    for option in options:
        if option in ("input_shape", "input_tensor"):
            raise NetworkLoadError(f"{option} is not an option here; say input_size=(height, width).")
        if option not in known:
            raise NetworkLoadError(
                f"{entry.name} has no option {option!r}; {did_you_mean(option, sorted(known))}"
            )


def _construct(entry: ZooEntry, constructor: Callable, arguments: dict[str, Any]) -> keras.Model:
    try:
        return constructor(**arguments)
    except Exception as error:  # Keras checks its arguments with errors of several kinds
        raise NetworkLoadError(f"{entry.name} cannot be built: {reason(error)}.") from error


def _download(entry: ZooEntry, constructor: Callable, arguments: dict[str, Any]) -> keras.Model:
    try:
        return constructor(weights="imagenet", **arguments)
    except Exception as error:
        if not _is_download_failure(error):
            raise NetworkLoadError(f"{entry.name} cannot be built: {reason(error)}.") from error
        raise NetworkLoadError(
            f"The weights of {entry.name} could not be downloaded ({reason(error)}); "
            "use load_network(), whose bundled network needs no download, "
            f'or load_network("{entry.key}", weights=PATH) with a weights file on this computer.'
        ) from error


def _is_download_failure(error: Exception) -> bool:
    # Keras makes a bare Exception of URLError, and a ValueError of a wrong checksum: known by their text.
    text = str(error)
    return (
        isinstance(error, (OSError, http.client.HTTPException))
        or "URL fetch failure" in text
        or "Incomplete or corrupted file" in text
    )


def _read_weights(entry: ZooEntry, model: keras.Model, path: Path) -> keras.Model:
    try:
        with warnings.catch_warnings():
            # Said a hundred times before the error that follows.
            warnings.filterwarnings("ignore", "Skipping nested container")
            model.load_weights(str(path))
    except Exception as error:  # damaged HDF5 raises OSError, KeyError, RuntimeError, ValueError, ...
        raise NetworkLoadError(
            f"The weights in {path.name} do not fit {entry.name} or are damaged ({reason(error)}); "
            "check the file, and give the options that it was made with, such as alpha=0.25 or classes=10."
        ) from error
    return model
