"""Small networks of every build, with seeded weights; each in two halves for the oracles."""

import keras
import numpy as np

SIZE, CLASSES = 24, 5


def _seed():
    keras.utils.set_random_seed(7)


def _body(prefix=""):
    layers = keras.layers
    return [
        layers.Conv2D(6, 3, padding="same", activation="relu", name=f"{prefix}conv1"),
        layers.MaxPooling2D(name=f"{prefix}pool"),
        layers.Conv2D(8, 3, padding="same", name=f"{prefix}conv2"),
        layers.BatchNormalization(name=f"{prefix}bn"),
        layers.ReLU(max_value=6, name=f"{prefix}relu"),
    ]


def _chain(layers):
    def call(x):
        for layer in layers:
            x = layer(x, training=False)
        return x

    return call


def _linear(dense):
    return lambda x: x @ dense.kernel + dense.bias


class Halves:
    """A model, the path of one of its layers, and the network up to and after that layer, up to the logits."""

    def __init__(self, model, path, up_to, after):
        self.model, self.path, self.up_to, self.after = model, path, up_to, after


def _warm(bn):
    rng = np.random.default_rng(3)
    bn.set_weights([rng.uniform(0.5, 1.5, 8), rng.normal(size=8), rng.normal(size=8), rng.uniform(0.5, 2, 8)])


def functional(activation="softmax"):
    _seed()
    body, pool = _body(), keras.layers.GlobalAveragePooling2D()
    dense = keras.layers.Dense(CLASSES, activation=activation, name="out")
    inputs = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(inputs, dense(pool(_chain(body)(inputs))))
    _warm(body[3])
    return Halves(model, "relu", _chain(body), lambda x: _linear(dense)(pool(x)))


def sequential(activation="softmax"):
    _seed()
    body, flat = _body(), keras.layers.Flatten()
    dense = keras.layers.Dense(CLASSES, activation=activation)
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *body, flat, dense])
    _warm(body[3])
    return Halves(model, "conv2", _chain(body[:3]), lambda x: _linear(dense)(flat(_chain(body[3:])(x))))


def nested(activation="softmax"):
    """Sequential [Rescaling, functional backbone, pool, Dense, separate Softmax layer]."""
    _seed()
    body = _body()
    inner_input = keras.Input((SIZE, SIZE, 3))
    backbone = keras.Model(inner_input, _chain(body)(inner_input), name="backbone")
    rescale, pool = keras.layers.Rescaling(1 / 127.5, -1), keras.layers.GlobalAveragePooling2D()
    dense = keras.layers.Dense(CLASSES)
    head = [keras.layers.Softmax()] if activation == "softmax" else []
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), rescale, backbone, pool, dense, *head])
    _warm(body[3])
    return Halves(
        model,
        "backbone/pool",
        lambda x: _chain(body[:2])(rescale(x)),
        lambda x: _linear(dense)(pool(_chain(body[2:])(x))),
    )


class Subclassed(keras.Model):
    def __init__(self, activation):
        super().__init__(name="mine")
        self.body, self.pool = _body(), keras.layers.GlobalAveragePooling2D()
        self.dense, self.softmax = keras.layers.Dense(CLASSES, name="out"), activation == "softmax"

    def call(self, x, training=False):
        for layer in self.body:
            x = layer(x, training=training)
        x = self.dense(self.pool(x))
        return keras.ops.softmax(x) if self.softmax else x


def subclassed(activation="softmax"):
    _seed()
    model = Subclassed(activation)
    model(np.zeros((1, SIZE, SIZE, 3), np.float32))
    _warm(model.body[3])
    return Halves(model, "relu", _chain(model.body), lambda x: _linear(model.dense)(model.pool(x)))


BUILDS = {build.__name__: build for build in (functional, sequential, nested, subclassed)}


def picture(seed=0, height=SIZE, width=SIZE) -> np.ndarray:
    """RGB uint8 noise, for where any picture will do."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
