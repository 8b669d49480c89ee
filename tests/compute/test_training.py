"""A recorded training is what the network was at each epoch, and recording changes nothing about it."""

import keras
import numpy as np
import pytest

import cnnvis_widgets as cnnvis

LAYERS = keras.layers


def make() -> keras.Model:
    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            LAYERS.Rescaling(1 / 255),
            LAYERS.Conv2D(4, 3, activation="relu", name="first"),
            LAYERS.Conv2D(5, 3, activation="relu", name="second"),
            LAYERS.GlobalAveragePooling2D(),
            LAYERS.Dense(3, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Three kinds of pictures, told apart by their colour."""
    random = np.random.default_rng(0)
    kinds = random.integers(0, 3, 60)
    images = random.integers(0, 90, (60, 12, 12, 3)).astype(np.uint8)
    images[np.arange(60), 3:9, 3:9, kinds] += 120
    return images, kinds


@pytest.fixture(scope="module")
def recorded(pictures):
    """A recorder after three epochs, its model, and the model's weights at each epoch, kept by other means."""
    images, kinds = pictures
    model, weights = make(), []
    recorder = cnnvis.Recorder(
        {"a": images[0], "b": images[1]}, [0, "blue"], class_names=["red", "green", "blue"]
    )
    keep = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: weights.append(model.get_weights()),
        on_epoch_end=lambda epoch, logs: weights.append(model.get_weights()),
    )
    model.fit(images, kinds, epochs=3, verbose=0, callbacks=[keep, recorder])
    return recorder, model, weights


def test_each_epoch_is_what_the_network_was_then(recorded, pictures):
    recorder, _model, weights = recorded
    assert [epoch.number for epoch in recorder.epochs] == [0, 1, 2, 3]
    for epoch, then in zip(recorder.epochs, weights, strict=True):
        again = make()
        again.set_weights(then)
        network = cnnvis.load_network(again, class_names=["red", "green", "blue"])
        np.testing.assert_array_equal(epoch.kernels, np.moveaxis(then[0], -1, 0))
        for image, target, heatmap, answer in zip(
            pictures[0][:2], [0, 2], epoch.heatmaps, epoch.answers, strict=True
        ):
            np.testing.assert_allclose(
                heatmap.raw, cnnvis.explain(network, image, target=target).raw, rtol=1e-4, atol=1e-6
            )
            assert heatmap.target.index == target
            assert answer.name == network.predict(image, top=1)[0].name
    assert recorder.epochs[0].logs == {}
    assert recorder.epochs[3].logs["loss"] < recorder.epochs[1].logs["loss"]
    assert not np.array_equal(recorder.epochs[0].heatmaps[0].raw, recorder.epochs[3].heatmaps[0].raw)


def test_recording_does_not_change_the_training(recorded, pictures):
    _recorder, model, _weights = recorded
    alone = make()
    alone.fit(*pictures, epochs=3, verbose=0)
    for one, other in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_a_second_fit_goes_on_and_another_model_begins_anew(pictures):
    heard = []
    recorder = cnnvis.Recorder(pictures[0][:1], filters="second")
    recorder.listeners.append(lambda epoch: heard.append(epoch.number))
    model = make()
    for _ in range(2):
        model.fit(*pictures, epochs=1, verbose=0, callbacks=[recorder])
    assert heard == [epoch.number for epoch in recorder.epochs] == [0, 1, 2]
    assert recorder.epochs[0].kernels.shape == (5, 3, 3, 4)
    make().fit(*pictures, epochs=1, verbose=0, callbacks=[recorder])
    assert heard == [0, 1, 2, 0, 1]
    assert len(recorder.epochs) == 2


def test_what_does_not_fit_is_said_in_a_sentence(pictures):
    with pytest.raises(cnnvis.CnnvisError, match="at least one picture"):
        cnnvis.Recorder([])
    with pytest.raises(cnnvis.CnnvisError, match="2 pictures and 1 targets"):
        cnnvis.Recorder(pictures[0][:2], [0])
    with pytest.raises(cnnvis.CnnvisError, match="did you mean 'first'"):
        make().fit(
            *pictures, epochs=1, verbose=0, callbacks=[cnnvis.Recorder(pictures[0][:1], filters="frist")]
        )
