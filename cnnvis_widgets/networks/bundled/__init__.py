"""The network that comes with the package: small, trained on CIFAR-10, ready offline.

The architecture is code, the weights are one float16 ``.npz`` (no pickle), both made by
``tools/train_bundled_network.py``. What it can and cannot do: ``MODEL_CARD.md`` beside this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
INPUT_SIZE = (64, 64)
WEIGHTS = Path(__file__).with_name("weights.npz")


def preprocess(images):
    """RGB in [0, 255] to the network's range, [-1, 1]."""
    return images / 127.5 - 1.0


def build(input_size: tuple[int | None, int | None] = INPUT_SIZE) -> keras.Model:
    """The architecture without weights: four blocks, two of them residual, then pooling and one Dense layer.

    ``input_size`` may hold ``None``: training runs at several resolutions.
    """
    import keras

    layers = keras.layers

    def convolution(x, name: str, filters: int, size: int = 3):
        x = layers.Conv2D(filters, size, padding="same", use_bias=False, name=name)(x)
        x = layers.BatchNormalization(name=f"{name}_bn")(x)
        return layers.ReLU(name=f"{name}_relu")(x)

    def residual(x, block: str, filters: int):
        inner = convolution(x, f"{block}_conv2", filters)
        inner = convolution(inner, f"{block}_conv3", filters)
        return layers.Add(name=f"{block}_add")([x, inner])

    image = layers.Input((*input_size, 3), name="image")
    x = convolution(image, "block1_conv1", 32, size=5)
    x = layers.MaxPooling2D(name="block1_pool")(x)
    x = convolution(x, "block2_conv1", 64)
    x = convolution(x, "block2_conv2", 64)
    x = layers.MaxPooling2D(name="block2_pool")(x)
    x = convolution(x, "block3_conv1", 128)
    x = residual(x, "block3", 128)
    x = layers.MaxPooling2D(name="block3_pool")(x)
    x = convolution(x, "block4_conv1", 256)
    x = residual(x, "block4", 256)
    x = layers.GlobalAveragePooling2D(name="global_pool")(x)
    x = layers.Dense(len(CLASS_NAMES), name="predictions", dtype="float32")(x)
    x = layers.Softmax(name="probabilities", dtype="float32")(x)
    return keras.Model(image, x, name="bundled")


def save_weights(model: keras.Model, path: Path = WEIGHTS) -> None:
    """Store every weight as float16 under its path ("block1_conv1/kernel")."""
    arrays: dict[str, Any] = {weight.path: np.asarray(weight, np.float16) for weight in model.weights}
    np.savez_compressed(path, **arrays)


def load_weights(model: keras.Model, path: Path = WEIGHTS) -> keras.Model:
    """Fill a model made by :func:`build` with what :func:`save_weights` stored; returns the model."""
    with np.load(path, allow_pickle=False) as arrays:
        for weight in model.weights:
            weight.assign(arrays[weight.path].astype(np.float32))
    return model
