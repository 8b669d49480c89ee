"""Models of several inputs or outputs: the person says which, and sees what the model itself computes there."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import SIZE, picture
from oracles import grad_cam

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import NetworkLoadError
from cnnvis_widgets.networks import load_network

L = keras.layers


def two_of_each(as_dictionary: bool = False) -> keras.Model:
    keras.utils.set_random_seed(3)
    photo, facts = L.Input((SIZE, SIZE, 3), name="photo"), L.Input((2,), name="facts")
    maps = L.Conv2D(4, 3, activation="relu", name="conv")(photo)
    joined = L.Concatenate()([L.GlobalAveragePooling2D()(maps), facts])
    kind = L.Dense(5, activation="softmax", name="kind")(joined)
    age = L.Dense(1, activation="sigmoid", name="age")(joined)
    if as_dictionary:
        return keras.Model({"facts": facts, "photo": photo}, {"kind": kind, "age": age}, name="both")
    return keras.Model([facts, photo], [kind, age], name="both")


@pytest.mark.parametrize("as_dictionary", [False, True])
@pytest.mark.parametrize("output", ["kind", "age"])
def test_maps_scores_and_heatmap_are_the_models_own(as_dictionary: bool, output: str):
    model, image = two_of_each(as_dictionary), picture(1)
    held = np.array([1.0, -2.0], np.float32)
    network = load_network(model, input="photo", output=output, other_inputs={"facts": held})
    inputs = network.prepare(image)
    fed = {"facts": held[None], "photo": inputs} if as_dictionary else [held[None], inputs]
    whole = model(fed)
    expected = np.asarray(whole[output] if as_dictionary else whole[["kind", "age"].index(output)])[0]
    found = sorted(network.predict(image), key=lambda one: one.index)
    np.testing.assert_allclose([one.probability for one in found], expected, rtol=1e-4)

    conv, dense = model.get_layer("conv"), model.get_layer(output)
    maps = conv(inputs)
    np.testing.assert_allclose(
        cnnvis.feature_maps(network, image, "conv").values, maps[0], rtol=1e-4, atol=1e-4
    )
    with tf.GradientTape() as tape:
        tape.watch(maps)
        joined = tf.concat([tf.reduce_mean(maps, (1, 2)), held[None]], axis=1)
        score = (joined @ dense.kernel + dense.bias)[0, 0]
    heat = grad_cam(maps.numpy(), tape.gradient(score, maps).numpy())
    np.testing.assert_allclose(
        cnnvis.explain(network, image, layer="conv", target=0).raw, heat, rtol=1e-3, atol=1e-5
    )


def test_other_inputs_are_zeros_where_nothing_is_said_and_an_output_may_be_a_place():
    model, image = two_of_each(), picture(2)
    network = load_network(model, input="photo", output=1)
    expected = model([np.zeros((1, 2)), network.prepare(image)])[1]
    assert network.predict(image)[0].probability == pytest.approx(float(expected[0, 0]), rel=1e-4)
    assert [layer.path for layer in network.layers] == ["conv"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, r"has 2 inputs \('facts', 'photo'\); say which with input="),
        ({"input": "photo"}, r"has 2 outputs \('kind', 'age'\); say which with output="),
        ({"input": "foto", "output": "kind"}, "no input 'foto'; did you mean 'photo'"),
        ({"input": "photo", "output": "knd"}, "no output 'knd'; did you mean 'kind'"),
        ({"input": "photo", "output": 0, "other_inputs": {"fact": [1, 2]}}, "no other input 'fact'.*'facts'"),
        (
            {"input": "photo", "output": 0, "other_inputs": {"facts": [1]}},
            r"takes the shape \(2,\); \(1,\) was",
        ),
        ({"input": "facts", "output": 0}, r"inputs of shape \(None, 2\)"),
    ],
)
def test_what_is_not_said_is_asked_for(options: dict, words: str):
    with pytest.raises(NetworkLoadError, match=words):
        load_network(two_of_each(), **options)


def test_one_of_each_needs_no_names_but_may_have_them():
    inputs = L.Input((SIZE, SIZE, 3), name="photo")
    model = keras.Model(inputs, L.GlobalAveragePooling2D(name="means")(L.Conv2D(2, 3, name="conv")(inputs)))
    image = picture(3)
    expected = load_network(model).logits(image)
    named = load_network(model, input="photo", output="means")
    np.testing.assert_allclose(named.logits(image), expected, rtol=1e-5)


def test_a_subclassed_model_that_answers_with_a_dictionary():
    class Both(keras.Model):
        def __init__(self):
            super().__init__(name="both")
            self.conv, self.pool = L.Conv2D(3, 3, name="conv"), L.GlobalAveragePooling2D()

        def call(self, x):
            maps = self.conv(x)
            return {"sums": self.pool(maps) * 2, "means": self.pool(maps)}

    model, image = Both(), picture(4)
    network = load_network(model, input_size=(SIZE, SIZE), output="means")
    np.testing.assert_allclose(network.logits(image), model(network.prepare(image))["means"][0], rtol=1e-4)
    assert [layer.path for layer in network.layers] == ["conv"]
