"""What the kernel answers to the network strip and to a position pointed at, with the real bundled network."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from models import functional

import cnnvis_widgets as cnnvis
from cnnvis_widgets.networks.network import Network


@pytest.fixture
def explorer() -> Iterator[cnnvis.Explorer]:
    explorer = cnnvis.Explorer()
    yield explorer
    explorer.close()


def ask(explorer: cnnvis.Explorer, **message: object) -> None:
    explorer.stage._receive(None, message, [])


def test_the_layer_chosen_on_the_strip_is_shown(explorer):
    assert explorer.state["layer"] == "block4_add"
    ask(explorer, type="layer", path="block2_conv1")
    assert explorer.state["layer"] == "block2_conv1"
    assert explorer.controls.layer.value == "block2_conv1"


def test_a_layer_that_is_not_there_is_said_and_the_view_stays(explorer):
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


def test_small_viewers_have_no_strip_and_are_sent_no_graph():
    for viewer in (cnnvis.FeatureMapViewer, cnnvis.HeatmapViewer, cnnvis.FilterViewer):
        made = viewer()
        _ = made.state
        assert "network" not in made.stage.panels
        assert made.stage.graph == {}
        made.close()
