"""What can be explained besides a class's logit."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import SIZE, functional, picture, sequential
from oracles import assert_close

from cnnvis_widgets.compute.explain import explain
from cnnvis_widgets.errors import CnnvisError, UnknownLayerError
from cnnvis_widgets.images import load_image
from cnnvis_widgets.networks import load_network
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.results import Target


def network_of(halves, **options):
    return Network(halves.model, input_size=(SIZE, SIZE), **options)


def share(network, target, method="gradient-x-input"):
    """A map that is linear in the score."""
    return explain(network, picture(1) // 8, method, target=target)


def test_several_classes_and_one_rather_than_another():
    network = network_of(functional())
    first, second = share(network, 0), share(network, 1)
    both, rather = share(network, [0, 1]), share(network, {"class 0": 1, "class 1": -1})
    assert_close(both.raw, first.raw + second.raw)
    assert_close(rather.raw, first.raw - second.raw, 1e-3)
    assert both.score == pytest.approx(first.score + second.score, rel=1e-4)
    assert rather.score == pytest.approx(first.score - second.score, rel=1e-4)
    assert (both.target.name, rather.target.name) == ("class 0 + class 1", "class 0 - class 1")
    against = share(network, {1: -1})
    assert_close(against.raw, -second.raw)
    assert against.target.name == "not class 1" and against.score == pytest.approx(-second.score)
    assert share(network, {2: 2.5, 0: -1}).target.name == "2.5 class 2 - class 0"
    assert network.target([3]) == network.target({3: 1}) == network.target("class 3") == Target(3, "class 3")


def test_a_layers_map_of_a_combination_is_not_taken_for_the_classs():
    network, image = network_of(sequential()), picture(2)
    plain = explain(network, image, "grad-cam", target=1)
    rather = explain(network, image, "grad-cam", target={1: 1, 0: -1})
    assert not np.allclose(plain.raw, rather.raw)
    np.testing.assert_array_equal(explain(network, image, "grad-cam", target=1).raw, plain.raw)
    np.testing.assert_array_equal(
        explain(network, image, "grad-cam", target=network.target(1)).raw, plain.raw
    )


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", None])
def test_a_probability_is_differentiated_through_the_head(activation):
    halves = functional(activation)
    network = network_of(halves)
    x = tf.constant((picture(1) // 8)[None].astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = halves.model(x)
        probability = (tf.nn.softmax(outputs) if activation is None else outputs)[0, 2]
    expected = (tape.gradient(probability, x) * x).numpy()[0].sum(axis=-1)
    heat = share(network, network.target(2).probability)
    assert_close(heat.raw, expected, 1e-3)
    assert heat.score == pytest.approx(float(probability), rel=1e-4)
    assert heat.target.name == "probability of class 2"


def test_one_sigmoid_unit_and_its_negation():
    halves = functional(None)
    out = keras.layers.Dense(1, activation="sigmoid")(halves.model.layers[-2].output)
    network = Network(keras.Model(halves.model.input, out), class_names=["a dog"])
    dog, other = share(network, "a dog"), share(network, {"a dog": -1})
    assert_close(other.raw, -dog.raw)
    assert other.target.name == "not a dog"


def test_a_unit_of_an_inner_layer():
    halves = functional()
    network = network_of(halves)
    x = tf.constant((picture(1) // 8)[None].astype(np.float32))
    up_to = keras.Model(halves.model.input, halves.model.get_layer("conv2").output)
    with tf.GradientTape() as tape:
        tape.watch(x)
        mean = tf.reduce_mean(up_to(x)[0, :, :, 5])
    heat = share(network, network.unit("conv2", 5))
    assert_close(heat.raw, (tape.gradient(mean, x) * x).numpy()[0].sum(axis=-1))
    assert heat.score == pytest.approx(float(mean), rel=1e-4)
    assert heat.target.name == "unit 5 of conv2"
    cam = explain(network, picture(1), "grad-cam", "conv1", network.unit("conv2", 5))
    assert cam.values.any()
    later = explain(network, picture(1), "grad-cam", "relu", network.unit("conv2", 5))
    assert later.message == "no positive evidence for 'unit 5 of conv2' at relu"


@pytest.mark.parametrize(
    "method", ["score-cam", "ablation-cam", "occlusion", "integrated-gradients", "fullgrad"]
)
def test_methods_with_runs_of_their_own_take_any_target(method):
    network = network_of(functional())
    targets = [{0: 1, 1: -1}, network.target([0, 1]).probability, network.unit("relu", 3)]
    maps = [share(network, target, method) for target in targets]
    assert all(np.isfinite(heat.raw).all() for heat in maps)
    assert not np.allclose(maps[0].values, maps[2].values)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("class 1", 1),
        ("1", 1),
        ("class 1 - class 2", {1: 1, 2: -1}),
        ("class 1-class 2", {1: 1, 2: -1}),
        ("1 + 2 - 3", {1: 1, 2: 1, 3: -1}),
        ("2 class 1 - 0.5 class 0", {1: 2, 0: -0.5}),
        ("!class 4", {4: -1}),
        ("not class 4", {4: -1}),
    ],
)
def test_targets_in_words(words, meant):
    network = network_of(functional())
    assert network.target(words) == network.target(meant)


def test_a_targets_name_can_be_said_again():
    network = network_of(functional())
    targets = [network.target({0: 1, 3: -1}), network.target(2).probability, network.unit("conv2", 5)]
    targets += [network.target({1: -1}), network.target([0, 1]).probability]
    assert [network.target(target.name) for target in targets] == targets


def test_names_that_hold_signs_and_numbers_are_themselves():
    names = ["T-shirt", "shirt", "7", "hen-of-the-woods", "not a dog"]
    network = network_of(functional(), class_names=names)
    assert network.target("T-shirt") == Target(0, "T-shirt") and network.target("7") == Target(2, "7")
    assert network.target("not a dog") == Target(4, "not a dog")
    assert network.target("T-shirt-shirt") == network.target({0: 1, 1: -1})
    assert network.target("hen-of-the-woods - T-shirt") == network.target({3: 1, 0: -1})
    with pytest.raises(CnnvisError, match="no class 'T-coat'"):
        network.target("T-coat")
    with pytest.raises(CnnvisError, match="9 was asked for"):
        network.target("9")
    with pytest.raises(UnknownLayerError, match="no layer 'nowhere'"):
        network.target("unit 5 of nowhere")


def test_a_probabilitys_map_is_that_of_a_class_rather_than_the_top_one(networks_folder, photos_folder):
    """What the first recipe differentiated, the softmax's output p: its slope is p_c (g_c - sum of p_k g_k)."""
    network = load_network("mobilenet_v2", weights=networks_folder / "mobilenet_v2.weights.h5")
    image = load_image(photos_folder / "340_zebra.jpg")
    top, *others = (prediction.index for prediction in network.predict(image, top=4))

    def alike(one, other):
        maps = [explain(network, image, "hires-cam", target=target).values.ravel() for target in (one, other)]
        return np.corrcoef(maps)[0, 1]

    assert alike(network.target(top), network.target(top).probability) > 0.9
    for other in others:
        probability = network.target(other).probability
        assert alike(network.target(other), probability) < 0.5
        assert alike(network.target({other: 1, top: -1}), probability) > 0.9


def test_errors_name_what_there_is():
    network = network_of(functional())
    with pytest.raises(CnnvisError, match=r"5 classes, 0 to 4; 7 was asked"):
        network.target({7: 1})
    with pytest.raises(CnnvisError, match="no class 'cat'"):
        network.target(["cat", 1])
    with pytest.raises(CnnvisError, match="at least one of them"):
        network.target([])
    with pytest.raises(CnnvisError, match=r"'conv2' has units 0 to 7; 8 was asked"):
        network.unit("conv2", 8)
    with pytest.raises(UnknownLayerError, match="no layer 'conv9'"):
        network.unit("conv9", 0)
