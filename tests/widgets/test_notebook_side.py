"""The Explorer as a part of a notebook: what is saved, its picture, address, code, and what code hears and asks."""

import base64
import dataclasses
import gc
import http.server
import io
import json
import threading
import time
import weakref

import ipywidgets
import matplotlib
import numpy as np
import pytest
from models import functional
from PIL import Image
from waiting import wait_until

import cnnvis_widgets as cnnvis
from cnnvis_widgets.jobs.worker import worker
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.widgets import stills
from cnnvis_widgets.widgets.snapshot import png, snapshot

LIVE = "application/vnd.jupyter.widget-view+json"


# What is saved ---------------------------------------------------------------------------------------------


def test_no_array_is_in_the_state_that_front_ends_save(explorer):
    explorer.update(layer="block1_conv1")
    explorer.snapshot()
    states = ipywidgets.Widget.get_manager_state(widgets=[explorer.stage, *explorer.controls.every()])
    saved = states["state"][explorer.stage.model_id]
    assert [buffer["path"] for buffer in saved["buffers"]] == [["still"]]
    assert not {"photo", "maps", "heat", "colormap_tables", "picture"} & set(saved["state"])
    assert len(json.dumps(states)) < 500_000
    assert len(explorer.stage.maps) > 200_000, "there was something to leave out"


def test_arrays_are_sent_before_the_state_of_their_frame(explorer, monkeypatch):
    stage, sent = explorer.stage, []
    explorer.update(layer="block1_conv1")
    monkeypatch.setattr(stage, "_send", lambda message, buffers=None: sent.append((message, buffers)))
    explorer.update(layer="block2_conv1")
    (arrays, buffers) = next(one for one in sent if one[0]["method"] == "custom")
    (update, _) = next(one for one in sent if "maps_shape" in one[0].get("state", {}))
    assert sent.index((arrays, buffers)) < sent.index((update, _))
    content = arrays["content"]
    assert content["type"] == "arrays" and content["frame"] == update["state"]["frame"]
    at = content["names"].index("maps")
    np.testing.assert_array_equal(
        np.frombuffer(buffers[at], "<f2"), np.frombuffer(stage.maps, "<f2"), strict=True
    )
    assert "maps" not in update["state"]


def test_a_page_that_comes_late_gets_every_array(explorer, monkeypatch):
    explorer.update(layer="block2_conv1")
    sent = []
    monkeypatch.setattr(
        explorer.stage, "_send", lambda message, buffers=None: sent.append((message["content"], buffers))
    )
    explorer.stage._receive(None, {"type": "arrays"}, [])
    ((content, buffers),) = sent
    assert {"photo", "heat", "maps", "maps_stats", "colormap_tables"} <= set(content["names"])
    assert buffers[content["names"].index("photo")] == explorer.stage.photo


# The picture -----------------------------------------------------------------------------------------------


def test_a_display_has_a_small_picture_and_a_sentence(explorer):
    bundle = explorer._repr_mimebundle_()
    content = base64.b64decode(bundle["image/png"])
    picture = Image.open(io.BytesIO(content))
    assert picture.width == 900 and len(content) < 250_000
    assert np.asarray(picture.convert("RGB")).std() > 30
    assert explorer.address in bundle["text/plain"] and "block4_add" in bundle["text/plain"]
    assert LIVE in bundle


def test_the_picture_shows_photograph_heatmap_map_and_grid(explorer):
    explorer.update(layer="block2_conv1", unit=3, opacity=0.0)
    plain = np.asarray(explorer.snapshot()).astype(int)
    explorer.update(opacity=0.9)
    heated = np.asarray(explorer.snapshot()).astype(int)
    differs = (plain != heated).any(-1)
    assert differs[:340, :450].mean() > 0.3 and not differs[:, 460:].any(), "only the photograph has the heat"
    explorer.update(unit=4)
    other = np.asarray(explorer.snapshot()).astype(int)
    differs = (heated != other).any(-1)
    assert differs[:340, 450:].any() and not differs[360:].any(), "only the chosen map is another"
    explorer.update(image="rocket")
    assert (np.asarray(explorer.snapshot())[-200:] != other[-200:]).any()


def test_the_picture_has_the_order_and_the_scale_that_the_browser_has(explorer, network):
    from cnnvis_widgets.widgets import snapshot as module

    explorer.update(layer="block4_add", target="dog", sort="class", heat_scale="shared", opacity=1.0)
    wait_until(lambda: explorer.stage.head_weights)
    shown, state = explorer.shown, explorer.state_of(explorer.shown)
    image, maps = explorer.image, explorer.feature_maps.values.astype(float)
    top = [prediction.index for prediction in network.predict(image, top=5)]
    weights = stills._channel_weights(explorer.stage, maps.shape[-1])
    assert set(weights) == {*top, state.target}
    # Plainly: what a unit adds to the class is its weight times its mean, and evidence is what they add up to.
    added = [weights[state.target][unit] * maps[..., unit].mean() for unit in range(maps.shape[-1])]
    order = module._order(explorer.feature_maps, "class", weights[state.target])
    np.testing.assert_allclose(np.take(added, order), sorted(added, reverse=True), rtol=1e-4, atol=1e-7)
    raws = [cnnvis.explain(network, image, target=index).raw.max() for index in {*top, state.target}]
    share = explorer.heatmap.raw.max() / max(raws)
    assert share < 0.9, "the class is not the strongest one"
    shared = module._photograph(shown, state, weights).picture.astype(int)
    scaled = dataclasses.replace(shown.heatmap, values=shown.heatmap.values * share)
    own = state.with_changes(heat_scale="own")
    expected = module._photograph(dataclasses.replace(shown, heatmap=scaled), own, {}).picture
    assert np.abs(shared - expected).max() <= 4
    with_shared = np.asarray(explorer.snapshot()).astype(int)
    explorer.update(heat_scale="own", sort="index")
    plain = np.asarray(explorer.snapshot()).astype(int)
    for part in (np.s_[40:250, 30:200], np.s_[-200:]):  # the photograph, the grid
        assert (with_shared[part] != plain[part]).any(-1).mean() > 0.2


def test_the_words_of_the_picture_tell_what_a_method_does_not_see(explorer):
    from cnnvis_widgets.widgets.snapshot import _heatmap_words

    explorer.update(method="eigen-cam")
    assert "neither the class nor" in _heatmap_words(explorer.shown, explorer.heatmap)
    explorer.update(method="grad-cam")
    assert "depend" not in _heatmap_words(explorer.shown, explorer.heatmap)


@pytest.mark.parametrize("units", [1, 7, 33, 512, 5000])
def test_a_snapshot_fits_however_many_maps_there_are(units, explorer):
    from dataclasses import replace

    shown = explorer.shown_within(20)
    values = np.random.default_rng(0).normal(size=(5, 9, units)).astype(np.float32)
    values[0, 0, 0] = np.nan
    maps = replace(
        shown.maps, values=values, layer=replace(shown.maps.layer, shape=(5, 9, units), units=units)
    )
    state = explorer.state_of(shown).with_changes(unit=units - 1, position=(4, 8), sort="strength")
    picture = snapshot(replace(shown, maps=maps), state, explorer.panels)
    assert picture.width == 900 and 400 < picture.height < 800
    assert len(png(picture)) < 300_000


def test_a_busy_worker_delays_a_display_no_longer_than_it_may(explorer, monkeypatch):
    monkeypatch.setattr(stills, "_SECONDS", 0.05)
    explorer.shown_within(20)
    gate = threading.Event()
    worker().submit("test", lambda _ticket: gate.wait())
    try:
        explorer._shown = None
        explorer.wish(layer="block1_conv1")
        bundles = []
        thread = threading.Thread(target=lambda: bundles.append(explorer._repr_mimebundle_()), daemon=True)
        thread.start()
        thread.join(20)
        assert not thread.is_alive(), "it waits for the busy worker"
        (bundle,) = bundles
        assert "image/png" not in bundle and LIVE in bundle and "computing" in bundle["text/plain"]
    finally:
        gate.set()


def test_a_display_on_the_worker_waits_for_nothing(explorer):
    explorer.shown_within(20)
    bundle = worker().call(explorer._repr_mimebundle_)
    assert "image/png" in bundle


def test_a_picture_that_fails_leaves_the_widget(explorer, monkeypatch):
    monkeypatch.setattr(stills, "snapshot", lambda *_: 1 / 0)
    bundle = explorer._repr_mimebundle_()
    assert LIVE in bundle and "image/png" not in bundle


# Addresses -------------------------------------------------------------------------------------------------


def test_an_address_opens_what_it_was_read_from(explorer, network):
    explorer.update(layer="block2_conv1", unit=7, position=(5, 6), target="dog")
    address = explorer.address
    assert address == "bundled/block2_conv1/7@5,6" and explorer.stage.position == [5, 6]
    explorer.update(layer="block1_conv1", image="rocket")
    assert explorer.state["position"] is None and explorer.stage.position == [], (
        "a position belongs to its layer"
    )
    explorer.open(address)
    assert explorer.address == address and explorer.state["image"] == "rocket"
    again = cnnvis.Explorer(address)
    assert again.address == address
    again.close()


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("bundled/nope/3", cnnvis.UnknownLayerError, "no layer 'nope'"),
        ("bundled/block2_conv1/9999", cnnvis.CnnvisError, "units 0 to 63; 9999"),
        ("bundled/block2_conv1/3@99,0", cnnvis.CnnvisError, "positions 0,0 to .*99,0 was asked for"),
        ("vgg61/block2_conv1/3", cnnvis.UnknownNetworkError, "vgg61"),
        ("bundled//3", cnnvis.CnnvisError, "empty piece"),
    ],
)
def test_a_wrong_address_is_told_and_the_view_stays(explorer, address, error, words):
    explorer.update(layer="block2_conv1", unit=7)
    before = explorer.state
    with pytest.raises(error, match=words):
        explorer.open(address)
    assert explorer.state == before
    explorer.stage.error = ""
    explorer.bar._handle_custom_msg({"type": "open", "address": address}, [])
    wait_until(lambda: explorer.stage.error)
    explorer._settle()
    assert explorer.state == before and explorer.stage.busy == ""


def test_a_typed_address_opens(explorer):
    explorer.shown_within(20)
    explorer.bar._handle_custom_msg({"type": "open", "address": "bundled/block3_conv1/2"}, [])
    wait_until(lambda: explorer.bar.address == "bundled/block3_conv1/2")


@pytest.mark.parametrize("position", [(1,), "56", (-1, 2), (1.5, 2), 7])
def test_what_is_no_position_is_refused(explorer, position):
    with pytest.raises(cnnvis.CnnvisError, match="A position is"):
        explorer.update(position=position)


# Pictures from the web -------------------------------------------------------------------------------------


@pytest.fixture
def web():
    """A server of pictures on this machine; remembers what was asked for."""
    content = png(Image.fromarray(cnnvis.sample_images()["coffee"][:80, :90]))

    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if "coffee" in self.path else 404)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def test_a_picture_from_the_web_is_fetched_when_it_is_asked_for(explorer, web):
    address, asked = web
    explorer.shown_within(20)
    assert not asked
    explorer.bar._handle_custom_msg({"type": "picture", "address": f"{address}/in/coffee.png?size=1"}, [])
    wait_until(lambda: explorer.shown.state.image == "coffee.png")
    assert asked == ["/in/coffee.png?size=1"] and explorer.image.shape == (80, 90, 3)
    assert f"load_image('{address}/in/coffee.png?size=1')" in explorer.code()


@pytest.mark.parametrize(("path", "words"), [("/nothing.png", "404"), (None, "http:// or https://")])
def test_a_picture_that_does_not_come_is_told_and_the_view_stays(explorer, web, path, words):
    before = explorer.state
    explorer.bar._handle_custom_msg(
        {"type": "picture", "address": web[0] + path if path else "file:///etc/passwd"}, []
    )
    wait_until(lambda: explorer.stage.error)
    assert words in explorer.stage.error and explorer.stage.busy == "" and explorer.state == before


# Code ------------------------------------------------------------------------------------------------------


def run(code, **names):
    matplotlib.use("Agg")
    exec(code, names)
    return names


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"image": "astronaut", "layer": "block2_conv1", "unit": 3, "target": "dog", "method": "layer-cam"},
        {"layer": "block1_conv1", "colormap": "magma", "scale": "layer", "opacity": 0.7, "position": (5, 6)},
    ],
)
def test_the_code_makes_what_is_shown(state):
    explorer = cnnvis.Explorer(**state)
    names = run(explorer.code())
    np.testing.assert_array_equal(names["heatmap"].values, explorer.heatmap.values)
    np.testing.assert_array_equal(names["feature_map"], explorer.feature_map)
    np.testing.assert_array_equal(names["image"], explorer.image)
    if explorer.state["position"]:
        assert names["answer"] == explorer.feature_map[5, 6]
    explorer.close()


def test_the_code_asks_for_what_only_its_owner_has():
    names = [f"class\0\u202e\n{index}" for index in range(5)]
    mine = Network(functional().model, name="my\nnet'", class_names=names)
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    explorer = cnnvis.Explorer(mine, image=picture, layer="conv2", unit=1)
    code = explorer.code()
    assert all(line.isprintable() for line in code.splitlines())
    assert "# network: yours" in code and "# image: your picture 'my image'" in code
    names = run(code, network=mine, image=picture)
    np.testing.assert_array_equal(names["heatmap"].values, explorer.heatmap.values)
    np.testing.assert_array_equal(names["feature_map"], explorer.feature_map)
    explorer.close()


def test_the_code_makes_the_filter_picture_that_is_shown(network):
    explorer = cnnvis.Explorer(layer="block2_conv1", unit=3)
    explorer.shown_within(20)
    assert "maximize_filters" not in explorer.code()
    explorer.controls.maximize.click()
    wait_until(lambda: explorer.stage.picture_unit == 3 and not explorer.stage.picture_progress)
    shown = np.frombuffer(explorer.stage.picture, np.uint8).reshape(*explorer.stage.picture_shape, 3)
    np.testing.assert_array_equal(run(explorer.code())["filters"].images[0], shown)
    explorer.close()


# Round trip ------------------------------------------------------------------------------------------------


def test_observers_hear_of_each_view_once(explorer):
    explorer.shown_within(20)
    wait_until(lambda: explorer.view)
    heard = []
    explorer.observe(lambda change: heard.append(change.new), "view")
    for layer in ("block1_conv1", "block2_conv1", "block3_conv1"):
        explorer.controls.layer.value = layer
    for opacity in (0.1, 0.2, 0.3):
        explorer.stage.opacity = opacity
    wait_until(lambda: heard)
    time.sleep(0.5)
    assert len(heard) == 1 and heard[0] == explorer.state
    assert (heard[0]["layer"], heard[0]["opacity"]) == ("block3_conv1", 0.3)
    explorer.stage.unit = 5
    wait_until(lambda: len(heard) == 2)
    assert heard[1]["unit"] == 5


def test_an_observer_that_fails_is_told_in_the_widget(explorer):
    explorer.shown_within(20)
    explorer.observe(lambda change: 1 / 0, "view")
    explorer.stage.unit = 5
    wait_until(lambda: "division by zero" in explorer.stage.error)


def test_a_state_opens_ones_own_network_and_picture_in_the_same_session():
    mine = Network(functional().model, name="only mine")
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    first = cnnvis.Explorer(mine, image=picture, layer="conv2", unit=1)
    second = cnnvis.Explorer(**first.state)
    assert second.network is mine and second.state == first.state
    np.testing.assert_array_equal(second.image, picture)
    other = Network(functional().model, name="only mine")
    third = cnnvis.Explorer(other)
    with pytest.raises(cnnvis.CnnvisError, match="2 networks are called 'only mine'"):
        cnnvis.Explorer(**first.state)
    for each in (first, second, third):
        each.close()


def test_closing_frees_the_network():
    explorer = cnnvis.Explorer(functional().model, layer="conv2")
    gone = weakref.ref(explorer.network)
    explorer.shown_within(20)
    time.sleep(0.5)  # what follows a view is done, too
    explorer.close()
    del explorer
    worker().call(lambda: None)
    gc.collect()
    assert gone() is None


def test_silenced_units_are_said_with_the_prediction_until_they_speak_again(explorer, network):
    explorer.update(layer="block2_conv1")
    heat = explorer.heatmap.values
    units = range(0, 256, 2)
    result = explorer.ablate("block4_add", units)
    expected = cnnvis.ablate(network, cnnvis.sample_images()["cat"], "block4_add", units)
    np.testing.assert_array_equal(result.logits_after, expected.logits_after)
    assert (result.logits_after != result.logits_before).any()
    cat, changed = result.before[0], result.after[0]
    words = explorer.bar.note
    assert f"cat {cat.probability:.1%} → {changed.probability:.1%}" in words and "of block4_add" in words
    np.testing.assert_array_equal(explorer.heatmap.values, heat)
    explorer.update(image="rocket")
    wait_until(lambda: explorer.bar.note not in ("", words))
    explorer.update(network=functional().model)
    assert explorer.bar.note == ""
    explorer.ablate("relu", 3)
    assert "Without units 3 of relu" in explorer.bar.note
    assert explorer.ablate(None) is None and explorer.bar.note == ""


def test_units_that_cannot_be_silenced_are_told(explorer):
    with pytest.raises(cnnvis.CnnvisError, match="units 0 to 255; 900"):
        explorer.ablate("block4_add", [900])
    with pytest.raises(cnnvis.CnnvisError, match="which units of 'block4_add'"):
        explorer.ablate("block4_add")
    assert explorer.bar.note == ""
