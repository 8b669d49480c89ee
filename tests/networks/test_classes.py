"""ImageNet's class names: complete, in order, and each meaning one class."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from cnnvis_widgets.networks.classes import imagenet_classes

# Where a name of the usual list means two classes, ours says which.
_TOLD_APART = {
    134: "crane (bird)",
    264: "Cardigan (dog)",
    474: "cardigan (sweater)",
    517: "crane (machine)",
    639: "maillot (tank suit)",
}


def test_there_are_1000_names_and_known_ones_sit_at_known_places():
    names = imagenet_classes()
    assert len(names) == 1000
    known = {
        0: "tench",
        207: "golden retriever",
        281: "tabby",
        340: "zebra",
        817: "sports car",
        999: "toilet tissue",
    }
    assert {index: names[index] for index in known} == known


def test_no_two_classes_share_a_name_whatever_its_case():
    assert len({name.casefold() for name in imagenet_classes()}) == 1000


def test_names_are_clean_text():
    for name in imagenet_classes():
        assert name
        assert name == name.strip()
        assert name.isprintable()
        assert "_" not in name


def test_names_agree_with_an_independent_list(repository: Path):
    table = Path(os.environ.get("CNNVIS_DATA", repository.parent / "shared/data")) / "imagenet_classes.csv"
    if not table.is_file():
        pytest.skip("No imagenet_classes.csv here: set CNNVIS_DATA to its folder to run this test.")
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["index"]) for row in rows] == list(range(1000))
    expected = [_TOLD_APART.get(index, row["name"]) for index, row in enumerate(rows)]
    assert list(imagenet_classes()) == expected
