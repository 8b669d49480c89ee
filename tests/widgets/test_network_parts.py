"""What the kernel answers to the network strip and to a position pointed at, with the real bundled network."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from models import functional

import cnnvis_widgets as cnnvis
from cnnvis_widgets.jobs.worker import worker
from cnnvis_widgets.networks.network import Network


@pytest.fixture
def explorer() -> Iterator[cnnvis.Explorer]:
    explorer = cnnvis.Explorer()
    yield explorer
    explorer.close()


def place_of_the_strongest(explorer: cnnvis.Explorer) -> tuple[int, int, int]:
    """y, x and unit of the largest activation."""
    values = explorer.feature_maps.values
    y, x, unit = np.unravel_index(values.argmax(), values.shape)
    return int(y), int(x), int(unit)


def ask(explorer: cnnvis.Explorer, **message: object) -> None:
    explorer.stage._receive(None, message, [])


def test_the_layer_chosen_on_the_strip_is_shown(explorer):
    assert explorer.state["layer"] == "block4_add"
    ask(explorer, type="layer", path="block2_conv1")
    assert explorer.state["layer"] == "block2_conv1"
    assert explorer.controls.layer.value == "block2_conv1"


def test_a_layer_that_is_not_there_is_said_and_the_view_stays(explorer):
    assert explorer.state["layer"] == "block4_add"
    ask(explorer, type="layer", path="nowhere")
    assert explorer.state["layer"] == "block4_add"
    assert "nowhere" in explorer.stage.error


def test_the_graph_is_sent_once_a_network_and_holds_all_its_layers(explorer):
    sent = []
    explorer.stage.observe(lambda change: change.new and sent.append(change.new), "graph")
    _ = explorer.state
    explorer.update(layer="block2_conv1")
    explorer.update(image="coffee", target="dog")
    assert len(sent) <= 1  # the first view may have come before the observer
    paths = {row[0] for row in explorer.stage.graph["nodes"]}
    assert {layer.path for layer in explorer.network.layers} <= paths
    before = len(sent)
    explorer.update(network=Network(functional().model, name="tiny"))
    assert len(sent) == before + 1
    assert "relu" in {row[0] for row in sent[-1]["nodes"]}


def test_an_effective_field_is_one_at_its_strongest_pixel_and_nothing_outside_of_what_can_be_seen(explorer):
    explorer.update(layer="block2_conv1")
    y, x, unit = place_of_the_strongest(explorer)
    ask(explorer, type="field", unit=unit, y=y, x=x)
    wait_for_worker()
    stage = explorer.stage
    assert stage.field_of == {"layer": "block2_conv1", "unit": unit, "y": y, "x": x}
    field = np.frombuffer(stage.field_map, "<f4").reshape(stage.field_shape)
    assert field.shape == explorer.network.input_size
    assert field.max() == 1
    top, left, bottom, right = explorer.network.graph.node("block2_conv1").field.seen(y, x)
    assert field[top : bottom + 1, left : right + 1].any()
    field = field.copy()
    field[top : bottom + 1, left : right + 1] = 0
    assert not field.any()
    explorer.update(layer="block3_add")
    assert stage.field_map == b""


def test_a_position_of_a_layer_that_has_been_left_is_not_answered(explorer):
    explorer.update(layer="block4_add")
    ask(explorer, type="field", unit=0, y=10_000, x=0)
    wait_for_worker()
    assert explorer.stage.field_map == b""
    assert explorer.stage.error == ""


def wait_for_worker() -> None:
    worker().call(lambda: None)


def test_small_viewers_have_no_strip_and_are_sent_no_graph():
    for viewer in (cnnvis.FeatureMapViewer, cnnvis.HeatmapViewer, cnnvis.FilterViewer):
        made = viewer()
        _ = made.state
        assert "network" not in made.stage.panels
        assert made.stage.graph == {}
        made.close()
