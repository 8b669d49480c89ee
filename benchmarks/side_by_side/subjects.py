"""The networks that everybody looks into: one Keras model without softmax, one preprocessing, for all tools alike.

The picture's mean colour is zero in the input space, so that all tools agree on what an empty picture is.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MEAN_COLOUR = np.float32([124, 117, 104])


@dataclass(frozen=True)
class Subject:
    """A model and where to look at it."""

    name: str
    model: Any
    layer: str  # the last feature maps
    further: tuple[str, ...]  # other layers

    @functools.cached_property
    def network(self):
        """The model as this package takes it: one that has seen nothing yet is made by `fresh`."""
        return self.fresh()

    def fresh(self):
        import cnnvis_widgets as cnnvis

        return cnnvis.load_network(self.model, preprocess=preprocess)

    @functools.cached_property
    def picture(self) -> np.ndarray:
        """RGB uint8, of the size that the network takes: nobody has to resize it."""
        from cnnvis_widgets.images import resize, sample_images

        return resize(sample_images()["cat"], self.model.input_shape[1:3])

    def image(self, number: int) -> np.ndarray:
        """RGB uint8: another picture for each number."""
        return np.ascontiguousarray(np.roll(self.picture, number, axis=1))

    def inputs(self, number: int = 0) -> np.ndarray:
        """(1, H, W, 3) float32, as the peers take it."""
        return preprocess(self.image(number)[None].astype(np.float32))

    @property
    def classes(self) -> int:
        return self.model.output_shape[-1]


def preprocess(images: np.ndarray) -> np.ndarray:
    return (images - MEAN_COLOUR) / np.float32(127.5)


@functools.cache
def subject(name: str) -> Subject:
    """VGG16 has random weights, which cost the same time; MobileNetV2 its own, where ``CNNVIS_NETWORKS`` has them."""
    import keras

    keras.utils.set_random_seed(0)
    match name:
        case "vgg16":
            model = keras.applications.VGG16(weights=None, classifier_activation=None)
            return Subject(name, model, "block5_conv3", _convolutions(model)[-2::-1][:8])
        case "mobilenet_v2":
            file = Path(os.environ.get("CNNVIS_NETWORKS", "")) / "mobilenet_v2.weights.h5"
            weights = str(file) if file.is_file() else None
            model = keras.applications.MobileNetV2(weights=weights, classifier_activation=None)
            return Subject(name, model, "out_relu", _convolutions(model)[-2::-4][:8])
        case "small":
            return Subject(name, _small(keras), "deep", ("middle", "first", "pool"))
    raise ValueError(name)


def _convolutions(model) -> tuple[str, ...]:
    return tuple(layer.name for layer in model.layers if type(layer).__name__ == "Conv2D")


def _small(keras):
    """For smoke runs."""
    layers = keras.layers
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="first")(inputs)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Conv2D(12, 3, padding="same", activation="relu", name="middle")(x)
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="deep")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(inputs, layers.Dense(10, name="scores")(x), name="small")
