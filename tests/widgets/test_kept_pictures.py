"""Filter pictures that outlive the kernel: found again for the same weights, never for others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from models import functional

from cnnvis_widgets.compute.maximize import find_recipe
from cnnvis_widgets.networks import load_network
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.widgets.parts.filter_picture import grow
from cnnvis_widgets.widgets.stage import Stage

RECIPE = find_recipe("classic")


def made(network: Network) -> tuple[bool, np.ndarray]:
    """Whether a picture was made step by step, and the picture."""
    stage = Stage()
    taken = len(list(grow(stage, network, network.layer("conv2"), 2, RECIPE, lambda: False)))
    return taken >= RECIPE.steps, np.frombuffer(stage.picture, np.uint8)


def test_a_new_kernel_shows_it_at_once_and_a_trained_network_makes_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CNNVIS_CACHE", str(tmp_path))
    model = functional().model
    first, picture = made(load_network(model))
    again, same = made(load_network(model))  # remembers nothing, as in a new kernel
    assert first and not again
    np.testing.assert_array_equal(same, picture)
    scaled = load_network(model, preprocess=lambda pixels: pixels / 255)
    assert made(scaled)[0]
    kernel = model.get_layer("conv1").kernel
    kernel.assign(-kernel.numpy())  # no bias changes: only a look at all weights notices
    retrained, other = made(load_network(model))
    assert retrained and not np.array_equal(other, picture)


def test_damaged_entries_are_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CNNVIS_CACHE", str(tmp_path))
    model = functional().model
    _, picture = made(load_network(model))
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(entry.read_bytes()[:-30])
    assert made(load_network(model))[0]
    again, same = made(load_network(model))
    assert not again and np.array_equal(same, picture)
