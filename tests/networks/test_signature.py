"""A network's signature: the same for the same numbers, another for anything that changes what comes out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import pytest
from models import SIZE, functional, subclassed

from cnnvis_widgets.networks import load_network

L = keras.layers


def chain(strides: int = 2, padding: str = "same", activation: str = "relu") -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            L.Input((SIZE, SIZE, 3)),
            L.Conv2D(3, 3, strides=strides, padding=padding, activation=activation),
            L.GlobalAveragePooling2D(),
        ]
    )


def test_names_do_not_matter():
    assert load_network(chain()).signature() == load_network(chain()).signature()
    two = [load_network(subclassed().model, input_size=(SIZE, SIZE)).signature() for _ in range(2)]
    assert two[0] == two[1]


@pytest.mark.parametrize("other", [{"strides": 1}, {"padding": "valid"}, {"activation": "elu"}])
def test_settings_that_no_weight_shows_matter(other: dict):
    assert load_network(chain()).signature() != load_network(chain(**other)).signature()


def test_one_weight_of_one_kernel_matters_and_so_does_preprocessing():
    network = load_network(functional().model)
    before = network.signature()
    kernel = network.model.get_layer("conv1").kernel
    changed = kernel.numpy()
    changed[0, 0, 0, 0] += 1e-6
    kernel.assign(changed)
    assert network.signature() != before
    scaled = load_network(network.model, preprocess=lambda pixels: pixels / 255)
    assert scaled.signature() != network.signature()


def test_which_branch_is_subtracted_matters():
    def model(swap: bool) -> keras.Model:
        keras.utils.set_random_seed(1)
        inputs = L.Input((8, 8, 3))
        x = L.Conv2D(3, 3)(inputs)
        two = [x, L.ReLU()(x)]
        return keras.Model(inputs, L.GlobalAveragePooling2D()(L.Subtract()(two[::-1] if swap else two)))

    assert load_network(model(False)).signature() != load_network(model(True)).signature()


def test_another_process_finds_the_same(tmp_path: Path):
    model = functional().model
    model.save(tmp_path / "model.keras")
    code = (
        "import sys, keras; keras.layers.Conv2D(1, 1); "
        "from cnnvis_widgets import load_network; print(load_network(sys.argv[1]).signature())"
    )
    line = [sys.executable, "-c", code, str(tmp_path / "model.keras")]
    told = subprocess.run(line, check=True, capture_output=True, text=True).stdout.split()[-1]
    assert told == load_network(model).signature()
    assert len(told) == 32
