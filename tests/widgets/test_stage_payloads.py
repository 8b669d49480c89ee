"""What Python sends to the view: the bytes, the numbers about them, one message for one update."""

from __future__ import annotations

import json
import threading

import cv2
import keras
import numpy as np
import pytest
import skimage.data

from cnnvis_widgets.locale import sentences
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.widgets import payloads
from cnnvis_widgets.widgets import stage as stage_module
from cnnvis_widgets.widgets.payloads import maps_payload, photo_payload
from cnnvis_widgets.widgets.stage import Stage


def sent_maps(payload: dict) -> np.ndarray:
    """The maps as a browser reads them: (c, h, w)."""
    values = np.frombuffer(payload["maps"], "<f2").astype(np.float32) * payload["maps_scale"]
    return values.reshape(payload["maps_shape"])


def test_maps_travel_as_half_floats_unit_after_unit():
    values = np.random.default_rng(0).normal(size=(5, 7, 3)).astype(np.float32)
    payload = maps_payload(values)
    assert payload["maps_shape"] == [3, 5, 7]
    np.testing.assert_allclose(sent_maps(payload)[2], values[..., 2], rtol=1e-3)


def test_numbers_about_a_map_are_those_of_the_full_map_however_small_it_is_sent():
    values = np.zeros((224, 224, 64), np.float32)
    values[100, 3, 5] = 9
    payload = maps_payload(values)
    units, h, w = payload["maps_shape"]
    assert units == 64
    assert units * h * w <= payloads.MAPS_VALUES
    assert sent_maps(payload)[5].max() < 9
    stats = np.frombuffer(payload["maps_stats"], "<f4").reshape(64, 3)
    np.testing.assert_allclose(stats[5], [0, 9, 9 / 224**2], rtol=1e-5)


@pytest.mark.parametrize(("shape", "side"), [((112, 112, 32), 44), ((14, 14, 576), 10), ((8, 8, 256), 8)])
def test_to_a_browser_far_away_maps_go_as_thumbnails(monkeypatch, shape, side):
    values = np.random.default_rng(0).random(shape, np.float32)
    near = payloads.maps_payload(values)
    monkeypatch.setenv("CNNVIS_FAR_AWAY", "1")
    far = payloads.maps_payload(values)
    assert near["maps_shape"] == [shape[2], *shape[:2]]
    assert far["maps_shape"] == [shape[2], side, side]
    assert far["maps_stats"] == near["maps_stats"], "numbers about a map are those of the whole one"
    monkeypatch.setenv("CNNVIS_FAR_AWAY", "0")
    assert payloads.maps_payload(values)["maps_shape"] == near["maps_shape"]


def test_tiles_keep_28_pixels_where_thousands_of_maps_are_sent():
    payload = maps_payload(np.ones((56, 56, 2048), np.float32))
    assert payload["maps_shape"] == [2048, 28, 28]


@pytest.mark.parametrize("size", [1e-7, 3e5])
def test_values_that_half_floats_cannot_hold_keep_three_digits(size: float):
    values = (np.random.default_rng(1).uniform(0.1, 1, (6, 6, 2)) * size).astype(np.float32)
    np.testing.assert_allclose(sent_maps(maps_payload(values)), np.moveaxis(values, -1, 0), rtol=1e-3)


def test_a_map_with_nan_says_so_and_keeps_the_numbers_of_the_rest():
    values = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    values[0, 0, 1] = np.nan
    values[..., 2] = np.nan
    payload = maps_payload(values)
    stats = np.frombuffer(payload["maps_stats"], "<f4").reshape(3, 3)
    np.testing.assert_allclose(stats[0], [0, 9, 4.5])
    np.testing.assert_allclose(stats[1], [4, 10, 7])
    assert np.isnan(stats[2]).all()
    assert np.isnan(sent_maps(payload)[1, 0, 0])


def test_a_small_photograph_travels_unchanged_and_a_large_one_smaller():
    small = skimage.data.chelsea()[:200, :200]
    payload = photo_payload(small, "cat")
    back = cv2.imdecode(np.frombuffer(payload["photo"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(back, small)
    payload = photo_payload(np.zeros((1000, 3000, 3), np.uint8))
    assert payload["photo_size"] == [1000, 3000]
    assert cv2.imdecode(np.frombuffer(payload["photo"], np.uint8), cv2.IMREAD_COLOR).shape == (341, 1024, 3)


def test_one_update_is_its_arrays_and_then_one_message(monkeypatch: pytest.MonkeyPatch):
    stage = Stage()
    messages = []
    monkeypatch.setattr(stage, "_send", lambda message, buffers=None: messages.append(message))
    stage.publish(network="a", photo_name="b", **maps_payload(np.ones((3, 3, 2))))
    assert [message["method"] for message in messages] == ["custom", "update"]
    assert messages[1]["state"]["frame"] == 1
    assert messages[1]["state"]["photo_name"] == "b"


def test_updates_from_two_threads_never_mix():
    stage = Stage()
    seen = []
    stage.observe(lambda _: seen.append((stage.network, stage.photo_name)), "frame")
    threads = [
        threading.Thread(
            target=lambda name=name: [stage.publish(network=name, photo_name=name) for _ in range(50)]
        )
        for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stage.frame == 100
    assert all(network == photo for network, photo in seen)


def test_a_name_that_is_no_trait_is_refused():
    with pytest.raises(AttributeError, match="netwrok"):
        Stage().publish(netwrok="a")


def test_messages_from_the_browser_reach_the_owner_and_a_failure_is_shown():
    stage = Stage()
    pictures, units = [], []
    stage.on("image", lambda content, buffers: pictures.append((content["name"], bytes(buffers[0]))))
    stage.on("detail", lambda content, _buffers: units.append(content["unit"]))
    stage._receive(stage, {"type": "image", "name": "cat.png"}, [memoryview(b"abc")])
    stage._receive(stage, {"type": "detail", "unit": 5, "frame": 1}, [])
    assert (pictures, units) == ([("cat.png", b"abc")], [5])

    def refuse(content: dict, _buffers: list) -> None:
        raise ValueError(f"{content['name']} is no picture")

    stage.on("image", refuse)
    stage._receive(stage, {"type": "image", "name": "cat.txt"}, [memoryview(b"abc")])
    assert stage.error == "cat.txt is no picture"


def test_every_sentence_that_the_view_asks_for_exists():
    import re

    keys = set(re.findall(r'"(stage\.[a-z_.]+[a-z])"', stage_module.module_text()))
    assert len(keys) > 30
    assert keys <= set(sentences("en"))


def test_the_front_end_stays_small_and_free_of_comments():
    assert len(stage_module.module_text().encode()) + len(stage_module.style_text().encode()) < 175_500
    assert "/**" not in stage_module.module_text()
    assert "function render(" in stage_module.module_text()
    json.dumps(payloads.stage_texts("en"))


def test_a_network_of_four_hundred_layers_is_sent_in_less_than_60_kb(wide_network: Network):
    graph = payloads.graph_payload(wide_network)["graph"]
    assert len(graph["nodes"]) > 400
    assert len(json.dumps(graph)) < 60_000


def test_the_graph_that_is_sent_has_paths_branches_and_fields():
    """Two 3x3 convolutions beside a shortcut, after a pool of 2: sizes and jumps worked out by hand."""
    picture = keras.Input((8, 12, 3), name="image")
    halved = keras.layers.MaxPooling2D(2, name="halved")(picture)
    branch = keras.layers.Conv2D(4, 3, padding="same", name="first")(halved)
    branch = keras.layers.Conv2D(3, 3, padding="same", name="second")(branch)
    both = keras.layers.Add(name="both")([halved, branch])
    scores = keras.layers.Dense(2, name="scores")(keras.layers.GlobalAveragePooling2D(name="mean")(both))
    graph = payloads.graph_payload(Network(keras.Model(picture, scores)))["graph"]
    assert graph == {
        "input": [8, 12],
        "nodes": [
            ["input", "input", "InputLayer", [8, 12, 3], 0, [[1, 1, 0], [1, 1, 0]], []],
            ["halved", "pooling", "MaxPooling2D", [4, 6, 3], 0, [[2, 2, 0], [2, 2, 0]], [0]],
            ["first", "convolution", "Conv2D", [4, 6, 4], 112, [[6, 2, -2], [6, 2, -2]], [1]],
            ["second", "convolution", "Conv2D", [4, 6, 3], 111, [[10, 2, -4], [10, 2, -4]], [2]],
            ["both", "merge", "Add", [4, 6, 3], 0, [[10, 2, -4], [10, 2, -4]], [1, 3]],
            ["mean", "pooling", "GlobalAveragePooling2D", [3], 0, "all", [4]],
            ["scores", "other", "Dense", [2], 8, "all", [5]],
        ],
    }


@pytest.fixture(scope="module")
def wide_network() -> Network:
    """Sixty-seven residual blocks of six layers with the names of a ResNet."""
    picture = here = keras.Input((32, 32, 3))
    here = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="conv1_conv")(here)
    for block in range(67):
        name, start = f"conv{2 + block // 20}_block{block % 20 + 1}", here
        for step in (1, 2):
            here = keras.layers.Conv2D(8, 3, padding="same", name=f"{name}_{step}_conv")(here)
            here = keras.layers.BatchNormalization(name=f"{name}_{step}_bn")(here)
        here = keras.layers.Add(name=f"{name}_add")([start, here])
        here = keras.layers.ReLU(name=f"{name}_out")(here)
    scores = keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(here))
    return Network(keras.Model(picture, scores))
