"""What cannot fit into memory is a sentence before it is tried, and what fits runs on."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import keras
import pytest
from models import picture

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.networks import load_network, room

L = keras.layers


@pytest.fixture
def little_memory() -> Iterator[None]:
    """This process may take 2 GB more than it has now, as under ``ulimit -v``; with less, other threads die."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    taken = room._entries("/proc/self/status")["VmSize"] * 1024
    resource.setrlimit(resource.RLIMIT_AS, (taken + 2 * 2**30, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


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
