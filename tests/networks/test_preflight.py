"""What is said of a network before it is used: facts that are counted by hand, doubts where its input must be wrong."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import cnnvis_widgets as cnnvis
from cnnvis_widgets.cli import main
from cnnvis_widgets.errors import CnnvisWarning
from cnnvis_widgets.networks import load_network

L = keras.layers


def toy(*first, channels: int = 3) -> keras.Model:
    return keras.Sequential(
        [
            L.Input((8, 10, channels)),
            *first,
            L.Conv2D(4, 3, padding="same"),
            L.GlobalAveragePooling2D(),
            L.Dense(5, activation="softmax"),
        ],
        name="toy",
    )


def test_facts_are_counted():
    facts = load_network(toy()).preflight
    assert (facts.input_size, facts.channels, facts.classes, facts.head) == ((8, 10), 3, 5, "softmax")
    assert facts.parameters == (3 * 3 * 3 * 4 + 4) + (4 * 5 + 5)
    assert facts.bytes_of_weights == 4 * facts.parameters
    # Keras runs an input layer too: 8x10x3, then the maps, their means, the scores.
    assert facts.bytes_of_layers - 4 * (8 * 10 * 4 + 4 + 5) in (0, 4 * 8 * 10 * 3)


@pytest.mark.parametrize(
    ("preprocess", "colours", "values"),
    [
        (None, "RGB", (0, 255)),
        (lambda pixels: pixels / 127.5 - 1, "RGB", (-1, 1)),
        (lambda pixels: pixels[..., ::-1] - 100.0, "BGR", (-100, 155)),
    ],
)
def test_colours_and_values_are_found_by_trying(preprocess, colours, values):
    facts = load_network(toy(), preprocess=preprocess).preflight
    assert facts.values == pytest.approx(values)
    assert facts.colours == colours
    assert ("its preprocess" in facts.why) == (preprocess is not None)


def test_grey_and_a_scaling_layer():
    assert load_network(toy(channels=1)).preflight.colours == "grey"
    assert "own layer Rescaling" in load_network(toy(L.Rescaling(1 / 255))).preflight.why


def test_it_is_text_for_people():
    text = str(load_network(toy()).preflight)
    for words in ("8 x 10 pixels", "RGB", "0 (black) to 255 (white)", "assumed", "5 classes, softmax", "MB"):
        assert words in text


def test_right_input_raises_no_doubt_and_wrong_input_does():
    network = load_network()
    assert network.check() == ""
    wrong = load_network(network.model, preprocess=lambda pixels: pixels, class_names=network.class_names)
    with pytest.warns(
        CnnvisWarning, match=r"certain about every photograph.*preprocess=lambda pixels: pixels / 255"
    ):
        assert wrong.check()
    flat = load_network(
        network.model, preprocess=lambda pixels: pixels / 1e6, class_names=network.class_names
    )
    with pytest.warns(CnnvisWarning, match=r"nearly the same.*preprocess=lambda pixels: pixels"):
        assert flat.check()


def test_real_networks(networks_folder: Path):
    path = networks_folder / "flowers_nested.keras"
    assert load_network(path).check() == ""
    with pytest.warns(CnnvisWarning, match=r"nearly the same.*it scales its input itself"):
        load_network(path, preprocess=lambda pixels: pixels / 255).check()


def test_values_that_are_no_numbers():
    model = toy()
    model.layers[-1].bias.assign(np.full(5, np.nan))
    with pytest.warns(CnnvisWarning, match="values that are no numbers"):
        load_network(model).check()


def test_the_command_line_prints_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert main(["check", "bundled"]) == 0
    told = capsys.readouterr().out
    assert "64 x 64 pixels" in told and "look sound" in told
    (top,) = cnnvis.load_network().predict(cnnvis.sample_images()["cat"], top=1)
    assert f"cat       {top.name} {top.probability:.0%}" in told
    model = toy()
    model.save(tmp_path / "toy.keras")
    assert main(["check", str(tmp_path / "toy.keras")]) == 0
    assert "0 (black) to 255 (white): assumed" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "nothing.keras")]) == 1
