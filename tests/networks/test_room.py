"""What cannot fit into memory is a sentence before it is tried, and what fits runs on."""

from __future__ import annotations

import keras
import pytest
from models import picture

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.maximize import maximize_filters
from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.networks import load_network, room

L = keras.layers


def any_size() -> keras.Model:
    return keras.Sequential(
        [L.Input((None, None, 3)), L.Conv2D(64, 3, name="conv"), L.GlobalAveragePooling2D()]
    )


@pytest.mark.skipif(room.available() is None, reason="this system does not say how much memory is free")
def test_a_run_that_cannot_fit_is_refused_in_words_and_the_next_one_works(little_memory):
    large = load_network(any_size(), input_size=(3000, 3000))
    image = picture(1)
    for ask in (cnnvis.feature_maps, cnnvis.explain):
        # 2998 x 2998 positions x 64 filters x 4 bytes = 2.3 GB, at least twice
        with pytest.raises(CnnvisError, match=r"needs about \d\.\d GB of memory, and [0-2]\.\d GB are free"):
            ask(large, image, layer="conv")
    assert len(large.memory) == 0
    small = load_network(large.model, input_size=(32, 32))
    assert cnnvis.feature_maps(small, image, "conv").values.shape == (30, 30, 64)


@pytest.mark.skipif(room.available() is None, reason="this system does not say how much memory is free")
@pytest.mark.parametrize("recipe", ["fast", "maco", "classic"])
def test_pictures_that_cannot_fit_are_refused_before_anything_is_drawn(little_memory, recipe):
    network = load_network(any_size(), input_size=(32, 32))
    with pytest.raises(
        CnnvisError, match=r"Drawing 8 pictures of 5000x5000 pixels .* needs about \d+\.\d GB"
    ):
        maximize_filters(network, "conv", range(8), recipe, size=(5000, 5000), steps=1)
    assert maximize_filters(network, "conv", [0], recipe, steps=1).images.shape == (1, 32, 32, 3)


def test_the_estimate_of_a_picture_ends_at_its_layer(monkeypatch):
    asked = []
    monkeypatch.setattr(room, "check", lambda needed, *_words: asked.append(needed))
    deep = [L.Conv2D(16, 3, padding="same", name=f"conv{number}") for number in range(3)]
    model = keras.Sequential([L.Input((20, 20, 3)), *deep, L.GlobalAveragePooling2D()])
    probe = load_network(model).probe
    for paths in (["conv0"], ["conv2"], ["conv0", ""]):
        probe.check_climb(paths, (2, 20, 20, 3), (20, 20))
    maps, scores = 2 * 4 * 20 * 20 * 16, 2 * 4 * 16
    assert asked[1] - asked[0] == 2 * maps and asked[2] - asked[1] == scores
    probe.check_climb(["conv0"], (2, 20, 20, 3), (40, 40))
    assert asked[3] - asked[0] == 2 * 20 * 4 * 3 * (40 * 40 - 20 * 20)  # twenty arrays of the picture's size


def test_the_estimate_follows_size_and_number_of_pictures(monkeypatch):
    asked = []
    monkeypatch.setattr(room, "check", lambda needed, *_words: asked.append(needed))
    probe = load_network(any_size(), input_size=(10, 10)).probe
    of_one = 4 * (8 * 8 * 64 + 64)
    probe._check_room((1, 10, 10, 3))
    probe._check_room((4, 20, 20, 3))
    assert asked[0] in (2 * of_one, 2 * of_one + 8 * 300)  # Keras may run an input layer too
    assert asked[1] == 16 * asked[0]


def test_a_limit_of_this_process_counts(little_memory):
    assert room.available() <= 2 * 2**30
    room.check(room.WORTH_ASKING - 1, "This", "do nothing")
    with pytest.raises(CnnvisError, match=r"This needs about 9\.0 GB of memory"):
        room.check(9 * 10**9, "This", "do nothing")
