"""Methods that differentiate with respect to the input, against tapes, loops and NumPy written out."""

import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf
from models import BUILDS, SIZE, functional, picture
from oracles import assert_close

from cnnvis_widgets.compute import case as cases
from cnnvis_widgets.compute import gradients
from cnnvis_widgets.compute.case import Case
from cnnvis_widgets.compute.explain import explain
from cnnvis_widgets.errors import MethodError
from cnnvis_widgets.images import load_image
from cnnvis_widgets.networks import load_network
from cnnvis_widgets.networks.network import Network


def network_of(halves, **options):
    return Network(halves.model, input_size=(SIZE, SIZE), **options)


@pytest.mark.parametrize("activation", ["softmax", None])
@pytest.mark.parametrize("build", BUILDS)
def test_gradients_equal_an_eager_tape(build, activation):
    halves, image = BUILDS[build](activation), picture(1)
    inputs = image[None].astype(np.float32)
    slope = oracles.input_gradient(halves.up_to, halves.after, inputs, 3)
    assert_close(explain(network_of(halves), image, "gradient", target=3).raw, np.abs(slope).max(axis=-1))
    assert_close(
        explain(network_of(halves), image, "gradient-x-input", target=3).raw, (slope * inputs[0]).sum(axis=-1)
    )


def test_the_gradient_equals_tf_keras_vis():
    saliency = pytest.importorskip("tf_keras_vis.saliency")
    from tf_keras_vis.utils.scores import CategoricalScore

    halves, image = functional(None), picture(14)
    theirs = saliency.Saliency(halves.model)(
        CategoricalScore(2), image[None].astype(np.float32), normalize_map=False
    )
    assert_close(explain(network_of(halves), image, "gradient", target=2).raw, np.asarray(theirs)[0])


def test_smoothgrad_and_vargrad_are_mean_and_variance_over_noisy_copies(monkeypatch):
    monkeypatch.setattr(cases, "_MOST", 3)  # in several batches
    halves, image = functional(), picture(2)
    inputs = image[None].astype(np.float32)
    random = np.random.default_rng(4)
    slopes = []
    for _ in range(7):
        noise = random.standard_normal(inputs.shape, np.float32)
        noisy = inputs + np.float32(0.2 * (inputs.max() - inputs.min())) * noise
        slopes.append(oracles.input_gradient(halves.up_to, halves.after, noisy, 1))
    options = {"target": 1, "seed": 4, "samples": 7, "noise": 0.2}
    smooth = explain(network_of(halves), image, "smoothgrad", **options)
    assert_close(smooth.raw, np.abs(np.mean(slopes, axis=0)).max(axis=-1), 1e-3)
    variance = explain(network_of(halves), image, "vargrad", **options)
    assert_close(variance.raw, np.var(slopes, axis=0).max(axis=-1), 1e-3)


@pytest.mark.parametrize("build", BUILDS)
def test_integrated_gradients_are_complete(build):
    halves, image = BUILDS[build](), picture(2)
    network = network_of(halves, preprocess=lambda x: x / 255 if build == "nested" else x / 255 - 0.5)
    case = Case(network, image, network.default_layer, network.target(1))
    last, first = (float(halves.after(halves.up_to(x))[0, 1]) for x in (case.inputs, case.baseline))
    heat = explain(network, image, "integrated-gradients", target=1)
    gap = abs(heat.raw.sum(dtype=np.float64) - (last - first)) / abs(last - first)
    assert gap < 0.01
    assert heat.details["completeness gap"] == pytest.approx(gap, abs=1e-4)
    few, many = (
        explain(network, image, "integrated-gradients", target=1, steps=steps).details for steps in (2, 200)
    )
    assert (few["steps"], many["steps"]) == (2, 200)
    assert few["completeness gap"] > many["completeness gap"]


def test_integrated_gradients_take_their_steps_where_the_score_changes():
    """The score rises by 6 within a hundredth of the way: no even spacing of so few steps would meet that."""
    inputs = keras.Input((4, 4, 3))
    scale, shift = keras.layers.Rescaling(600.0, -200.0), keras.layers.Rescaling(1.0, 0.0)
    x = keras.layers.ReLU(max_value=6)(scale(shift(inputs)))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    network = Network(model, preprocess=lambda x: (x - np.float32([124, 117, 104])) / 131)
    image = np.full((4, 4, 3), 255, np.uint8)
    heat = explain(network, image, "integrated-gradients", target=0)
    assert heat.details["completeness gap"] < 0.01
    assert 26 < heat.details["steps"] < 150
    even = explain(network, image, "integrated-gradients", target=0, steps=50)
    assert even.details["steps"] == 50 and even.details["completeness gap"] > 0.01


def test_integrated_gradients_that_never_get_complete_stop_and_say_so(monkeypatch):
    monkeypatch.setattr(gradients, "MOST_STEPS", 60)
    monkeypatch.setattr(gradients, "COMPLETE", -1.0)
    heat = explain(network_of(functional()), picture(2), "integrated-gradients", target=1)
    assert heat.details["steps"] == 60 and heat.details["completeness gap"] >= 0


def test_integrated_gradients_of_a_trained_network_are_complete_to_a_hundredth(
    networks_folder, photos_folder
):
    mean = np.float32([104, 117, 123])
    network = load_network(networks_folder / "squeezenet.keras", preprocess=lambda x: x[..., ::-1] - mean)
    image = load_image(photos_folder / "001_goldfish.jpg")
    heat = explain(network, image, "integrated-gradients")
    case = Case(network, image, network.default_layer, heat.target)
    last, first = case.scores(np.concatenate([case.inputs, case.baseline]))
    assert heat.raw.sum(dtype=np.float64) == pytest.approx(last - first, rel=0.01)
    assert heat.details["steps"] < 150


def test_integrated_gradients_equal_a_sum_over_many_small_steps():
    halves, image = functional(), picture(2)
    network = network_of(halves)
    case = Case(network, image, network.default_layer, network.target(1))
    way, slope = case.inputs - case.baseline, 0
    for share in (np.arange(400) + 0.5) / 400:
        slope = slope + oracles.input_gradient(
            halves.up_to, halves.after, (case.baseline + share * way).astype(np.float32), 1
        )
    expected = (slope / 400 * way[0]).sum(axis=-1)
    heat = explain(network, image, "integrated-gradients", target=1, steps=200)
    np.testing.assert_allclose(heat.raw, expected, atol=0.02 * np.abs(expected).max())
    assert heat.signed and heat.values.min() < 0 < heat.values.max()


def test_a_preprocessing_that_makes_no_numbers_of_an_even_picture_is_survived():
    def standardized(x):
        return (x - x.mean()) / x.std()

    heat = explain(
        network_of(functional(), preprocess=standardized), picture(2), "integrated-gradients", target=1
    )
    assert np.isfinite(heat.raw).all() and heat.raw.any()


# Guided backpropagation and deconvolution: one network of 1x1 convolutions, ReLU written in every way there is.
@keras.saving.register_keras_serializable("tests")
class PlainFunction(keras.layers.Layer):
    def call(self, x):
        return tf.nn.relu(x)


def _relu(kind):
    return {
        "layer": lambda: keras.layers.ReLU(),
        "layer up to 6": lambda: keras.layers.ReLU(max_value=6),
        "layer up to 4": lambda: keras.layers.ReLU(max_value=4),
        "activation": lambda: keras.layers.Activation("relu"),
        "activation up to 6": lambda: keras.layers.Activation("relu6"),
        "plain function": lambda: PlainFunction(),
        "keras function": lambda: keras.ops.relu,
    }[kind]()


def _network(kind):
    inputs = keras.Input((4, 5, 3))
    convs = [keras.layers.Conv2D(6, 1, name=f"conv{i}") for i in (1, 2)]
    if kind == "argument":
        for conv in convs:
            conv.activation = keras.activations.relu
        x = convs[1](convs[0](inputs))
    elif kind == "nested":
        inner = keras.Input((4, 5, 3))
        block = keras.Model(
            inner, keras.layers.ReLU()(convs[1](keras.layers.ReLU()(convs[0](inner)))), name="block"
        )
        x = keras.Sequential([block], name="outer")(inputs)
    else:
        x = _relu(kind)(convs[1](_relu(kind)(convs[0](inputs))))
    dense = keras.layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, dense(keras.layers.GlobalAveragePooling2D()(x)))
    random = np.random.default_rng(1)
    for layer, shape in ((convs[0], (3, 6)), (convs[1], (6, 6))):
        layer.set_weights([random.normal(size=(1, 1, *shape)) / 4, random.normal(size=6)])
    dense.set_weights([random.normal(size=(6, 2))])
    return Network(model, preprocess=lambda x: x / 64), convs, dense


def _backwards(rule, x, convs, dense, target, top):
    """Forward and back through the same network in NumPy; x (4, 5, 3)."""
    (first, bias1), (second, bias2) = (conv.get_weights() for conv in convs)
    one = x @ first[0, 0] + bias1
    two = np.clip(one, 0, top) @ second[0, 0] + bias2
    back = np.broadcast_to(dense.get_weights()[0][:, target] / 20, two.shape)
    for before, weights in ((two, second), (one, first)):
        open_to = (before > 0) & (before < top)
        if rule == "guided":
            back = np.where(open_to & (back > 0), back, 0)
        elif rule == "deconvolution":
            # A clip above 6 is part of ReLU6, which the rule replaces; above anything else an operation of its own.
            back = np.where((back > 0) & ((before < top) | (top == 6)), back, 0)
        else:
            back = np.where(open_to, back, 0)
        back = back @ weights[0, 0].T
    return np.abs(back).max(axis=-1)


KINDS = {
    "layer": np.inf,
    "layer up to 6": 6,
    "layer up to 4": 4,
    "activation": np.inf,
    "activation up to 6": 6,
    "plain function": np.inf,
    "keras function": np.inf,
    "argument": np.inf,
    "nested": np.inf,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_relu_is_guided_however_it_is_written(kind):
    network, convs, dense = _network(kind)
    image = picture(5, 4, 5)
    x = image / np.float32(64)
    maps = {}
    names = {"": "gradient", "guided": "guided-backpropagation", "deconvolution": "deconvolution"}
    for rule, name in names.items():
        maps[rule] = explain(network, image, name, target=1).raw
        assert_close(maps[rule], _backwards(rule, x, convs, dense, 1, KINDS[kind]))
    assert not np.allclose(maps["guided"], maps[""]) and not np.allclose(
        maps["guided"], maps["deconvolution"]
    )
    np.testing.assert_array_equal(explain(network, image, "gradient", target=1).raw, maps[""])


def test_guided_backpropagation_by_hand():
    """S = ReLU(x) - 2 ReLU(x), mean over 2 pixels: the gradient is -1/2, guided only the first unit's 1/2."""
    inputs = keras.Input((1, 2, 1))
    conv = keras.layers.Conv2D(2, 1, activation="relu", use_bias=False)
    dense = keras.layers.Dense(1, use_bias=False)
    network = Network(keras.Model(inputs, dense(keras.layers.GlobalAveragePooling2D()(conv(inputs)))))
    conv.set_weights([np.ones((1, 1, 1, 2))])
    dense.set_weights([np.array([[1.0], [-2.0]])])
    image = np.full((1, 2, 3), 50, np.uint8)
    np.testing.assert_allclose(explain(network, image, "gradient").raw, [[0.5, 0.5]], rtol=1e-5)
    np.testing.assert_allclose(explain(network, image, "gradient-x-input").raw, [[-25, -25]], rtol=1e-4)
    np.testing.assert_allclose(explain(network, image, "guided-backpropagation").raw, [[0.5, 0.5]], rtol=1e-5)
    conv.set_weights([np.array([[[[1.0, -1.0]]]])])  # the second unit is off: the deconvolution does not mind
    dense.set_weights([np.array([[1.0], [4.0]])])
    network.forget()
    np.testing.assert_allclose(explain(network, image, "guided-backpropagation").raw, [[0.5, 0.5]], rtol=1e-5)
    np.testing.assert_allclose(explain(network, image, "deconvolution").raw, [[1.5, 1.5]], rtol=1e-5)


@pytest.mark.parametrize("name", ["guided-backpropagation", "deconvolution"])
def test_a_network_without_relu_is_told_so(name):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, activation="tanh")(inputs)
    network = Network(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(MethodError, match="has no ReLU"):
        explain(network, picture(0, 8, 8), name)


def test_guided_grad_cam_is_the_product():
    network, image = network_of(functional()), picture(6)
    guided = explain(network, image, "guided-backpropagation", target=1).raw
    where = tf.image.resize(explain(network, image, "grad-cam", "relu", 1).raw[..., None], (SIZE, SIZE))[
        ..., 0
    ]
    assert_close(explain(network, image, "guided-grad-cam", "relu", 1).raw, guided * where.numpy())


@pytest.mark.parametrize("activation", ["softmax", None])
@pytest.mark.parametrize("build", BUILDS)
def test_all_terms_of_fullgrad_sum_to_the_score(build, activation):
    # So dark that no ReLU6 is above 6: what it cuts off would be a constant that nobody adds.
    network = network_of(BUILDS[build](activation), preprocess=lambda x: x / 1024)
    heat = explain(network, picture(0), "fullgrad", target=1)
    assert heat.raw.any() and abs(heat.score) > 1e-3
    assert heat.details["completeness gap"] < 1e-4


@keras.saving.register_keras_serializable("tests")
class Negative(keras.layers.Layer):
    def call(self, x):
        return 1.0 - x


def test_fullgrad_finds_what_is_taken_away_and_what_something_is_taken_from():
    keras.utils.set_random_seed(5)
    inputs = keras.Input((6, 6, 3))
    normalized = keras.layers.Normalization(mean=[0.2, 0.4, 0.1], variance=[2.0, 3.0, 4.0])(inputs)
    x = keras.layers.Conv2D(4, 3, activation="relu")(Negative()(normalized))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x)))
    heat = explain(Network(model, preprocess=lambda x: x / 255), picture(0, 6, 6), "fullgrad", target=1)
    assert abs(heat.score) > 1e-3 and heat.details["completeness gap"] < 1e-4


def test_fullgrad_equals_a_plain_reimplementation():
    halves, image = functional(None), picture(3) // 32
    conv1, conv2, bn, dense = (halves.model.get_layer(name) for name in ("conv1", "conv2", "bn", "out"))
    conv1.bias.assign(np.linspace(-1, 1, 6))
    conv2.bias.assign(np.linspace(1, -2, 8))
    x = tf.constant(image[None].astype(np.float32))
    inverse = bn.gamma / tf.sqrt(bn.moving_variance + bn.epsilon)
    shift = bn.beta - bn.moving_mean * inverse
    with tf.GradientTape() as tape:
        tape.watch(x)
        one = tf.nn.conv2d(x, conv1.kernel, 1, "SAME") + conv1.bias
        pooled = tf.nn.max_pool2d(tf.nn.relu(one), 2, 2, "VALID")
        two = tf.nn.conv2d(pooled, conv2.kernel, 1, "SAME") + conv2.bias
        three = two * inverse + shift
        score = (tf.reduce_mean(tf.nn.relu6(three), (1, 2)) @ dense.kernel + dense.bias)[0, 1]
    slopes = tape.gradient(score, [x, one, two, three])
    expected = np.zeros((SIZE, SIZE))
    for slope, factor in zip(slopes, (x, conv1.bias, conv2.bias, shift), strict=True):
        size = np.abs((slope * factor).numpy()[0])
        share = (size - size.min()) / (size.max() - size.min())
        expected += tf.image.resize(share, (SIZE, SIZE)).numpy().sum(axis=-1)
    assert_close(explain(network_of(halves), image, "fullgrad", target=1).raw, expected, 1e-3)
