"""What clumsy hands give to the public functions: each answer is one sentence of this package, nothing else changes."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from models import picture

import cnnvis_widgets as cnnvis

L = keras.layers


class _Thing:
    """Of no use anywhere; the same name in every process, so that several can share the tests."""

    def __repr__(self) -> str:
        return "a thing"


THING = _Thing()
NAN, IMAGE = float("nan"), picture(1, 20, 24)
NUMBERS = (-1, 1.5, NAN, "5", [], True, THING)
SEEDS = (-1, 1.5, NAN, "a", None, 2**32, [1])


@pytest.fixture(scope="module")
def network() -> cnnvis.Network:
    keras.utils.set_random_seed(1)
    layers = [
        L.Conv2D(4, 3, activation="relu", name="conv"),
        L.GlobalAveragePooling2D(name="pool"),
        L.Dense(3),
    ]
    model = keras.Sequential([L.Input((16, 16, 3)), *layers])
    return cnnvis.load_network(model, class_names=["cat", "dog", "bird"])


def sentence_of(call) -> str:
    with pytest.raises(cnnvis.CnnvisError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and text.endswith((".", "?")) and len(text) < 500, text
    return text


@pytest.mark.parametrize("layer", ["Conv", 3, ["conv"], {"a": 1}, NAN, b"conv", "pool", "x" * 1000], ids=str)
def test_layers(network, layer):
    calls = (cnnvis.feature_maps, cnnvis.concepts)
    said = {sentence_of(lambda call=call: call(network, IMAGE, layer)) for call in calls}
    said.add(sentence_of(lambda: cnnvis.explain(network, IMAGE, layer=layer)))
    said.add(sentence_of(lambda: cnnvis.ablate(network, IMAGE, layer, [0])))
    assert len(said) == 1 and "conv" in said.pop()


@pytest.mark.parametrize(
    "target",
    ["fish", 3, -1, 1.5, NAN, True, [], {}, [[0]], {"cat": "x"}, {"cat": NAN}, {"cat": 10**400}, {None: 1}, b"cat",
     np.array([0, 1]), "unit 9 of conv", "cat - fish"],
    ids=repr,
)  # fmt: skip
def test_targets(network, target):
    sentence_of(lambda: cnnvis.explain(network, IMAGE, target=target))


@pytest.mark.parametrize("units", ["a", [9], [-1], [1.5], THING, [[0, 1]], NAN, [None]], ids=repr)
def test_units(network, units):
    sentence_of(lambda: cnnvis.ablate(network, IMAGE, "conv", units))
    sentence_of(lambda: cnnvis.maximize_filters(network, "conv", units))
    sentence_of(lambda: cnnvis.top_patches(network, "conv", [IMAGE], units))
    sentence_of(lambda: cnnvis.unit_card(network, "conv", units))
    sentence_of(lambda: network.unit("conv", units))


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_numbers(network, value):
    assert "top is a whole number" in sentence_of(lambda: network.predict(IMAGE, top=value))
    assert "top is a whole number" in sentence_of(
        lambda: cnnvis.ablate(network, IMAGE, "conv", [0], top=value)
    )
    assert "steps is a" in sentence_of(lambda: cnnvis.maximize_filters(network, "conv", [0], steps=value))
    assert "count is a" in sentence_of(lambda: cnnvis.top_patches(network, "conv", [IMAGE], [0], value))
    assert "masks is a" in sentence_of(lambda: cnnvis.explain(network, IMAGE, "rise", masks=value))
    heatmap = cnnvis.explain(network, IMAGE)
    assert "shallow is a" in sentence_of(lambda: cnnvis.fuse_heatmaps([heatmap], value))


@pytest.mark.parametrize("value", [-1, 2, NAN, "5", None, [], THING], ids=repr)
def test_shares(network, value):
    assert "opacity is a" in sentence_of(lambda: cnnvis.explain(network, IMAGE).overlay(value))
    if value != 2:
        assert "noise is a" in sentence_of(lambda: cnnvis.explain(network, IMAGE, "smoothgrad", noise=value))


@pytest.mark.parametrize("seed", SEEDS, ids=repr)
def test_seeds(network, seed):
    calls = (
        lambda: cnnvis.explain(network, IMAGE, "rise", seed=seed),
        lambda: cnnvis.concepts(network, IMAGE, "conv", 2, seed=seed),
        lambda: cnnvis.maximize_filters(network, "conv", [0], seed=seed),
        lambda: cnnvis.trust(network, IMAGE, seed=seed),
        lambda: cnnvis.evaluate(network, [IMAGE], ["grad-cam"], ["road"], seed=seed),
    )
    for call in calls:
        assert "seed is a whole number" in sentence_of(call)


@pytest.mark.parametrize("things", [5, "grad-cam", None, THING, NAN], ids=repr)
def test_what_should_be_a_list(network, things):
    if things is not None:
        sentence_of(lambda: cnnvis.evaluate(network, [IMAGE], ["grad-cam"], ["road"], targets=things))
        sentence_of(lambda: cnnvis.load_network(network.model, class_names=things))
    sentence_of(lambda: cnnvis.evaluate(network, things))
    sentence_of(lambda: cnnvis.evaluate(network, [IMAGE], things))
    sentence_of(lambda: cnnvis.evaluate(network, [IMAGE], ["grad-cam"], things))
    sentence_of(lambda: cnnvis.fuse_heatmaps(things))
    sentence_of(lambda: cnnvis.fuse_heatmaps([things]))
    sentence_of(lambda: cnnvis.Recorder(things))
    sentence_of(lambda: cnnvis.plot_training(things))
    sentence_of(lambda: cnnvis.plot_training([things]))
    sentence_of(lambda: cnnvis.read_steps(things))
    sentence_of(lambda: cnnvis.TrainingViewer(things))
    sentence_of(lambda: cnnvis.maximize(network, things))
    sentence_of(lambda: cnnvis.explain("bundled", IMAGE))
    sentence_of(lambda: cnnvis.Network(things))


@pytest.mark.parametrize(
    "options",
    [{"preprocess": 5}, {"other_inputs": 5}, {"other_inputs": {"x": "y"}}, {"input": "x"}, {"output": True},
     {"class_names": []}, {"input_size": (1, 1)}, {"nonsense": 1}],
    ids=repr,
)  # fmt: skip
def test_options_of_load_network(options):
    said = sentence_of(lambda: cnnvis.load_network(**options))
    assert next(iter(options)) in said or "class" in said


def test_a_name_with_line_breaks_stays_one_line(tmp_path: Path):
    assert "there is.png" in sentence_of(lambda: cnnvis.load_image(tmp_path / "there\nis.png"))
    assert "cat dog" in sentence_of(lambda: cnnvis.load_image(b"no picture", name="cat\ndog"))


def test_an_explorer_stays_as_it_was(network, tmp_path: Path):
    explorer = cnnvis.Explorer(network, IMAGE, layer="conv", unit=2)
    state, heat, remembered = explorer.state, explorer.heatmap.values.copy(), set(network.memory._arrays)
    wrong = [
        *({"layer": value} for value in ([], {}, NAN, "Conv")),
        *({"pinned": value} for value in (5, "x", [], NAN)),
        *({"position": value} for value in (5, (1,), (NAN, 0), (10**30, 0))),
        *({"target": value} for value in (True, 1.5, "fish", ["cat", "dog"])),
    ]
    for changes in wrong:
        sentence_of(lambda changes=changes: explorer.update(**changes))
    for where in (5, [], "nowhere/conv", "\0"):
        sentence_of(lambda where=where: explorer.open(where))
    page = tmp_path / "page.html"
    for given in ((5,), (None,), ("\0.html",), (page, "a"), (page, NAN), (page, float("inf")), (page, 5, 5)):
        sentence_of(lambda given=given: explorer.to_html(*given))
    assert explorer.state == state and not page.exists()
    np.testing.assert_array_equal(explorer.heatmap.values, heat)
    assert remembered <= set(network.memory._arrays)
    explorer.update(unit=3)
    assert explorer.state == state | {"unit": 3}
    explorer.close()
