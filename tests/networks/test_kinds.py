"""Every kind of model: its maps and its heatmap are what a plain computation with its own layers gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from models import picture
from oracles import grad_cam

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import NetworkLoadError
from cnnvis_widgets.networks import load_network, zoo

L = keras.layers


@dataclass
class Kind:
    """A model, the path of a layer, and by hand: what leads up to that layer, and from it to the logits."""

    model: Any
    path: str
    up_to: Callable
    after: Callable
    options: dict | None = None
    tolerance: float = 1e-3


def _linear(dense) -> Callable:
    return lambda x: (
        tf.cast(x, tf.float32) @ tf.cast(dense.kernel, tf.float32) + tf.cast(dense.bias, tf.float32)
    )


def _means(x):
    return tf.reduce_mean(x, axis=(1, 2))


def nested_two_levels():
    conv, dense = L.Conv2D(4, 3, name="conv", activation="relu"), L.Dense(3, activation="softmax")
    innermost = keras.Sequential([L.Input((12, 12, 3)), conv], name="innermost")
    inner_input = L.Input((12, 12, 3))
    inner = keras.Model(inner_input, L.ReLU(name="relu")(innermost(inner_input)), name="inner")
    model = keras.Sequential([L.Input((12, 12, 3)), inner, L.GlobalAveragePooling2D(), dense])
    return Kind(model, "inner/innermost/conv", conv, lambda x: _linear(dense)(_means(tf.nn.relu(x))))


def rescaling_and_augmentation():
    conv, dense = L.Conv2D(4, 3, name="conv"), L.Dense(3, activation="softmax")
    model = keras.Sequential(
        [
            L.Input((12, 12, 3)),
            L.RandomFlip(),
            L.RandomRotation(0.4),
            L.RandomContrast(0.9),
            L.Rescaling(1 / 127.5, -1),
            L.GaussianNoise(1.0),
            conv,
            L.Dropout(0.9),
            L.GlobalAveragePooling2D(),
            dense,
        ]
    )
    return Kind(model, "conv", lambda x: conv(x / 127.5 - 1), lambda x: _linear(dense)(_means(x)))


def a_layer_called_twice():
    conv, dense = L.Conv2D(3, 3, padding="same", name="conv", activation="tanh"), L.Dense(3)
    inputs = L.Input((12, 12, 3))
    scaled = L.Rescaling(1 / 255)(inputs)
    model = keras.Model(inputs, dense(L.GlobalAveragePooling2D()(conv(conv(scaled)))))
    return Kind(model, "conv", lambda x: conv(x / 255), lambda x: _linear(dense)(_means(conv(x))))


def operations_of_keras():
    conv, dense = L.Conv2D(4, 3, name="conv"), L.Dense(3)
    inputs = L.Input((12, 12, 3))
    x = ops.relu(conv(inputs / 255.0 - 0.5)) * 2.0
    model = keras.Model(inputs, ops.softmax(dense(ops.mean(x, axis=(1, 2)))))
    return Kind(
        model, "conv", lambda x: conv(x / 255 - 0.5), lambda x: _linear(dense)(_means(tf.nn.relu(x) * 2))
    )


def ends_in_convolution_and_pooling():
    conv, last = L.Conv2D(4, 3, activation="relu", name="conv"), L.Conv2D(5, 1)
    model = keras.Sequential([L.Input((12, 12, 3)), conv, last, L.GlobalAveragePooling2D(), L.Softmax()])
    return Kind(model, "conv", conv, lambda x: _means(last(x)))


def one_sigmoid_unit():
    conv, dense = L.Conv2D(4, 3, activation="relu", name="conv"), L.Dense(1, activation="sigmoid")
    model = keras.Sequential([L.Input((12, 12, 3)), conv, L.GlobalAveragePooling2D(), dense])
    return Kind(model, "conv", conv, lambda x: _linear(dense)(_means(x)))


def grey():
    conv, dense = L.Conv2D(4, 3, activation="relu", name="conv"), L.Dense(3)
    model = keras.Sequential([L.Input((12, 12, 1)), conv, L.GlobalAveragePooling2D(), dense])
    return Kind(model, "conv", conv, lambda x: _linear(dense)(_means(x)))


def five_channels():
    conv, dense = L.Conv2D(4, 3, activation="relu", name="conv"), L.Dense(3)
    model = keras.Sequential([L.Input((12, 12, 5)), conv, L.GlobalAveragePooling2D(), dense])

    def bands(pixels):
        return np.concatenate([pixels, pixels[..., :1] - pixels[..., 1:2], pixels[..., 2:] / 2], axis=-1)

    return Kind(model, "conv", conv, lambda x: _linear(dense)(_means(x)), {"preprocess": bands})


def not_square():
    conv, dense = L.Conv2D(4, (3, 5), strides=(1, 2), activation="relu", name="conv"), L.Dense(3)
    model = keras.Sequential([L.Input((10, 24, 3)), conv, L.Flatten(), dense])
    return Kind(model, "conv", conv, lambda x: _linear(dense)(tf.reshape(x, (1, -1))))


def of_any_size():
    conv, last = L.Conv2D(4, 3, activation="relu", name="conv"), L.Conv2D(3, 1)
    model = keras.Sequential([L.Input((None, None, 3)), conv, last])  # scores at each place
    return Kind(model, "conv", conv, lambda x: _means(last(x)), {"input_size": (11, 17)})


def _half(policy: str, tolerance: float):
    def build():
        keras.mixed_precision.set_global_policy(policy)
        try:
            conv, dense = L.Conv2D(4, 3, activation="relu", name="conv"), L.Dense(3)
            layers = [L.Rescaling(1 / 255), conv, L.GlobalAveragePooling2D(), dense]
            model = keras.Sequential([L.Input((12, 12, 3)), *layers])
        finally:
            keras.mixed_precision.set_global_policy("float32")
        kernel, bias = (tf.cast(weight, tf.float32) for weight in (conv.kernel, conv.bias))
        plain = lambda x: tf.nn.relu(tf.nn.conv2d(x / 255, kernel, 1, "VALID") + bias)  # noqa: E731
        return Kind(model, "conv", plain, lambda x: _linear(dense)(_means(x)), tolerance=tolerance)

    build.__name__ = policy
    return build


def one_class():
    conv, dense = L.Conv2D(4, 3, activation="relu", name="conv"), L.Dense(1)
    model = keras.Sequential([L.Input((12, 12, 3)), conv, L.GlobalAveragePooling2D(), dense, L.Softmax()])
    return Kind(model, "conv", conv, lambda x: _linear(dense)(_means(x)))


def ten_thousand_classes():
    conv, dense = L.Conv2D(4, 3, activation="relu", name="conv"), L.Dense(10_000, activation="softmax")
    model = keras.Sequential([L.Input((12, 12, 3)), conv, L.GlobalAveragePooling2D(), dense])
    return Kind(model, "conv", conv, lambda x: _linear(dense)(_means(x)))


def four_hundred_layers():
    inputs = L.Input((8, 8, 3))
    first, dense = L.Conv2D(3, 1, name="conv"), L.Dense(3)
    blocks = [(L.Conv2D(3, 3, padding="same"), L.ReLU(), L.Rescaling(0.05), L.Add()) for _ in range(100)]

    def through(x):
        for conv, relu, less, add in blocks:  # less, or a hundred sums would leave float32
            x = add([x, less(relu(conv(x)))])
        return x

    model = keras.Model(inputs, dense(L.GlobalAveragePooling2D()(through(first(inputs)))))
    assert len(model.layers) > 400
    return Kind(model, "conv", first, lambda x: _linear(dense)(_means(through(x))), tolerance=5e-3)


def without_names():
    conv, dense = L.Conv2D(4, 3, activation="relu"), L.Dense(3)
    model = keras.Sequential([L.Input((12, 12, 3)), conv, L.GlobalAveragePooling2D(), dense])
    return Kind(model, conv.name, conv, lambda x: _linear(dense)(_means(x)))


def _named(name: str):
    def build():
        conv, dense = L.Conv2D(4, 3, activation="relu", name=name), L.Dense(3)
        layers = [conv, L.GlobalAveragePooling2D(), dense]
        inner = keras.Sequential([L.Input((12, 12, 3)), *layers[:1]], name=f"in {name}")
        model = keras.Sequential([L.Input((12, 12, 3)), inner, *layers[1:]], name=f"of {name}")
        options = {"class_names": [f"{name} {index}" for index in range(3)]}
        return Kind(model, f"in {name}/{name}", conv, lambda x: _linear(dense)(_means(x)), options)

    build.__name__ = f"named {name}"
    return build


KINDS = [
    nested_two_levels,
    rescaling_and_augmentation,
    a_layer_called_twice,
    operations_of_keras,
    ends_in_convolution_and_pooling,
    one_sigmoid_unit,
    grey,
    five_channels,
    not_square,
    of_any_size,
    _half("mixed_float16", 0.01),
    _half("mixed_bfloat16", 0.05),
    one_class,
    ten_thousand_classes,
    four_hundred_layers,
    without_names,
    _named("卷积层"),
    _named("my layer"),
    _named("<img src=x onerror=alert(1)>"),
]


@pytest.mark.parametrize("build", KINDS, ids=lambda build: build.__name__)
def test_maps_scores_and_heatmap_equal_a_plain_computation(build: Callable):
    keras.utils.set_random_seed(5)
    kind = build()
    network = load_network(kind.model, **(kind.options or {}))
    image = picture(1, *network.input_size)
    inputs = network.prepare(image)
    maps = tf.convert_to_tensor(kind.up_to(tf.constant(inputs)))
    with tf.GradientTape() as tape:
        tape.watch(maps)
        logits = kind.after(maps)
        target = int(np.argmax(logits[0]))
        score = logits[0, target]
    slopes = tape.gradient(score, maps).numpy()
    heat = grad_cam(maps.numpy(), slopes)

    def alike(found, expected):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=kind.tolerance * scale + 1e-9)

    alike(cnnvis.feature_maps(network, image, kind.path).values, maps.numpy()[0])
    alike(network.logits(image), logits.numpy()[0])
    alike(cnnvis.explain(network, image, "grad-cam", kind.path, target=target).raw, heat)
    slope = cnnvis.explain(network, image, "hires-cam", kind.path, target=target).raw
    alike(slope, np.maximum((maps.numpy() * slopes).sum(-1)[0], 0))
    assert len(network.class_names) == logits.shape[1]


def twins(order: str) -> keras.Model:
    """Two branches, a layer called twice, an operation, a pool; the same weights whichever order its layers work in."""
    keras.utils.set_random_seed(8)
    first, axis = order == "channels_first", 1 if order == "channels_first" else -1
    inputs = L.Input((3, 16, 20) if first else (16, 20, 3), name="picture")
    conv = L.Conv2D(6, 3, padding="same", data_format=order, name="conv")
    again = L.Conv2D(6, 3, padding="same", data_format=order, activation="relu", name="again")
    x = L.BatchNormalization(axis=axis, name="bn", beta_initializer="random_normal")(conv(inputs / 255.0))
    x = again(again(L.ReLU(name="off")(x)))
    pooled = L.MaxPooling2D(2, data_format=order, name="pool")(x)
    strided = L.DepthwiseConv2D(3, 2, "same", data_format=order, name="depthwise")(x)
    joined = L.Concatenate(axis=axis, name="joined")([pooled, strided])
    last = L.Conv2D(4, 3, data_format=order, name="last", bias_initializer="random_normal")(joined)
    scores = L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D(data_format=order)(ops.relu(last)))
    return keras.Model(inputs, scores, name="twin")


def test_channels_first_is_the_same_as_channels_last():
    network, plain = (load_network(twins(order)) for order in ("channels_first", "channels_last"))
    image = picture(1, 16, 20)
    np.testing.assert_allclose(network.logits(image), plain.logits(image), rtol=1e-4, atol=1e-5)
    assert [layer.path for layer in network.layers] == [layer.path for layer in plain.layers]
    for path in ("conv", "bn", "off", "again", "again#2", "pool", "depthwise", "joined", "last"):
        maps, expected = (cnnvis.feature_maps(one, image, path).values for one in (network, plain))
        np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-4)
        field = network.graph.node(path).field
        assert field is not None and field.size == plain.graph.node(path).field.size
    for method, layer in (("grad-cam", "joined"), ("full-grad", None)):
        heat, expected = (cnnvis.explain(one, image, method, layer, target=1).raw for one in (network, plain))
        np.testing.assert_allclose(heat, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    silent = [cnnvis.ablate(one, image, "off", [1, 4]).logits_after for one in (network, plain)]
    np.testing.assert_allclose(*silent, rtol=1e-4, atol=1e-5)
    drawn = [cnnvis.maximize_filters(one, "pool", [2], "fourier", steps=3) for one in (network, plain)]
    np.testing.assert_allclose(drawn[0].history, drawn[1].history, rtol=0.01, atol=1e-3)


def test_channels_first_within_is_shown_with_channels_last():
    conv = L.Conv2D(2, 3, data_format="channels_first", name="conv")
    pool = L.GlobalAveragePooling2D(data_format="channels_first")
    model = keras.Sequential([L.Input((12, 10, 3)), L.Permute((3, 1, 2)), conv, pool])
    network, image = load_network(model), picture(1, 12, 10)
    expected = tf.nn.conv2d(network.prepare(image), conv.kernel, 1, "VALID") + conv.bias
    np.testing.assert_allclose(
        cnnvis.feature_maps(network, image, "conv").values, expected[0], rtol=1e-3, atol=1e-2
    )


def test_a_model_that_knows_no_channels_is_given_them_first_where_its_input_says_so():
    dense = L.Dense(2)
    network = load_network(keras.Sequential([L.Input((3, 12, 10)), L.Flatten(), dense]))
    assert network.input_size == (12, 10)
    pixels = network.prepare(picture(1, 12, 10))[0].transpose(2, 0, 1).reshape(1, -1)
    np.testing.assert_allclose(
        network.logits(picture(1, 12, 10)), _linear(dense)(pixels)[0], rtol=1e-3, atol=1e-2
    )


def test_a_keras_that_is_set_to_channels_first_changes_no_network():
    image = picture(1, 32, 32)
    expected = load_network().logits(image)
    vgg = zoo.preprocess(zoo.find("vgg16"))
    means = vgg(np.zeros((1, 4, 4, 3), np.float32))
    keras.config.set_image_data_format("channels_first")
    try:
        np.testing.assert_array_equal(load_network().logits(image), expected)
        np.testing.assert_array_equal(vgg(np.zeros((1, 4, 4, 3), np.float32)), means)
        small = load_network("mobilenet", weights="random", alpha=0.25, input_size=(32, 32))
        assert small.model.input_shape == (None, 32, 32, 3)
        assert keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_image_data_format("channels_last")


def test_more_channels_than_a_picture_has_need_a_function():
    model = keras.Sequential([L.Input((12, 12, 5)), L.Conv2D(2, 3), L.GlobalAveragePooling2D()])
    with pytest.raises(NetworkLoadError, match="5 channels; give preprocess="):
        load_network(model)
