"""A unit that stays off, in the Explorer: which reason is said beside its picture, and that it is not kept as one."""

import keras
import numpy as np
import pytest

from cnnvis_widgets.compute.maximize import find_recipe
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.widgets.parts.filter_picture import grow
from cnnvis_widgets.widgets.stage import Stage


@pytest.fixture(scope="module")
def network():
    """Three units of one pixel each: never on; on where red is bright; always on."""
    inputs = keras.Input((16, 16, 3))
    conv = keras.layers.Conv2D(3, 1, activation="relu", name="conv")
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(conv(inputs)))
    conv.set_weights([np.float32([[[[0, 1, 1], [0, 0, 0], [0, 0, 0]]]]), np.float32([-1, -0.7, 0])])
    return Network(model, preprocess=lambda x: x / 255)


@pytest.mark.parametrize(
    ("unit", "recipe", "message", "beside"),
    [
        (
            0,
            "fourier",
            "It never woke in 48 steps, and is active nowhere on the 4 sample photographs: it may be dead.",
            ["This unit is active nowhere on the 4 sample photographs."],
        ),
        (1, "classic", "It never woke from this start in 20 steps, though it is active on", None),
        (1, "fourier", "", None),
        (2, "classic", "", None),
    ],
)
def test_the_real_reason_is_said(network, unit, recipe, message, beside):
    stage, how = Stage(), find_recipe(recipe)
    for _step in grow(stage, network, network.layer("conv"), unit, how, lambda: False):
        pass
    said = stage.picture_progress.get("message", "")
    assert said.startswith(message) and bool(said) == bool(message)
    assert (stage.patches_said == beside) if beside else (len(stage.patches) and stage.patches_said)
    kept = network.memory.get(("filter", "conv", unit, recipe))
    assert (kept is None) == bool(message), "who asks again may have other luck"
