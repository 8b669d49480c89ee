"""What a `Network` promises whoever made the model: refusals in a sentence, remembered answers that are true."""

from __future__ import annotations

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from models import CLASSES, SIZE, Subclassed, functional, picture

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.feature_maps import feature_maps
from cnnvis_widgets.errors import CnnvisError, NetworkLoadError, UnknownLayerError, did_you_mean
from cnnvis_widgets.networks import load_network, probe
from cnnvis_widgets.networks.network import Network

L = keras.layers


def sentence_of(call, *arguments, kind=CnnvisError, **options) -> str:
    with pytest.raises(kind) as caught:
        call(*arguments, **options)
    text = str(caught.value)
    assert "\n" not in text and "\x1b" not in text and text.endswith((".", "?")), text
    return text


def model_of(*layers, size=SIZE, channels=3):
    return keras.Sequential([L.Input((size, size, channels)), *layers])


class Python(L.Layer):
    """Fails as people's own layers do, once it is armed."""

    armed = False

    def call(self, x):
        if self.armed:
            raise RuntimeError("my shapes do not match. Further lines")
        return x


class TestRefusals:
    def test_two_outputs(self):
        inputs = L.Input((8, 8, 3))
        x = L.GlobalAveragePooling2D()(inputs)
        model = keras.Model(inputs, [L.Dense(2)(x), L.Dense(3)(x)])
        assert "has 2 outputs" in sentence_of(load_network, model)

    @pytest.mark.parametrize("last", [L.Reshape((SIZE * SIZE, 3)), L.Reshape((SIZE, SIZE, 3, 1))])
    def test_outputs_that_are_no_scores(self, last):
        assert "scores of shape" in sentence_of(load_network, model_of(last))

    def test_a_layer_that_fails(self):
        layer = Python()
        model = model_of(layer, L.GlobalAveragePooling2D())
        layer.armed = True
        text = sentence_of(load_network, model, kind=NetworkLoadError)
        assert text.endswith(": my shapes do not match.")

    def test_a_python_if_on_a_tensor(self):
        class Deciding(keras.Model):
            def call(self, x):
                return tf.reduce_mean(x, axis=(1, 2)) if tf.reduce_mean(x) > 0 else x[:, 0, 0]

        text = sentence_of(load_network, Deciding(name="deciding"), input_size=(8, 8))
        assert "deciding cannot be run" in text and "Python `bool`" in text

    def test_a_subclassed_model_at_another_size_than_it_was_built_for(self):
        class Flat(keras.Model):
            def __init__(self):
                super().__init__(name="flat")
                self.flatten, self.dense = L.Flatten(), L.Dense(2)

            def call(self, x):
                return self.dense(self.flatten(x))

        model = Flat()
        model(np.zeros((1, 8, 8, 3)))
        assert "flat cannot be run on images of 9x9" in sentence_of(load_network, model, input_size=(9, 9))

    def test_a_subclassed_model_that_was_never_called(self):
        text = sentence_of(load_network, Subclassed("softmax"))
        assert "does not say what size it takes" in text

    def test_one_that_was_never_called_but_has_a_size(self):
        network = load_network(Subclassed("softmax"), input_size=(SIZE, SIZE))
        assert [layer.path for layer in network.layers] == ["conv1", "pool", "conv2", "relu"]
        assert feature_maps(network, picture()).values.shape == network.default_layer.shape

    def test_channels_first(self):
        model = keras.Sequential([L.Input((3, 224, 224)), L.Flatten(), L.Dense(2)])
        assert "channels first; load_network(model) makes" in sentence_of(cnnvis.Network, model)

    @pytest.mark.parametrize("size", [32, (32,), (32.5, 32), "32", (0, 32)])
    @pytest.mark.parametrize("name", ["bundled", "mobilenet"])
    def test_input_sizes(self, size, name):
        text = sentence_of(load_network, name, weights="random", input_size=size, kind=NetworkLoadError)
        assert "input_size is (height, width)" in text

    def test_class_names_are_counted_at_once(self):
        text = sentence_of(load_network, model_of(L.Flatten(), L.Dense(2)), class_names=["a"])
        assert "has 2 classes but 1 class name was given" in text

    @pytest.mark.parametrize("target", [[3.7], 3.7, {2.5: 1}, object])
    def test_targets(self, target):
        assert "class's index or name" in sentence_of(Network(functional().model).target, target)

    @pytest.mark.parametrize("target", [[], {}])
    def test_a_target_of_no_class(self, target):
        assert "at least one" in sentence_of(Network(functional().model).target, target)

    def test_a_preprocess_that_fails_or_returns_nothing(self):
        def failing(pixels):
            raise ValueError("no such mean")

        text = sentence_of(Network(functional().model, preprocess=failing).predict, picture())
        assert "preprocess" in text and "ValueError: no such mean" in text
        assert "preprocess made ()" in sentence_of(
            Network(functional().model, preprocess=lambda pixels: None).predict, picture()
        )


def test_a_network_stays_as_it_is():
    network = Network(functional().model)
    assert load_network(network) is network
    assert "already" in sentence_of(load_network, network, class_names=list("abcde"))


def test_unknown_names_say_what_there_is():
    assert did_you_mean("vgg61", ["resnet", "vgg16"]) == "did you mean 'vgg16'?"
    assert did_you_mean("ab", ["abd", "abc"]) in (
        "did you mean 'abd' or 'abc'?",
        "did you mean 'abc' or 'abd'?",
    )
    assert did_you_mean("zzz", [f"layer{i}" for i in range(15)]) == (
        "there are 'layer0', 'layer1', 'layer2' and 12 more."
    )
    assert did_you_mean(None, ["classic"]) == "there is 'classic'."
    network = Network(functional().model)
    text = sentence_of(network.layer, "bm", kind=UnknownLayerError)
    assert "'bn'" not in text, "it suggests layers that no list shows"


class TestMemory:
    def test_answers_are_read_only_and_the_same_object(self):
        network, image = Network(functional().model), picture()
        first = feature_maps(network, image, "conv1").values
        with pytest.raises(ValueError, match="read-only"):
            first[:] = 0
        with pytest.raises(ValueError, match="read-only"):
            network.logits(image)[:] = 0
        feature_maps(network, image, "conv2")  # records all, and must not replace it
        assert feature_maps(network, image, "conv1").values is first

    def test_new_weights_are_noticed(self):
        network, image = Network(functional().model), picture()
        before = network.logits(image)
        network.model.set_weights([weight * 0.5 for weight in network.model.get_weights()])
        assert not np.allclose(network.logits(image), before)

    def test_what_is_asked_together_is_answered_with_one_look_at_the_weights(self, monkeypatch):
        network, image, looks = Network(functional().model), picture(), []
        notice = network.notice_new_weights
        monkeypatch.setattr(
            network, "notice_new_weights", lambda: (looks.append(threading.get_ident()), notice())
        )
        with network.steady():
            before = network.logits(image)
            with network.steady():
                network.model.set_weights([weight * 0.5 for weight in network.model.get_weights()])
                assert network.logits(image) is before and looks == [threading.get_ident()]
            other = threading.Thread(
                target=network.logits, args=(image,)
            )  # who did not ask for that sees them
            other.start()
            other.join()
            assert len(looks) == 2
        assert not np.allclose(network.logits(image), before)

    def test_threads_that_take_the_weights_for_unchanged_do_not_bind_each_other(self):
        network, image = Network(functional().model), picture()
        inside, leave = threading.Event(), threading.Event()

        def work():
            with network.steady():
                inside.set()
                leave.wait(10)

        worker = threading.Thread(target=work)
        worker.start()
        assert inside.wait(10)
        with network.steady():  # enters after the other one, and goes after it
            before = network.logits(image)
            leave.set()
            worker.join()
        network.model.set_weights([weight * 0.5 for weight in network.model.get_weights()])
        assert not np.allclose(network.logits(image), before) and not network._steady  # no thread is left out

    def test_what_is_put_in_with_weights_of_before_is_forgotten(self):
        network, image = Network(functional().model), picture()
        with network.steady():
            before = network.logits(image)
            network.model.set_weights([weight * 0.5 for weight in network.model.get_weights()])
            other = threading.Thread(target=network.notice_new_weights)
            other.start()
            other.join()
            network.memory.put(("logits", network.seen(image)[0]), before)
        assert not np.allclose(network.logits(image), before)

    def test_a_picture_changed_in_place_is_another_picture(self):
        network, image = Network(functional().model), picture()
        before = network.seen(image)[0]
        assert network.seen(image.copy())[0] == before
        image[0, 0] ^= 255
        assert network.seen(image)[0] != before

    def test_training_the_head_alone_is_noticed(self):
        network, image = Network(functional().model), picture()
        for layer in network.model.layers[:-1]:
            layer.trainable = False
        before = network.logits(image)
        network.model.compile("sgd", "sparse_categorical_crossentropy")
        network.model.fit(network.prepare(image), np.array([1]), verbose=0)
        assert not np.allclose(network.logits(image), before)

    def test_forget(self):
        network, image = Network(functional().model, preprocess=lambda pixels: pixels), picture()
        before = network.logits(image)
        network.preprocess = lambda pixels: pixels / 2
        network.forget()
        assert not np.allclose(network.logits(image), before)

    def test_compiled_functions_are_bounded(self, monkeypatch):
        monkeypatch.setattr(probe, "COMPILED", 2)
        network = Network(functional().model)
        inputs = network.prepare(picture())
        for path in ("conv1", "pool", "conv2"):
            network.probe.forward(inputs, (path,))
        assert not network.probe.is_compiled("forward", ("conv1",))
        assert network.probe.is_compiled("forward", ("conv2",))


def test_an_image_means_the_same_everywhere(tmp_path):
    network, image = Network(functional().model), picture()
    keras.utils.save_img(tmp_path / "a.png", image)
    expected = network.logits(image)
    for same in (image.astype(np.float64) / 255, str(tmp_path / "a.png")):
        np.testing.assert_allclose(network.logits(same), expected, rtol=1e-4)
        assert network.predict(same)[0].index == network.predict(image)[0].index
        np.testing.assert_array_equal(network.prepare(same), network.prepare(image))
    assert network.prepare(image[..., 0]).shape == (1, SIZE, SIZE, 3)


def test_probabilities_without_a_known_head_are_left_alone():
    probabilities = L.Lambda(lambda x: tf.math.exp(x) / tf.reduce_sum(tf.math.exp(x), axis=-1, keepdims=True))
    halves = functional(None)
    halves.model.get_layer("out").set_weights([w / 100 for w in halves.model.get_layer("out").get_weights()])
    network, image = Network(keras.Sequential([halves.model, probabilities])), picture()
    expected = np.asarray(network.model(network.prepare(image)))[0]
    np.testing.assert_allclose(
        [p.probability for p in network.predict(image, top=CLASSES)], np.sort(expected)[::-1], rtol=1e-4
    )
    assert network.head == "none" and "no softmax or sigmoid" in repr(network)
    assert "softmax" in repr(Network(functional().model))


def test_a_call_from_another_thread_is_not_recorded():
    halves = functional()
    calls: list = []
    with probe.recording(halves.model, calls):
        thread = threading.Thread(target=lambda: halves.model(np.zeros((1, SIZE, SIZE, 3), np.float32)))
        thread.start()
        thread.join()
        assert calls == []
        halves.model(np.zeros((1, SIZE, SIZE, 3), np.float32))
        assert "conv1" in [path for path, *_rest in calls]
