"""Files of the Keras 2 era, made by Keras 2 itself: loaded, they answer what they answered when they were saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras2
from oracles import grad_cam

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import NetworkLoadError
from cnnvis_widgets.networks import load_network

L = keras2.layers
SIZE = 24


def _backbone(name: str = "backbone"):
    """The beginning of a MobileNet: padding, depthwise convolution, batch normalization, ReLU(6.), a merge."""
    inputs = L.Input((SIZE, SIZE, 3))
    x = L.ZeroPadding2D(((0, 1), (0, 1)), name="conv1_pad")(inputs)
    x = L.Conv2D(4, 3, strides=2, use_bias=False, name="conv1")(x)
    x = L.ReLU(6.0, name="conv1_relu")(L.BatchNormalization(name="conv1_bn")(x))
    x = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="conv_dw_1")(x)
    x = L.ReLU(6.0, name="dw_relu")(L.BatchNormalization(name="dw_bn")(x))
    return keras2.Model(inputs, L.Add(name="sum")([x, L.Conv2D(4, 1, name="pointwise")(x)]), name=name)


def mobilenet_v1():
    backbone = _backbone()
    pooled = L.Reshape((1, 1, 4))(L.GlobalAveragePooling2D()(backbone.output))
    scores = L.Conv2D(3, 1, name="conv_preds")(L.Dropout(0.1)(pooled))
    return keras2.Model(backbone.input, L.Activation("softmax")(L.Reshape((3,))(scores)))


def mobilenet_v2():
    """Inverted residuals: a wide depthwise convolution between two narrow ones without an activation."""
    inputs = L.Input((SIZE, SIZE, 3))
    x = L.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="Conv1")(inputs)
    for block in ("expanded_conv", "block_1"):
        y = L.Conv2D(12, 1, use_bias=False, name=f"{block}_expand")(x)
        y = L.ReLU(6.0)(L.BatchNormalization(epsilon=1e-3, momentum=0.999)(y))
        y = L.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{block}_depthwise")(y)
        y = L.ReLU(6.0)(L.BatchNormalization(epsilon=1e-3)(y))
        y = L.BatchNormalization(epsilon=1e-3)(L.Conv2D(4, 1, use_bias=False, name=f"{block}_project")(y))
        x = L.Add(name=f"{block}_add")([x, y])
    return keras2.Model(inputs, L.Dense(4, activation="softmax")(L.GlobalAveragePooling2D()(x)))


def mobilenet_v3():
    """Names with "/" in every layer, functions of TensorFlow between the layers, squeeze and excitation."""

    def hard_sigmoid(x):
        return L.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)

    def hard_swish(x):
        return L.Multiply()([x, hard_sigmoid(x)])

    inputs = L.Input((SIZE, SIZE, 3))
    x = L.Conv2D(6, 3, strides=2, padding="same", use_bias=False, name="Conv")(
        L.Rescaling(1 / 127.5, -1)(inputs)
    )
    x = hard_swish(L.BatchNormalization(epsilon=1e-3, name="Conv/BatchNorm")(x))
    x = L.DepthwiseConv2D(3, padding="same", use_bias=False, name="expanded_conv/depthwise/Conv")(x)
    x = L.BatchNormalization(name="expanded_conv/depthwise/BatchNorm")(x)
    weights = L.GlobalAveragePooling2D(keepdims=True, name="expanded_conv/squeeze_excite/AvgPool")(x)
    weights = L.Conv2D(2, 1, activation="relu", name="expanded_conv/squeeze_excite/Conv")(weights)
    weights = hard_sigmoid(L.Conv2D(6, 1, name="expanded_conv/squeeze_excite/Conv_1")(weights))
    x = hard_swish(L.Multiply(name="expanded_conv/squeeze_excite/Mul")([x, weights]))
    scores = L.Conv2D(4, 1, name="Logits")(L.GlobalAveragePooling2D(keepdims=True)(x))
    return keras2.Model(inputs, L.Activation("softmax", name="Predictions")(L.Flatten()(scores)))


def _teachable(trainable: bool):
    backbone = _backbone()
    backbone.trainable = trainable
    features = keras2.Sequential([backbone, L.GlobalAveragePooling2D()], name="sequential_1")
    head = keras2.Sequential(
        [
            L.Dense(5, activation="relu", input_shape=(4,), name="dense_Dense1"),
            L.Dense(2, use_bias=False, activation="softmax", name="dense_Dense2"),
        ],
        name="sequential_3",
    )
    return keras2.Sequential([features, head], name="sequential_4")


def teachable_machine():
    return _teachable(True)


def teachable_machine_frozen():
    return _teachable(False)


def transfer():
    inputs = L.Input((SIZE, SIZE, 3))
    x = L.RandomFlip("horizontal")(L.Rescaling(1 / 127.5, -1)(inputs))
    x = L.GlobalAveragePooling2D()(_backbone()(x, training=False))
    return keras2.Model(inputs, L.Dense(1, activation="sigmoid")(L.Dropout(0.2)(x)))


def shared_layers_merges_and_slashes():
    inputs = L.Input((SIZE, SIZE, 3), name="in/put")
    x = L.Conv2D(4, 3, activation="hard_sigmoid", name="block1/conv")(inputs)
    shared = L.Conv2D(4, 3, padding="same", activation="relu", name="conv")
    first = shared(x)
    x = L.Concatenate(name="mix/cat")([first, shared(first), L.Subtract()([x, first])])
    x = L.LeakyReLU(0.2)(L.SeparableConv2D(4, 3, activation="swish")(x))
    x = L.UpSampling2D(interpolation="bilinear")(L.AveragePooling2D()(L.Conv2DTranspose(3, 3)(x)))
    x = L.Multiply()([x, L.GlobalAveragePooling2D(keepdims=True)(x)])
    return keras2.Model(inputs, L.Softmax()(L.Dense(4, name="out/logits")(L.Flatten()(x))))


def operators():
    inputs = L.Input((SIZE, SIZE, 3))
    x = tf.nn.relu(L.Conv2D(4, 3)(inputs * 2.0 - 1.0))
    x = x + L.Conv2D(4, 1, activation="tanh")(x)
    return keras2.Model(inputs, L.Dense(3)(tf.reduce_mean(x[:, 1:-1], axis=(1, 2))))


def half_precision():
    keras2.mixed_precision.set_global_policy("mixed_float16")
    try:
        inputs = L.Input((SIZE, SIZE, 3))
        x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu")(inputs))
        return keras2.Model(inputs, L.Dense(3, dtype="float32")(x))
    finally:
        keras2.mixed_precision.set_global_policy("float32")


BUILDS = [
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    teachable_machine,
    teachable_machine_frozen,
    transfer,
    shared_layers_merges_and_slashes,
    operators,
    half_precision,
]


def trained(build: Callable):
    """The model with weights as training leaves them: no two alike, variances positive."""
    model, random = build(), np.random.default_rng(0)

    def value(variable) -> np.ndarray:
        kind, shape = variable.name.rpartition("/")[2].partition(":")[0], variable.shape
        if kind in ("gamma", "moving_variance"):
            return random.uniform(0.7, 1.5, shape)
        fan_in = np.prod(shape[:2] if "depthwise" in kind else shape[:-1])
        return random.normal(0, np.sqrt(2 / fan_in) if len(shape) > 1 else 0.3, shape)

    model.set_weights([value(variable) for variable in model.weights])
    return model


def pictures(model) -> np.ndarray:
    """Three of different brightness, so that they are told apart even by a mean over space."""
    noise = np.random.default_rng(1).uniform(0, 3, (3, *model.input_shape[1:]))
    return (noise * np.array([1, 4, 12]).reshape(3, 1, 1, 1)).astype(np.float32)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
def test_they_predict_what_they_predicted_when_saved(build: Callable, tmp_path: Path):
    model = trained(build)
    model.save(tmp_path / "model.h5", save_format="h5")
    network = load_network(tmp_path / "model.h5")
    inputs = pictures(model)
    expected = model(inputs, training=False).numpy()
    apart = np.ptp(expected, axis=0).max()  # what the weights make of three pictures
    assert apart > 1e-4
    np.testing.assert_allclose(network.model(inputs, training=False), expected, rtol=0, atol=0.02 * apart)
    assert all("/" not in layer.name for layer in network.model.layers)


def test_maps_and_heatmap_of_a_teachable_machine_are_those_of_keras_2(tmp_path: Path):
    model = trained(teachable_machine)
    for dense in model.layers[1].layers:  # or a ReLU that is off would leave no evidence to compare
        dense.set_weights([np.abs(weight) for weight in dense.get_weights()])
    model.save(tmp_path / "keras_model.h5", save_format="h5")
    network = load_network(tmp_path / "keras_model.h5", preprocess=lambda pixels: pixels / 127.5 - 1)
    photograph = cnnvis.sample_images()["cat"]
    path = "sequential_1/backbone/sum"
    assert network.default_layer.path == path

    features, head = model.layers
    backbone = features.layers[0]
    inputs = network.prepare(photograph)
    expected = backbone(inputs, training=False).numpy()[0]
    np.testing.assert_allclose(cnnvis.feature_maps(network, photograph, path).values, expected, atol=1e-5)

    first, second = head.layers
    with tf.GradientTape() as tape:
        maps = tf.constant(expected[None])
        tape.watch(maps)
        score = (first(features.layers[1](maps)) @ second.kernel)[0, 0]
    heat = grad_cam(expected[None], tape.gradient(score, maps).numpy())
    assert heat.max() > 0
    found = cnnvis.explain(network, photograph, "grad-cam", layer=path, target=0).values
    np.testing.assert_allclose(found * heat.max(), heat, atol=1e-4 * heat.max())


def test_a_description_with_its_weights(tmp_path: Path):
    model = trained(mobilenet_v1)
    (tmp_path / "model.json").write_text(model.to_json())
    model.save_weights(tmp_path / "model.h5")
    network = load_network(tmp_path / "model.json", weights=tmp_path / "model.h5")
    inputs = pictures(model)
    np.testing.assert_allclose(network.model(inputs), model(inputs, training=False), rtol=1e-4, atol=1e-5)
    with pytest.raises(NetworkLoadError, match="without its weights"):
        load_network(tmp_path / "model.json")
    other = trained(transfer)
    other.save_weights(tmp_path / "other.h5")
    with pytest.raises(NetworkLoadError, match="it has weights for 2 layers"):
        load_network(tmp_path / "model.json", weights=tmp_path / "other.h5")


def test_a_description_of_keras_3_with_its_weights(tmp_path: Path):
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.GlobalAveragePooling2D()]
    )
    (tmp_path / "model.json").write_text(model.to_json())
    model.save_weights(tmp_path / "model.weights.h5")
    network = load_network(str(tmp_path / "model.json"), weights=tmp_path / "model.weights.h5")
    inputs = np.ones((1, 8, 8, 3), np.float32)
    np.testing.assert_allclose(network.model(inputs), model(inputs))


def _edited(path: Path, edit: Callable[[dict], object]) -> Path:
    """The file with its description changed, as an older Keras would have written it."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        edit(config)
        file.attrs["model_config"] = json.dumps(config)
    return path


def test_the_oldest_way_of_writing_a_sequential(tmp_path: Path):
    model = trained(
        lambda: keras2.Sequential([L.Conv2D(4, 3, input_shape=(8, 8, 3)), L.GlobalAveragePooling2D()])
    )
    model.save(tmp_path / "model.h5", save_format="h5")

    def older(config: dict) -> None:
        layers = [layer for layer in config["config"]["layers"] if layer["class_name"] != "InputLayer"]
        layers[0]["config"]["batch_input_shape"] = [None, 8, 8, 3]
        config["config"] = layers

    network = load_network(_edited(tmp_path / "model.h5", older))
    inputs = pictures(model)
    np.testing.assert_allclose(network.model(inputs), model(inputs), rtol=1e-4, atol=1e-4)


def test_a_setting_that_changes_answers_is_not_dropped(tmp_path: Path):
    trained(mobilenet_v1).save(tmp_path / "model.h5", save_format="h5")

    def newer(config: dict) -> None:
        config["config"]["layers"][2]["config"]["sharpness"] = 3

    with pytest.raises(NetworkLoadError, match="Conv2D has no setting sharpness=3"):
        load_network(_edited(tmp_path / "model.h5", newer))


def test_code_is_refused_and_own_classes_are_asked_for(tmp_path: Path):
    class Doubling(L.Layer):
        def call(self, inputs):
            return inputs * 2

    class Doubling3(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2

    def with_layer(layer):
        return keras2.Sequential([L.Input((8, 8, 3)), layer, L.Conv2D(2, 3), L.GlobalAveragePooling2D()])

    path = tmp_path / "model.h5"
    trained(lambda: with_layer(L.Lambda(lambda x: x * 2))).save(path, save_format="h5")
    with pytest.raises(NetworkLoadError, match=r"holds Python code.*allow_code=True"):
        load_network(path)
    model = trained(lambda: with_layer(Doubling(name="twice")))
    model.save(path, save_format="h5")
    with pytest.raises(NetworkLoadError, match=r"'Doubling'.*custom_objects={'Doubling': \.\.\.}"):
        load_network(path)
    network = load_network(path, custom_objects={"Doubling": Doubling3})
    inputs = pictures(model)
    np.testing.assert_allclose(network.model(inputs), model(inputs), rtol=1e-4, atol=1e-4)
