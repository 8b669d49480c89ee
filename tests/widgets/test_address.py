"""Addresses: one text and one meaning, whatever networks and layers are called."""

import random

import pytest

from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.widgets.address import Address, expanded, read, written


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("mobilenet_v2/block_8_expand/137@5,6", Address("mobilenet_v2", "block_8_expand", 137, (5, 6))),
        ("bundled", Address("bundled")),
        ("flowers/backbone/conv1/7", Address("flowers", "backbone/conv1", 7)),
        ("net/3", Address("net", "3")),
        ("net/backbone/3/4", Address("net", "backbone/3", 4)),
        ("net/backbone/%33", Address("net", "backbone/3")),
        ("models/mine.keras/conv1/7@1,2", Address("models/mine.keras", "conv1", 7, (1, 2))),
        ("/home/me/mine.h5", Address("/home/me/mine.h5")),
        ("C:\\models\\mine.keras/conv1/7", Address("C:\\models\\mine.keras", "conv1", 7)),
        ("a%2Fb/conv#2/7", Address("a/b", "conv#2", 7)),
        ("  vgg16/block1_conv1@0,0\n", Address("vgg16", "block1_conv1", None, (0, 0))),
    ],
)
def test_an_address_says(text, address):
    assert read(text) == address


def test_whatever_the_names_are_what_is_written_is_read_again():
    chance = random.Random(7)
    bits = [
        "a",
        "conv",
        "3",
        "07",
        "%",
        "@",
        "@5,6",
        "%2F",
        ".keras",
        ".h5",
        ".HDF5",
        ",",
        "é",
        "層",
        " ",
        "\\",
        "٣",
        "#2",
    ]

    def name(*more):
        return "".join(chance.choice([*bits, *more]) for _ in range(chance.randint(1, 4)))

    for _ in range(20_000):
        layer = "/".join(name() for _ in range(chance.randint(1, 3))) if chance.random() < 0.8 else None
        unit = chance.choice([None, 0, 3, 2047]) if layer else None
        position = chance.choice([None, (0, 0), (5, 111)]) if layer else None
        address = Address(name("/"), layer, unit, position)
        assert read(written(address)) == address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty piece"),
        ("net//3", "empty piece"),
        ("net/conv/@5,6", "empty piece"),
        ("net@5,6", "names a position but no layer"),
        ("net/conv/3@5", "does not end in a position"),
        ("net/conv/3@-1,2", "does not end in a position"),
    ],
)
def test_what_is_no_address_is_said_in_one_sentence(text, words):
    with pytest.raises(CnnvisError, match=words) as caught:
        read(text)
    assert "network/layer/unit@y,x" in str(caught.value) and "\n" not in str(caught.value)


def test_a_unit_without_a_layer_has_no_address():
    with pytest.raises(CnnvisError, match="belongs to a layer"):
        written(Address("net", None, 3))


def test_names_and_paths_are_no_addresses(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for source in ("vgg16", "a/b", "models/mine.keras", str(folder), 7):
        assert expanded({"network": source}, ["a/b"]) == {"network": source}


def test_what_is_said_beside_an_address_wins():
    assert expanded({"network": "net/conv/3", "unit": 4}, []) == {
        "network": "net",
        "layer": "conv",
        "unit": 4,
        "position": None,
    }
