"""Convolution and batch normalization as one operation: the same scores as Keras's own, from a smaller graph."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import cnnvis_widgets as cnnvis
from cnnvis_widgets.networks.folding import into_convolution

FOLDED = {
    "with a bias": ({}, lambda: layers.Conv2D(6, 3, padding="same")),
    "without": ({}, lambda: layers.Conv2D(6, 3, strides=2, use_bias=False)),
    "depthwise, two each": ({}, lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2)),
    "separable": ({}, lambda: layers.SeparableConv2D(6, 3, use_bias=False)),
    "another way to say the axis": ({"axis": 3}, lambda: layers.Conv2D(6, 3)),
    "no scale": ({"scale": False}, lambda: layers.Conv2D(6, 3)),
    "no shift": ({"center": False}, lambda: layers.DepthwiseConv2D(3)),
}


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, 12, 10, 4)).astype("float32")


def _network(body) -> cnnvis.Network:
    """Scores of what ``body`` makes of the input, with a normalization that changes something."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 10, 4))
    mean = layers.GlobalAveragePooling2D()(layers.ReLU()(body(inputs)))
    model = keras.Model(inputs, layers.Dense(5)(mean))
    draw = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in ("gamma", "moving_variance"):
            weight.assign(draw.uniform(0.5, 2.0, weight.shape))
        elif weight.name in ("beta", "moving_mean", "bias"):
            weight.assign(draw.normal(size=weight.shape))
    return cnnvis.load_network(model, preprocess=lambda pixels: pixels)


def _left(network) -> list[str]:
    """Products and sums of whole layers that a run for scores alone still has."""
    run = network.probe._function("forward", (), (12, 10, 4), ("logit", ""))
    open_ends, seen = [run.outputs[0].op], set()
    while open_ends:
        operation = open_ends.pop()
        if operation not in seen:
            seen.add(operation)
            open_ends += [tensor.op for tensor in operation.inputs]
    whole = [one for one in seen if one.outputs and one.outputs[0].shape[:1] == [None]]
    return [one.type for one in whole if one.type in ("Mul", "AddV2") and len(one.outputs[0].shape) == 4]


@pytest.mark.parametrize(("options", "convolution"), FOLDED.values(), ids=FOLDED)
def test_scores_are_those_of_the_whole_network_and_nothing_is_left_of_the_normalization(
    options, convolution, images
):
    network = _network(lambda x: layers.BatchNormalization(**options)(convolution()(x)))
    scores, _values = network.probe.forward(images, ())
    np.testing.assert_allclose(scores, network.model.predict(images, verbose=0), rtol=1e-5, atol=1e-5)
    assert not _left(network)


def test_a_convolution_that_something_else_reads_too_stays(images):
    """And so does a dilated one, which TensorFlow makes of several operations."""

    def body(x):
        convolved = layers.Conv2D(4, 3, padding="same", name="both")(x)
        dilated = layers.BatchNormalization()(layers.Conv2D(4, 3, dilation_rate=2, padding="same")(x))
        return layers.Concatenate()([layers.BatchNormalization()(convolved), convolved, dilated])

    network = _network(body)
    scores, _values = network.probe.forward(images, ())
    np.testing.assert_allclose(scores, network.model.predict(images, verbose=0), rtol=1e-5, atol=1e-5)


def test_values_put_in_the_place_of_the_convolution_reach_the_normalization(images):
    network = _network(lambda x: layers.BatchNormalization(name="bn")(layers.Conv2D(6, 3, name="conv")(x)))
    values = np.random.default_rng(2).normal(size=(2, 10, 8, 6)).astype("float32")
    rest = keras.Model(network.model.get_layer("conv").output, network.model.output)
    scores = network.probe.forward_from(images[:1], "conv", values)
    np.testing.assert_allclose(scores, rest.predict(values, verbose=0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "made",
    [
        lambda x: tf.nn.conv2d(x, tf.ones((1, 1, 4, 4)), 1, "SAME") * tf.ones((12, 10, 4)) + tf.ones((4,)),
        lambda x: tf.nn.max_pool2d(x, 2, 2, "SAME") * tf.ones((4,)) + tf.ones((4,)),
        lambda x: tf.nn.conv2d(x, tf.ones((1, 1, 4, 4)), 1, "SAME") + tf.ones((4,)),
    ],
    ids=["a scale that differs from place to place", "no convolution", "a shift alone"],
)
def test_anything_else_is_left_as_it_is(made):
    with tf.Graph().as_default():
        value = made(tf.compat.v1.placeholder(tf.float32, (None, 12, 10, 4)))
        assert into_convolution(value) is value


def test_a_gradient_behind_folded_layers_is_that_of_keras(images):
    def body(x):
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same", name="early")(x)))
        x = layers.Conv2D(7, 3, padding="same", name="looked_at")(x)
        return layers.BatchNormalization(name="bn")(x)

    network = _network(body)
    weights = np.eye(5, dtype=np.float32)[[1, 4, 0]]
    scores, values, gradients = network.probe.backward(images, weights, ("looked_at",))
    model = network.model
    half = keras.Model(model.input, [model.get_layer("looked_at").output])
    rest = keras.Model(model.get_layer("looked_at").output, model.output)
    with tf.GradientTape() as tape:
        tape.watch(there := half(images))
        goal = tf.reduce_sum(rest(there) * weights)
    close = {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(values["looked_at"], there, **close)
    np.testing.assert_allclose(gradients["looked_at"], tape.gradient(goal, there), **close)
    np.testing.assert_allclose(scores, model.predict(images, verbose=0), **close)
    run = network.probe._function("backward", ("looked_at",), (12, 10, 4), ("logit", ""), "")
    products = [one for one in run.graph.get_operations() if one.type == "Conv2D"]
    assert len(products) == 3, "the early one twice, of which one is pruned; the one looked at once"
