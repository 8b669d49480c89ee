"""Several images at once, and the mean over versions of one, against explaining one by one."""

import numpy as np
import pytest
from models import SIZE, functional, nested, picture

from cnnvis_widgets.compute.explain import VERSIONS, explain, explain_steps
from cnnvis_widgets.compute.explain_layers import explain_layers
from cnnvis_widgets.compute.methods import methods
from cnnvis_widgets.errors import MethodError
from cnnvis_widgets.networks.network import Network

AT_ONCE = ("grad-cam", "layer-cam", "gradient", "guided-backpropagation", "score-cam", "integrated-gradients")


def network_of(halves):
    return Network(halves.model, input_size=(SIZE, SIZE))


@pytest.mark.parametrize(
    ("name", "target"), [(name, None) for name in AT_ONCE] + [("grad-cam", 2), ("gradient", {0: 1, 1: -1})]
)
def test_several_images_get_what_each_gets_alone(name, target):
    images = [picture(seed) for seed in range(3)]
    layer = "backbone/conv2"
    together = explain(network_of(nested()), images, name, layer, target)
    network = network_of(nested())
    for image, heat in zip(images, together, strict=True):
        network.forget()
        alone = explain(network, image, name, layer, target)
        scale = max(np.abs(alone.raw).max(), 1e-6)
        np.testing.assert_allclose(heat.raw, alone.raw, rtol=1e-3, atol=1e-3 * scale)
        assert (heat.target, heat.layer) == (alone.target, alone.layer)
        assert heat.score == pytest.approx(alone.score, rel=1e-4)
        np.testing.assert_array_equal(heat.image, image)


@pytest.mark.parametrize("name", ["grad-cam", "gradient"])
def test_several_images_go_through_the_network_together(name, monkeypatch):
    network, images = network_of(functional()), np.stack([picture(seed) for seed in range(5)])
    ran, run = [], network.probe.backward

    def counted(inputs, *rest):
        ran.append(len(inputs))
        return run(inputs, *rest)

    monkeypatch.setattr(network.probe, "backward", counted)
    assert len(explain(network, images, name, target=1)) == 5 and ran == [5]
    assert len(explain(network, images, name, target=1)) == 5 and ran == [5]  # remembered
    ran.clear()
    unit = network.unit("conv2", 5)
    units = explain(network, images, name, "conv1", unit)
    assert ran == [5] and [heat.target for heat in units] == [unit] * 5
    ran.clear()
    small = network_of(functional())
    small.memory.limit = 8 * SIZE * SIZE * 3 * 2 * 2  # room for a few
    run = small.probe.backward
    monkeypatch.setattr(small.probe, "backward", counted)
    ran.clear()
    explain(small, images, name, target=1)
    assert sum(ran) == 5 and 1 < len(ran) < 5


def test_progress_counts_all_images_and_none_of_them_is_no_error():
    told = []
    explain(network_of(functional()), [picture(), picture(1)], progress=lambda *step: told.append(step))
    assert told == [(1, 2), (2, 2)]
    assert explain(network_of(functional()), []) == []


@pytest.mark.parametrize("name", ["grad-cam", "gradient-x-input", "integrated-gradients"])
def test_augmented_is_the_mean_over_six_versions_turned_back(name):
    network, image = network_of(functional()), picture(3)
    heat = explain(network, image, name, target=2, augment=True)
    expected = np.zeros(heat.raw.shape)
    for mirrored in (False, True):
        for brightness in (0.9, 1.0, 1.1):
            version = np.clip(np.rint(image * brightness), 0, 255).astype(np.uint8)
            raw = explain(network, version[:, ::-1] if mirrored else version, name, target=2).raw
            expected += (raw[:, ::-1] if mirrored else raw) / 6
    np.testing.assert_allclose(heat.raw, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    plain = explain(network, image, name, target=2)
    assert heat.score == plain.score and not np.allclose(heat.raw, plain.raw)
    assert heat.details["versions averaged"] == len(VERSIONS) == 6
    np.testing.assert_array_equal(heat.image, image)


def test_the_class_of_all_versions_is_that_of_the_picture_itself():
    network = network_of(functional())
    for seed in range(6):
        heat = explain(network, picture(seed), augment=True)
        assert heat.target.index == network.predict(picture(seed), top=1)[0].index


def test_augmented_work_comes_in_steps_and_with_its_errors():
    network = network_of(functional())
    steps = [step[:2] for step in explain_steps(network, picture(), "grad-cam", augment=True)]
    assert steps == [(number, 6) for number in range(1, 7)]
    with pytest.raises(MethodError, match="grad-cam has no option 'steps'"):
        explain(network, picture(), augment=True, steps=3)
    assert [
        heat.details["versions averaged"] for heat in explain(network, [picture()] * 2, augment=True)
    ] == [6, 6]


@pytest.mark.parametrize("name", ["layer-cam", "ablation-cam"])
@pytest.mark.parametrize("augment", [False, True])
def test_several_layers_of_several_images_are_what_each_is_alone(name, augment):
    network, images = network_of(functional()), [picture(3), picture(4)]
    layers = ["conv2", "relu"]
    found = explain_layers(network, images, name, layers, target=2, augment=augment)
    assert [len(heatmaps) for heatmaps in found] == [2, 2]
    for image, heatmaps in zip(images, found, strict=True):
        for layer, heat in zip(layers, heatmaps, strict=True):
            alone = explain(network, image, name, layer, 2, augment=augment)
            np.testing.assert_allclose(heat.raw, alone.raw, rtol=1e-4, atol=1e-6 * alone.raw.max())
            assert heat.layer.path == layer and heat.augmented == augment
            np.testing.assert_array_equal(heat.image, image)
    (only,) = explain_layers(network, images[:1], name, layers[:1], target=2, augment=augment)
    np.testing.assert_array_equal(only[0].raw, found[0][0].raw)


def test_progress_over_layers_and_images_never_goes_back_and_ends_with_all_of_it():
    network, images = network_of(functional()), [picture(3), picture(4)]
    for verb, name, where in (
        (explain_layers, "ablation-cam", ["conv1", "relu"]),  # 6 channels and 8
        (explain_layers, "grad-cam", ["conv1", "relu"]),
        (explain, "integrated-gradients", None),  # as many steps as it takes
    ):
        told: list[tuple[int, int]] = []
        verb(network, images, name, where, 2, progress=lambda *step, told=told: told.append(step))
        done = [step[0] for step in told]
        assert done == sorted(done) and told[-1][0] == told[-1][1] and all(a <= b for a, b in told)


def test_a_table_row_that_says_a_rule_takes_one_pass():
    for row in methods():
        assert row.rule is None or (row.needs, row.explains) == ("runs", "input")
