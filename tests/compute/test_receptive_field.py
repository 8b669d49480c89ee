"""The effective receptive field against finite differences, and within what is possible at all."""

import numpy as np
import pytest
from models import BUILDS, SIZE, functional, picture

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.networks.network import Network


def network_of(halves):
    return Network(halves.model, input_size=(SIZE, SIZE))


@pytest.mark.parametrize("build", BUILDS)
def test_effective_field_equals_finite_differences(build):
    halves, image = BUILDS[build](), picture()
    network = network_of(halves)
    inputs = network.prepare(image)
    value = np.array(halves.up_to(inputs))[0]
    unit, (y, x) = 2, (3, 7)
    if (
        value[y, x, unit] <= 0 or value[y, x, unit] >= 6
    ):  # a shut or saturated ReLU has no gradient to compare
        y, x, unit = np.argwhere((value > 0.5) & (value < 5.5))[0] if (value > 0.5).any() else (y, x, unit)
    field = cnnvis.effective_field(network, image, halves.path, unit, (y, x))
    assert field.shape == (SIZE, SIZE) and field.dtype == np.float32 and field.max() > 0
    step = 1e-2
    for row, column in [*np.argwhere(field > 0.2 * field.max())[:12], (0, 0), (23, 23)]:
        slopes = []
        for channel in range(3):
            pair = np.repeat(inputs, 2, axis=0)
            pair[0, row, column, channel] += step
            pair[1, row, column, channel] -= step
            up, down = np.array(halves.up_to(pair))[:, y, x, unit]
            slopes.append((float(up) - float(down)) / (2 * step))
        assert field[row, column] == pytest.approx(
            np.abs(slopes).sum(), rel=0.05, abs=0.02 * float(field.max())
        )


@pytest.mark.parametrize("build", BUILDS)
def test_the_effective_field_lies_inside_the_theoretical_one(build):
    halves, image = BUILDS[build](), picture(1)
    network = network_of(halves)
    for layer in network.layers:
        theory = network.graph.node(layer.path).field
        for y, x in [(0, 0), (layer.shape[0] - 1, 2), (5, layer.shape[1] - 1)]:
            field = cnnvis.effective_field(network, image, layer, 1, (y, x))
            top, left, bottom, right = theory.seen(y, x)
            outside = field.copy()
            outside[top : bottom + 1, left : right + 1] = 0
            assert not outside.any()


def test_another_unit_or_position_is_not_traced_again():
    network = network_of(functional())
    cnnvis.effective_field(network, picture(), "conv1", 0, (0, 0))
    traces = network.probe.traces
    cnnvis.effective_field(network, picture(), "conv1", 5, (23, 1))
    assert network.probe.traces == traces


@pytest.mark.parametrize(
    ("unit", "position"), [(6, (0, 0)), (0, (24, 0)), (0, (0, -1)), (0, 3), ("a", (0, 0))]
)
def test_what_is_not_there_is_refused(unit, position):
    with pytest.raises(CnnvisError):
        cnnvis.effective_field(network_of(functional()), picture(), "conv1", unit, position)
