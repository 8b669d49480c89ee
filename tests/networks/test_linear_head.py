"""The matrix of a linear head against Grad-CAM by backpropagation, class by class."""

import keras
import numpy as np
import pytest
from models import BUILDS, CLASSES, SIZE, picture

from cnnvis_widgets.compute.explain import explain
from cnnvis_widgets.networks import load_network
from cnnvis_widgets.networks.network import Network

layers, ops = keras.layers, keras.ops


def model_of(*parts):
    keras.utils.set_random_seed(3)
    body = [layers.Conv2D(6, 3, strides=2, activation="relu", name="maps")]
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *body, *parts])
    rng = np.random.default_rng(4)
    for weight in model.weights:
        weight.assign(rng.uniform(0.2, 1.0, weight.shape))
    return model


HEADS = {
    "pooling and Dense": lambda: [
        layers.GlobalAveragePooling2D(),
        layers.Dense(CLASSES, activation="softmax"),
    ],
    "sigmoid": lambda: [layers.GlobalAveragePooling2D(), layers.Dense(1, activation="sigmoid")],
    "1x1 convolution, then pooling": lambda: [layers.Conv2D(CLASSES, 1), layers.GlobalAveragePooling2D()],
    "fully convolutional": lambda: [layers.Conv2D(4, 1, use_bias=False), layers.Conv2D(CLASSES, 1)],
    "pooling that keeps dimensions": lambda: [
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.Conv2D(CLASSES, 1),
        layers.Flatten(),
        layers.Softmax(),
    ],
    "a window as large as the map": lambda: [
        layers.AveragePooling2D(11),
        layers.Flatten(),
        layers.Dense(7),
        layers.BatchNormalization(),
        layers.Dense(CLASSES),
    ],
    "normalized before": lambda: [
        layers.BatchNormalization(),
        layers.GlobalAveragePooling2D(),
        layers.Dense(CLASSES, activation="softmax"),
    ],
    "Dense everywhere": lambda: [layers.Dense(4), layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)],
}
OTHERS = {
    "flattened": lambda: [layers.Flatten(), layers.Dense(CLASSES)],
    "maximum": lambda: [layers.GlobalMaxPooling2D(), layers.Dense(CLASSES)],
    "hidden layer": lambda: [
        layers.GlobalAveragePooling2D(),
        layers.Dense(8, activation="relu"),
        layers.Dense(CLASSES),
    ],
    "3x3 convolution": lambda: [
        layers.Conv2D(CLASSES, 3, padding="same", name="last"),
        layers.GlobalMaxPooling2D(),
    ],
    "a map of scores": lambda: [layers.Conv2D(1, 1), layers.Flatten()],
}


def assert_equals_grad_cam(network, path, image, targets):
    maps = network.probe.forward(network.prepare(image), [path])[1][path][0]
    matrix = network.graph.linear_head(path)
    assert matrix.shape == (maps.shape[-1], network.probe.classes) and matrix.dtype == np.float32
    heights = []
    for target in targets:
        raw = explain(network, image, "grad-cam", layer=path, target=target).raw
        expected = np.maximum(maps @ matrix[:, target] / (maps.shape[0] * maps.shape[1]), 0)
        np.testing.assert_allclose(
            expected, raw, rtol=1e-5, atol=1e-6 * (raw.max() + np.abs(maps).max() * 1e-3)
        )
        heights.append(raw.max())
    assert max(heights) > 0, "there must be something to compare"


@pytest.mark.parametrize("head", HEADS)
def test_the_matrix_gives_grad_cam_of_every_class(head):
    network = Network(model_of(*HEADS[head]()))
    assert "maps" in network.graph.linear_layers
    assert_equals_grad_cam(network, "maps", picture(), range(network.probe.classes))


@pytest.mark.parametrize("head", OTHERS)
def test_other_heads_have_no_such_matrix(head):
    network = Network(model_of(*OTHERS[head]()))
    assert "maps" not in network.graph.linear_layers and network.graph.linear_head("maps") is None


@pytest.mark.parametrize("build", BUILDS)
def test_every_build_of_model(build):
    network = Network(BUILDS[build]().model, input_size=(SIZE, SIZE))
    path = {"nested": "backbone/relu", "sequential": None}.get(build, "relu")
    assert network.graph.linear_layers == (() if path is None else (path,))  # the Sequential one flattens
    if path:
        assert_equals_grad_cam(network, path, picture(2), range(CLASSES))


def test_a_layer_that_passes_maps_on_has_the_same_matrix():
    network = Network(
        model_of(layers.Dropout(0.3, name="drop"), layers.GlobalAveragePooling2D(), layers.Dense(CLASSES))
    )
    assert network.graph.linear_layers == ("maps", "drop")
    np.testing.assert_array_equal(network.graph.linear_head("maps"), network.graph.linear_head("drop"))


def test_a_mask_over_space_is_no_mean():
    class Masked(layers.Layer):
        def call(self, x):
            return x * ops.reshape(ops.arange(x.shape[1], dtype="float32"), (1, -1, 1, 1))

    network = Network(model_of(Masked(), layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)))
    assert network.graph.linear_head("maps") is None and network.graph.linear_layers == ("masked",)


def test_new_weights_are_read():
    network = Network(model_of(layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)))
    before = network.graph.linear_head("maps")
    network.model.layers[-1].kernel.assign(2 * before)
    np.testing.assert_allclose(network.graph.linear_head("maps"), 2 * before)


def test_the_bundled_network_switches_classes_exactly():
    network = load_network()
    assert network.graph.linear_layers == ("block4_add",)
    assert_equals_grad_cam(network, "block4_add", picture(1), range(10))


@pytest.mark.parametrize(
    ("source", "options", "path"),
    [
        ("mobilenet_v2", {"weights": "mobilenet_v2.weights.h5"}, "out_relu"),
        ("googlenet.keras", {}, "inception_5b_output"),
        ("squeezenet.keras", {}, "conv10"),
        ("flowers_nested.keras", {}, None),
    ],
)
def test_real_networks_switch_classes_exactly(networks_folder, source, options, path):
    options = {key: networks_folder / value for key, value in options.items()}
    network = load_network(networks_folder / source if source.endswith(".keras") else source, **options)
    path = path or network.graph.linear_layers[-1]
    assert path in network.graph.linear_layers
    targets = np.linspace(0, network.probe.classes - 1, 5).astype(int)
    assert_equals_grad_cam(network, path, picture(3, 64, 64), targets)


def test_vgg_has_no_linear_head():
    network = load_network("vgg16", weights="random", input_size=(32, 32), include_top=True, classes=10)
    assert network.graph.linear_layers == ()
