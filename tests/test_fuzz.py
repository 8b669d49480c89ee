"""A short seeded run of the fuzzer, and properties that hold for every picture, state and layer name."""

from __future__ import annotations

import fuzz
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from models import picture

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import ImageError
from cnnvis_widgets.images import load_image, resize
from cnnvis_widgets.networks import load_network
from cnnvis_widgets.widgets.controls import TOP

SHORT = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def test_every_valid_picture_is_read():
    assert [fuzz.try_picture(content) for content in fuzz.valid_pictures()] == ["read"] * len(
        fuzz.valid_pictures()
    )
    assert len(fuzz.valid_pictures()) >= 12


def test_damaged_pictures_become_a_picture_or_a_sentence():
    outcomes, failures, _slowest = fuzz.images(1500)
    assert failures == []
    assert min(outcomes["read"], outcomes["refused"]) > 100  # both happen, so the damage is worth its name


def test_damaged_network_files_become_a_network_or_a_sentence():
    outcomes, failures, _slowest = fuzz.models(60)
    assert failures == []
    assert outcomes["refused"] > 10


def test_the_fuzzer_notices_another_error():
    def attempt(_random):
        raise KeyError("superblock")

    outcomes, failures, _slowest = fuzz.run(attempt, 2, seed=5)
    assert outcomes == {"failed": 2} and failures[1] == "seed 6: KeyError: 'superblock'"


ARRAYS = hnp.arrays(
    st.sampled_from([np.uint8, np.uint16, np.int16, np.float16, np.float32, np.float64, bool]),
    hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=6),
)


@SHORT
@given(ARRAYS)
def test_any_array_becomes_rgb_or_a_sentence(array: np.ndarray):
    before = array.copy()
    pixels, said = None, "."
    try:
        pixels = load_image(array)
    except ImageError as error:
        said = str(error)
    np.testing.assert_array_equal(array, before)
    assert said.endswith(".") and "\n" not in said
    if pixels is None:
        return
    assert pixels.dtype == np.uint8 and pixels.shape == (*array.shape[:2], 3) and pixels.flags.c_contiguous
    np.testing.assert_array_equal(load_image(pixels), pixels)  # once a picture, it stays one


@SHORT
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
)
def test_resizing_never_leaves_the_values_there_were(image: np.ndarray, size: tuple[int, int]):
    result = resize(image, size)
    assert result.shape == (*size, 3)
    assert image.min() <= result.min() and result.max() <= image.max()


# Keras takes any name without "/"; TensorFlow only letters, digits and a few signs.
NAMES = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="/\0"), min_size=1, max_size=12
)


@settings(SHORT, max_examples=12)
@given(st.lists(NAMES, min_size=2, max_size=2, unique=True))
def test_any_name_of_a_layer_is_its_path(names: list[str]):
    layers = [keras.layers.Conv2D(2, 1, name=name) for name in names]
    model = keras.Sequential([keras.layers.Input((4, 4, 3)), *layers, keras.layers.GlobalAveragePooling2D()])
    network, image = load_network(model), picture(1, 4, 4)
    assert [layer.path for layer in network.layers][:2] == names
    first = layers[0](network.prepare(image))[0]
    np.testing.assert_allclose(
        cnnvis.feature_maps(network, image, names[0]).values, first, rtol=1e-4, atol=1e-3
    )


STATES = st.fixed_dictionaries(
    {},
    optional={
        "layer": st.sampled_from(["block1_conv1", "block4_conv1", "no such layer", "", 7, None]),
        "unit": st.one_of(st.integers(-3, 400), st.none(), st.text(max_size=3)),
        "target": st.one_of(st.integers(-3, 20), st.sampled_from(["dog", "no such class", None, 1.5])),
        "method": st.sampled_from(["grad-cam", "gradient", "no such method", None]),
        "image": st.sampled_from(["cat", "rocket", "no such picture", None]),
        "opacity": st.one_of(st.floats(-1, 2), st.none()),
    },
)


@pytest.fixture(scope="module")
def explorer():
    explorer = cnnvis.Explorer()
    yield explorer
    explorer.close()


@settings(SHORT, max_examples=25)
@given(STATES)
def test_any_state_is_shown_whole_or_refused_whole(explorer, wanted: dict):
    before = explorer.state
    refused = ""
    try:
        explorer.update(**wanted)
    except cnnvis.CnnvisError as error:
        refused = str(error)
    state = explorer.state
    if refused:
        assert state == before
        return
    for name, value in wanted.items():
        if name in ("layer", "method", "image") and value is not None:
            assert state[name] == value
    assert explorer.feature_map.shape == explorer.network.layer(state["layer"]).shape[:2]


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("layer"), st.sampled_from(["block1_conv1", "block2_conv2", "block4_add"])),
        st.tuples(st.just("unit"), st.integers(0, 15)),
        st.tuples(st.just("target"), st.integers(TOP, 9)),
        st.tuples(st.just("opacity"), st.integers(0, 20).map(lambda step: step / 20)),
        st.tuples(st.just("image"), st.sampled_from(["cat", "rocket"])),
    ),
    min_size=1,
    max_size=12,
)


@settings(SHORT, max_examples=15)
@given(MOVES)
def test_any_sequence_of_moves_ends_where_the_hand_stopped(explorer, moves: list):
    """Sliders and lists moved without waiting, as by a hand that is quicker than the kernel."""
    explorer.update(layer="block1_conv1", unit=0, image="cat", target=None, opacity=0.4, method="grad-cam")
    for name, value in moves:
        if name in ("unit", "opacity"):  # linked in the browser, which tells the stage
            setattr(explorer.stage, name, value)
        getattr(explorer.controls, name).value = value
    state, last = explorer.state, dict(moves)
    for name in {"layer", "image", "opacity"} & last.keys():
        assert state[name] == last[name]
    if "target" in last:
        assert state["target"] == (None if last["target"] == TOP else last["target"])
    if "unit" in last and all(name != "layer" for name, _value in moves):
        assert state["unit"] == last["unit"]
    network, image = explorer.network, cnnvis.sample_images()[state["image"]]
    maps = cnnvis.feature_maps(network, image, state["layer"]).values
    np.testing.assert_array_equal(explorer.feature_map, maps[..., state["unit"]])
    heat = cnnvis.explain(network, image, layer=state["layer"], target=state["target"])
    np.testing.assert_array_equal(explorer.heatmap.values, heat.values)
