"""Another class at one of the last layers, from what lies behind it, against a whole run: for every way to end."""

import keras
import numpy as np
import pytest
from models import picture

from cnnvis_widgets.compute import runs
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.networks.randomized import randomized
from cnnvis_widgets.results import Target

L = keras.layers
SIZE, CLASSES = 10, 4
pool, dense = L.GlobalAveragePooling2D, L.Dense


def _gate(maps, early):
    return pool()(L.Multiply()([maps, L.Conv2D(6, 1, activation="sigmoid")(early)]))


def _twice(maps, _early):
    shared = L.Conv2D(6, 3, padding="same", activation="relu", name="shared")
    return pool()(shared(shared(maps)))


# What follows the maps: (the maps, an earlier layer's) -> scores.
HEADS = {
    "pooling and Dense": lambda maps, _: dense(CLASSES, activation="softmax")(pool()(maps)),
    "several sigmoids, Dropout": lambda maps, _: dense(CLASSES, activation="sigmoid")(
        pool()(L.Dropout(0.5)(maps))
    ),
    "one sigmoid": lambda maps, _: dense(1, activation="sigmoid")(pool()(maps)),
    "a map of scores": lambda maps, _: L.Softmax()(L.Conv2D(CLASSES, 1)(maps)),
    "a map of scores from 3x3": lambda maps, _: L.Conv2D(CLASSES, 3)(maps),
    "mean and maximum": lambda maps, _: dense(CLASSES)(
        L.Concatenate()([pool()(maps), L.GlobalMaxPooling2D()(maps)])
    ),
    "a branch past the layer": lambda maps, early: dense(CLASSES)(L.Add()([pool()(maps), pool()(early)])),
    "a branch that gates it": lambda maps, early: dense(CLASSES)(_gate(maps, early)),
    "a layer called twice": lambda maps, early: dense(CLASSES)(_twice(maps, early)),
}


def network_with(head: str, policy: str = "float32") -> Network:
    keras.utils.set_random_seed(5)
    keras.config.set_dtype_policy(policy)
    try:
        inputs = keras.Input((SIZE, SIZE, 3))
        x = early = L.Conv2D(6, 3, padding="same", activation="tanh")(L.Rescaling(1 / 255)(inputs))
        for _ in range(14):  # a way long enough that most of it need not be gone
            x = L.Activation("linear")(x)
        maps = L.Conv2D(6, 3, padding="same", activation="relu", name="maps")(x)
        return Network(keras.Model(inputs, HEADS[head](maps, early)))
    finally:
        keras.config.set_dtype_policy("float32")


def assert_gradients_are_those_of_a_whole_run(network: Network, path: str, monkeypatch, rtol: float) -> None:
    image, count = picture(1, SIZE, SIZE), network.probe.classes
    runs.activations(
        network, image, [path]
    )  # with the scores: what a gradient then needs lies behind the layer
    whole, targets = network.probe.backward, [Target(count - 1, "last")]
    if count > 1:
        targets.append(Target(1, "one - another", weights=((1, 1.0), (2, -0.5))))
    monkeypatch.setattr(network.probe, "backward", None)
    for target in targets:
        _index, _logits, _values, slopes = runs.gradients(network, image, target, [path])
        row = runs.weights(network, target)
        expected = whole(network.prepare(image), row[None], (path,))[2][path][0]
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(slopes[path], expected, rtol=rtol, atol=rtol * np.abs(expected).max())


@pytest.mark.parametrize("head", HEADS)
def test_the_gradient_of_another_class_is_that_of_a_whole_run(head, monkeypatch):
    path = "shared#2" if head == "a layer called twice" else "maps"
    assert_gradients_are_those_of_a_whole_run(network_with(head), path, monkeypatch, 1e-4)


@pytest.mark.parametrize("head", ["pooling and Dense", "mean and maximum"])
def test_also_where_the_network_computes_in_float16(head, monkeypatch):
    assert_gradients_are_those_of_a_whole_run(network_with(head, "mixed_float16"), "maps", monkeypatch, 2e-3)


def test_a_probability_is_no_linear_function_and_takes_a_whole_run():
    network, image = network_with("pooling and Dense"), picture(1, SIZE, SIZE)
    runs.activations(network, image, ["maps"])
    target = Target(1, "probability of one", of="probability")
    slopes = runs.gradients(network, image, target, ["maps"])[3]["maps"]
    logits = network.logits(image)
    chances = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    row = chances[1] * (np.eye(CLASSES)[1] - chances)
    head = network.model.layers[-1].kernel.numpy() / SIZE**2
    np.testing.assert_allclose(slopes, np.broadcast_to(head @ row, slopes.shape), rtol=1e-4)


def test_random_weights_have_gradients_of_their_own():
    """The head's weights are read off a graph that knows the model's own ones alone."""
    network, image = network_with("pooling and Dense"), picture(1, SIZE, SIZE)
    with randomized(network) as weights:
        other = weights.shuffle(weights.layers)
        runs.activations(
            other, image, ["maps"]
        )  # with the scores: what a gradient then needs is behind the layer
        quick = runs.gradients(other, image, Target(1, "one"), ["maps"])[3]["maps"]
        other.forget()
        whole = runs.gradients(other, image, Target(1, "one"), ["maps"])[3]["maps"]
        np.testing.assert_allclose(quick, whole, rtol=1e-4)
    own = runs.gradients(network, image, Target(1, "one"), ["maps"])[3]["maps"]
    assert not np.allclose(whole, own)
