"""The Explorer without a browser: wishes in, arrays out, through the real worker and the real bundled network."""

import base64
import dataclasses
import io
import re
import threading
import time

import keras
import numpy as np
import pytest
from models import functional
from PIL import Image
from waiting import wait_until

import cnnvis_widgets as cnnvis
from cnnvis_widgets.compute.maximize import find_recipe
from cnnvis_widgets.locale import LANGUAGES
from cnnvis_widgets.networks import ascent
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.widgets.controls import TOP
from cnnvis_widgets.widgets.parts.filter_picture import grow
from cnnvis_widgets.widgets.stage import Stage
from cnnvis_widgets.widgets.words import heat_caption, heat_message


def settled(explorer):
    explorer._settle()
    return explorer


def test_it_opens_on_the_cat_and_the_default_layer(explorer, network):
    state = explorer.state
    assert (state["network"], state["image"], state["layer"]) == (
        "bundled",
        "cat",
        network.default_layer.path,
    )
    expected = cnnvis.explain(network, cnnvis.sample_images()["cat"])
    np.testing.assert_array_equal(explorer.heatmap.values, expected.values)
    assert explorer.controls.layer.value == network.default_layer.path
    assert explorer.controls.unit.max == network.default_layer.units - 1
    assert explorer.controls.target.value == TOP
    assert explorer.stage.classes[0]["name"] == expected.target.name


def test_what_is_sent_is_what_code_computes(explorer, network):
    explorer.update(layer="block2_conv1", target="dog", image="astronaut")
    image = cnnvis.sample_images()["astronaut"]
    maps = cnnvis.feature_maps(network, image, "block2_conv1").values
    sent = np.frombuffer(explorer.stage.maps, "<f2").reshape(explorer.stage.maps_shape)
    np.testing.assert_allclose(
        sent * explorer.stage.maps_scale, np.moveaxis(maps, -1, 0), rtol=2e-3, atol=1e-3
    )
    heat = np.frombuffer(explorer.stage.heat, "<f4").reshape(explorer.stage.heat_shape)
    np.testing.assert_array_equal(
        heat, cnnvis.explain(network, image, layer="block2_conv1", target="dog").values
    )
    for word in ("bundled", "block2_conv1", "dog", "grad-cam"):
        assert word in explorer.stage.heat_caption
    np.testing.assert_array_equal(explorer.feature_map, maps[..., explorer.stage.unit])


def test_every_method_is_shown_with_its_words_in_every_language():
    keras.utils.set_random_seed(3)
    layers = [
        keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, activation="softmax"),
    ]
    explorer = cnnvis.Explorer(keras.Sequential([keras.layers.Input((24, 24, 3)), *layers]), "cat")
    for row in cnnvis.methods():
        explorer.update(method=row.name)
        wait_until(lambda name=row.name: explorer.heatmap.method == name and not explorer.stage.busy)
        assert not explorer.stage.error and row.name in explorer.stage.heat_caption
        captions = {heat_caption(explorer.heatmap, language) for language in LANGUAGES}
        assert len(captions) == len(LANGUAGES) and not any("{" in caption for caption in captions)
        assert ("but for 0." in explorer.stage.heat_caption) == (
            row.name in ("integrated-gradients", "fullgrad")
        )
    explorer.close()


def test_a_map_that_is_the_same_everywhere_says_that_it_does_not_tell_where(explorer):
    heatmap, words = settled(explorer).heatmap, "does not tell where"
    assert words not in heat_caption(heatmap, "en")
    for raw, said in ((np.full((4, 4), 0.2, np.float32), True), (np.zeros((4, 4), np.float32), False)):
        assert (words in heat_caption(dataclasses.replace(heatmap, raw=raw), "en")) == said


def test_a_new_layer_shows_its_strongest_unit(explorer):
    explorer.update(layer="block3_conv1_relu")
    peaks = explorer.feature_maps.values.max(axis=(0, 1))
    assert explorer.state["unit"] == int(np.argmax(peaks)) == explorer.controls.unit.value


def test_controls_drive_it(explorer):
    controls = settled(explorer).controls
    controls.layer.value = "block1_conv1"
    controls.image.value = "coffee"
    controls.method.value = "layer-cam"
    controls.target.value = settled(explorer).controls.target.options[2][1]
    state = explorer.state
    assert (state["layer"], state["image"], state["method"]) == ("block1_conv1", "coffee", "layer-cam")
    assert explorer.heatmap.target.index == controls.target.value == state["target"]


def test_another_network_brings_its_own_layers(explorer):
    other = Network(functional().model, name="tiny")
    explorer.update(network=other)
    assert explorer.state["layer"] == "relu" and explorer.network is other
    assert [path for _label, path in explorer.controls.layer.options] == ["conv1", "conv2", "relu", "pool"]
    explorer.controls.network.value = "bundled"
    assert settled(explorer).state["layer"] == "block4_add" and explorer.state["target"] is None


def test_state_makes_the_same_view_again(explorer, network):
    explorer.update(layer="block2_conv2", unit=5, target=3, image="rocket", opacity=0.7, colormap="magma")
    state = explorer.state
    again = cnnvis.Explorer(**(state | {"network": network}))
    assert again.state == state
    np.testing.assert_array_equal(again.heatmap.values, explorer.heatmap.values)
    again.close()


def test_a_flood_of_layers_shows_the_last_one(explorer, network):
    frame = settled(explorer).stage.frame
    paths = [layer.path for layer in network.layers][:20] * 2
    settled(explorer)
    for path in [*paths, "block2_conv1"]:
        explorer.controls.layer.value = path
    assert explorer.state["layer"] == "block2_conv1" == explorer.stage.layer["path"]
    assert explorer.stage.frame - frame < len(paths)  # superseded requests were dropped


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"layer": "block9"}, cnnvis.UnknownLayerError, "no layer 'block9'"),
        ({"unit": 99999}, cnnvis.CnnvisError, "units 0 to"),
        ({"method": "magic"}, cnnvis.MethodError, "no method 'magic'"),
        ({"target": "unicorn"}, cnnvis.CnnvisError, "no class 'unicorn'"),
        ({"image": b"nonsense"}, cnnvis.ImageError, "."),
        ({"network": "vgg61"}, cnnvis.UnknownNetworkError, "vgg61"),
        ({"colour": "red"}, cnnvis.CnnvisError, "'colour'"),
        ({"difference": "yes"}, cnnvis.CnnvisError, "True or False; 'yes'"),
        ({"unit": 7.5}, cnnvis.CnnvisError, "whole number; 7.5"),
        ({"opacity": 7}, cnnvis.CnnvisError, "from 0 to 1; 7"),
        ({"scale": "foo"}, cnnvis.CnnvisError, "no scale 'foo' here; there is map, layer"),
        ({"language": "tlh"}, cnnvis.CnnvisError, "no language 'tlh'"),
        ({"colormap": "magma", "layer": "block9"}, cnnvis.UnknownLayerError, "no layer 'block9'"),
        ({"colormap": "rainbow"}, cnnvis.CnnvisError, "rainbow|cividis"),
    ],
)
def test_a_wrong_wish_says_so_and_changes_nothing(explorer, change, error, words):
    explorer.update(layer="block2_conv1", image="coffee")
    before, heat, maps = explorer.state, explorer.stage.heat, explorer.stage.maps
    with pytest.raises(error, match=words):
        explorer.update(**change)
    assert explorer.state == before
    assert (explorer.stage.heat, explorer.stage.maps) == (heat, maps)
    explorer.update(target="cat")  # and the next wish works
    assert explorer.heatmap.target.name == "cat" and explorer.stage.error == ""


def test_an_upload_that_cannot_be_read_is_told_in_the_widget(explorer):
    before = explorer.state
    explorer._uploaded("notes.txt", b"no picture at all")
    settled(explorer)
    assert explorer.stage.error and explorer.state == before
    assert "notes.txt" not in explorer.controls.image.options


def test_an_upload_is_shown_under_its_name(explorer):
    import cv2

    image = cnnvis.sample_images()["rocket"][:100, :120]
    content = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
    explorer._uploaded("C:\\pictures\\start.png", content)
    assert explorer.state["image"] == "start.png"
    np.testing.assert_array_equal(explorer.image, image)
    assert explorer.controls.image.value == "start.png"


def test_an_array_from_code(explorer):
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    explorer.image = picture
    np.testing.assert_array_equal(explorer.image, picture)
    assert explorer.stage.photo_size == [50, 70]


def test_a_filter_picture_grows_and_is_remembered(explorer, network):
    explorer.update(layer="block2_conv1", unit=3)
    explorer.controls.maximize.click()
    wait_until(lambda: explorer.stage.picture_unit == 3 and not explorer.stage.picture_progress)
    expected = cnnvis.maximize_filters(network, "block2_conv1", [3], "fourier").images[0]
    shown = np.frombuffer(explorer.stage.picture, np.uint8).reshape(*explorer.stage.picture_shape, 3)
    np.testing.assert_array_equal(shown, expected)
    for word in ("bundled", "block2_conv1", "unit 3", "fourier"):
        assert word in explorer.stage.picture_caption
    wait_until(lambda: explorer.stage.patches_said)
    frame, traces = explorer.stage.frame, network.probe.traces
    explorer.controls.maximize.click()
    wait_until(lambda: explorer.stage.frame >= frame + 2)
    assert explorer.stage.frame == frame + 2, "the picture and its patches, from memory"
    assert network.probe.traces == traces


def slow_down(monkeypatch, seconds: float, steps: list | None = None) -> None:
    """Make each step of a filter picture take longer, and count them."""
    real = ascent.step

    def slow(*arguments, **options):
        if steps is not None:
            steps.append(1)
        time.sleep(seconds)
        return real(*arguments, **options)

    monkeypatch.setattr(ascent, "step", slow)


def test_cancel_stops_within_one_step_and_keeps_the_picture(explorer, monkeypatch):
    explorer.update(layer="block4_conv1", unit=1)
    steps = []
    slow_down(monkeypatch, 0.1, steps)
    explorer.controls.maximize.click()
    wait_until(lambda: len(steps) >= 3)
    assert not explorer.controls.cancel.disabled
    explorer.controls.cancel.click()
    taken = len(steps)
    wait_until(lambda: "Cancelled" in explorer.stage.picture_progress.get("message", ""))
    wait_until(lambda: explorer.controls.cancel.disabled)
    assert len(steps) <= taken + 1
    assert explorer.stage.picture_unit == 1 and explorer.stage.picture


def test_a_layer_switch_is_answered_while_a_picture_grows(explorer, monkeypatch):
    slow_down(monkeypatch, 0.1)
    explorer.controls.maximize.click()
    wait_until(lambda: explorer.stage.picture_progress.get("step", 0) >= 2)
    explorer.update(layer="block1_conv1")
    assert explorer.stage.picture_progress, "the picture is still growing"
    explorer.controls.cancel.click()


def test_another_recipe_is_part_of_the_state_and_makes_the_picture_anew(explorer, network):
    explorer.update(layer="block2_conv1", unit=5, recipe="fast")
    assert explorer.controls.recipe.value == "fast" == explorer.state["recipe"]
    explorer.controls.maximize.click()
    wait_until(lambda: explorer.stage.picture_unit == 5 and not explorer.stage.picture_progress)
    explorer.controls.recipe.value = "classic"
    wait_until(lambda: "recipe classic, 20" in explorer.stage.picture_caption)
    wait_until(lambda: not explorer.stage.picture_progress)
    assert "stretched" in explorer.stage.picture_caption and "recipe='classic'" in explorer.code()
    with pytest.raises(cnnvis.CnnvisError, match="no recipe 'slow'"):
        explorer.update(recipe="slow")


def test_the_patches_of_the_sample_photographs_stand_beside(explorer, network):
    explorer.update(layer="block3_conv1", unit=7)
    explorer.controls.maximize.click()
    wait_until(lambda: explorer.stage.picture_unit == 7 and explorer.stage.patches_said)
    found = cnnvis.top_patches(network, "block3_conv1", units=[7], count=6)
    shape = explorer.stage.patches_shape
    sent = np.frombuffer(explorer.stage.patches, np.uint8).reshape(*shape, 3)
    np.testing.assert_array_equal(sent, found.images[0][: shape[0]])
    assert explorer.stage.patches_said[0].startswith(found.sources[0][0])
    explorer.update(layer="block1_conv1")
    assert not explorer.stage.patches and not explorer.stage.patches_said, "they were another layer's"


def test_a_unit_that_stays_off_says_why():
    inputs = keras.Input((16, 16, 3))
    conv = keras.layers.Conv2D(2, 1, activation="relu", name="conv")
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(conv(inputs)))
    red = np.float32([[1, 1], [0, 0], [0, 0]]).reshape(1, 1, 3, 2)
    conv.set_weights(
        [red, np.float32([-1, -0.7])]
    )  # nothing is that red; photographs are, and grey noise is not
    network = Network(model, preprocess=lambda x: x / 255)
    recipe = dataclasses.replace(find_recipe("classic"), steps=1)
    for unit, reason in (
        (0, "It never woke in 1 steps, and is active nowhere on the 4 sample photographs"),
        (1, "It never woke from this start in 1 steps, though it is active on"),
    ):
        stage = Stage()
        for _step in grow(stage, network, network.layer("conv"), unit, recipe, lambda: False):
            pass
        assert stage.picture_progress["message"].startswith(reason)
        assert bool(stage.patches) == (unit == 1)


def test_the_card_of_the_selected_unit_opens_follows_and_closes(explorer, network):
    explorer.update(layer="block2_conv1", unit=3, recipe="pixels")
    assert explorer.card in explorer.children and explorer.card.value == ""
    explorer.controls.card.value = True
    wait_until(lambda: "<img" in explorer.card.value)
    made = cnnvis.unit_card(network, "block2_conv1", 3, recipe="pixels")
    link = made.before[0]
    shown = explorer.card.value
    assert (
        f"unit 3: picture, patches, activations and kernels; looks most at {link.layer} {link.unit}" in shown
    )
    picture = base64.b64decode(shown.split("base64,")[1].split('"')[0])
    np.testing.assert_array_equal(
        np.asarray(Image.open(io.BytesIO(picture))),
        np.asarray(Image.open(io.BytesIO(cnnvis.plot_unit_card(made)._repr_png_()))),
    )
    explorer.update(unit=5, language="zh")
    wait_until(lambda: "通道 5：" in explorer.card.value)
    explorer.controls.card.value = False
    assert explorer.card.value == ""


def test_every_layers_filter_pictures_share_what_is_compiled(explorer, network):
    wait_until(lambda: explorer.network in filter_part(explorer)._ready)
    for layer in ("block1_conv1", "block3_conv2"):
        explorer.update(layer=layer, unit=2)
        explorer.controls.maximize.click()
        wait_until(lambda: explorer.stage.picture_progress)
        traces = network.probe.traces
        wait_until(lambda: explorer.stage.picture_progress.get("step", 0) >= 2)
        assert network.probe.traces == traces


def filter_part(explorer):
    return next(part for part in explorer._parts if part.lane == "filter")


def test_full_resolution_of_one_unit_on_demand(explorer):
    explorer.update(layer="block1_conv1")
    explorer.stage._receive(None, {"type": "detail", "unit": 4}, [])
    wait_until(lambda: explorer.stage.detail_unit == 4)
    sent = np.frombuffer(explorer.stage.detail_map, "<f4").reshape(explorer.stage.detail_shape)
    np.testing.assert_array_equal(sent, explorer.feature_maps.values[..., 4])


def test_viewers_show_their_panels_alone(network):
    for viewer, panels in (
        (cnnvis.FeatureMapViewer, ["maps", "detail"]),
        (cnnvis.HeatmapViewer, ["photo"]),
        (cnnvis.FilterViewer, ["detail", "filter"]),
    ):
        view = viewer(network, layer="block2_conv1")
        assert view.stage.panels == panels and view.state["layer"] == "block2_conv1"
        view.close()


def test_a_keras_model_is_taken_as_it_is():
    explorer = cnnvis.Explorer(functional().model, layer="conv2", target=2)
    assert explorer.heatmap.target.index == 2 and explorer.heatmap.layer.path == "conv2"
    explorer.close()


def run_with_timeout(function, seconds=30):
    """Fail instead of hanging where two threads wait for one another."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "two threads wait for one another"


def test_a_model_given_while_the_first_view_is_computed(network):
    model = functional().model

    def go():
        explorer = cnnvis.Explorer(network)
        explorer.update(network=model)
        assert explorer.network.model is model
        explorer.close()

    run_with_timeout(go)


def test_an_observer_on_the_worker_may_read_what_is_shown(network):
    seen = []

    def go():
        explorer = cnnvis.Explorer(network)
        explorer.stage.observe(lambda change: seen.append(explorer.state["layer"]), "frame")
        explorer.update(layer="block1_conv1")
        explorer.close()

    run_with_timeout(go)
    assert "block1_conv1" in seen


def test_a_broken_upload_leaves_the_picture_of_the_same_name(explorer):
    import cv2

    good = cv2.imencode(".png", cnnvis.sample_images()["rocket"][:50, :50, ::-1])[1].tobytes()
    explorer._uploaded("x.png", good)
    assert explorer.state["image"] == "x.png"
    for name in ("x.png", "cat"):
        explorer._uploaded(name, b"broken")
        settled(explorer)
    assert explorer.state["image"] == "x.png"
    explorer.update(layer="block1_conv1")
    explorer.update(image="cat")
    np.testing.assert_array_equal(explorer.image, cnnvis.sample_images()["cat"])


def test_two_models_of_one_name_are_two(explorer):
    first, second = (Network(functional().model, name="mine") for _ in range(2))
    explorer.update(network=first, layer="conv1")
    explorer.update(network=second)
    assert explorer.network is second and explorer.state["layer"] == "relu"
    explorer.controls.network.value = "mine"
    assert settled(explorer).network is first


def test_a_first_view_that_is_impossible_is_refused_at_once(network):
    with pytest.raises(cnnvis.UnknownLayerError, match="nope"):
        cnnvis.Explorer(network, layer="nope")


def test_code_may_ask_for_the_unit_that_the_person_has_moved_on_from(explorer):
    explorer.update(layer="block2_conv1", unit=5)
    explorer.stage.unit = 6  # in the browser
    explorer.update(unit=5)
    assert explorer.state["unit"] == 5 == explorer.stage.unit == explorer.controls.unit.value


def test_a_unit_that_the_layer_does_not_have_shows_its_last(explorer):
    explorer.update(layer="block1_conv1")
    explorer.stage.unit = 1000
    assert explorer.feature_map.shape == (64, 64) and explorer.state["unit"] == 31


def test_photograph_and_maps_travel_once(explorer, monkeypatch):
    explorer.update(layer="block2_conv1")
    sent = []
    publish = explorer.stage.publish
    monkeypatch.setattr(
        explorer.stage, "publish", lambda **changes: (sent.append(set(changes)), publish(**changes))
    )
    explorer.update(target="dog")
    assert sent and not any({"photo", "maps"} & names for names in sent)


# -------- keys and languages


def told(explorer, **message):
    """What the browser sends."""
    explorer.stage._receive(None, message, [])


def test_layer_keys_count_from_where_the_last_wish_leads(explorer, network):
    paths = [layer.path for layer in network.layers]
    explorer.update(layer=paths[3])
    for by in (1, 1, 1, -1):
        told(explorer, type="layer-step", by=by)
    assert explorer.state["layer"] == paths[5]
    explorer.update(layer=paths[0])
    told(explorer, type="layer-step", by=-1)
    assert explorer.state["layer"] == paths[0] and explorer.stage.error == ""


def test_digits_choose_a_class_by_its_rank(explorer, network):
    order = [p.index for p in network.predict(explorer.image, top=10)]
    told(explorer, type="class", rank=2)
    assert explorer.state["target"] == order[2] == explorer.controls.target.value
    told(explorer, type="class", rank=0)
    assert explorer.state["target"] == order[0]


def test_a_key_makes_a_filter_picture_and_another_cancels_it(explorer, monkeypatch):
    slow_down(monkeypatch, 0.1)
    explorer.update(layer="block4_conv1", unit=2)
    told(explorer, type="maximize")
    wait_until(lambda: explorer.stage.picture_progress.get("step", 0) >= 2)
    told(explorer, type="cancel")
    wait_until(lambda: "Cancelled" in explorer.stage.picture_progress.get("message", ""))


def test_work_that_nobody_watches_stops(explorer, monkeypatch):
    steps = []
    slow_down(monkeypatch, 0.05, steps)
    explorer.update(layer="block4_conv1", unit=3)
    told(explorer, type="maximize")
    wait_until(lambda: len(steps) >= 2)
    told(explorer, type="unwatched")
    taken = len(steps)
    time.sleep(0.5)
    assert len(steps) <= taken + 1
    explorer.update(layer="block1_conv1")  # and what code asks for is still done
    assert explorer.stage.layer["path"] == "block1_conv1"


def words_of(explorer):
    """Everything that a person reads in the controls, and what the kernel writes into the stage."""
    stage, controls = explorer.stage, explorer.controls
    words = [stage.heat_caption, stage.heat_message, stage.picture_caption, controls.search.placeholder]
    words += [stage.picture_progress.get("message", ""), *stage.texts.values()]
    for control in controls.every():
        words += [control.description, control.tooltip or ""]
    words += [label for label, _path in controls.layer.options] + [controls.target.options[0][0]]
    return words


def test_another_language_changes_every_word_and_nothing_else(explorer, network):
    explorer.update(layer="block2_conv1", unit=3, target="dog", image="coffee", opacity=0.7, sort="strength")
    explorer.controls.maximize.click()
    wait_until(lambda: explorer.stage.picture_unit == 3 and not explorer.stage.picture_progress)
    english, state = words_of(explorer), explorer.state
    maps, heat = explorer.stage.maps, explorer.stage.heat
    explorer.stage.language = "zh"  # as the browser sets it
    assert explorer.state == state | {"language": "zh"}
    assert (explorer.stage.maps, explorer.stage.heat) == (maps, heat)
    chinese = words_of(explorer)
    assert explorer.controls.layer.description == "层"
    assert "block2_conv1 · 卷积 · 32×32×64" in chinese
    assert "通道 3" in explorer.stage.picture_caption
    same = {word for word in set(english) & set(chinese) if word}
    assert not [word for word in same if re.search("[a-z]{2}", re.sub(r"\{\w+\}", "", word))]
    explorer.update(language="en")
    assert words_of(explorer) == english and explorer.stage.language == "en"


def test_a_cancelled_picture_is_said_in_the_new_language(explorer, monkeypatch):
    slow_down(monkeypatch, 0.1)
    explorer.update(layer="block4_conv1", unit=4)
    explorer.controls.maximize.click()
    wait_until(lambda: explorer.stage.picture_progress.get("step", 0) >= 2)
    explorer.update(language="zh")
    wait_until(lambda: "通道 4" in explorer.stage.picture_caption)
    assert explorer.stage.picture_progress.get("steps"), "the picture is still growing"
    explorer.controls.cancel.click()
    wait_until(lambda: "取消" in explorer.stage.picture_progress.get("message", ""))
    explorer.update(language="en")
    assert "Cancelled" in explorer.stage.picture_progress["message"]


def test_an_explorer_may_begin_in_chinese(network):
    explorer = cnnvis.Explorer(network, language="zh")
    assert explorer.state["language"] == "zh" == explorer.stage.language
    assert (
        explorer.controls.layer.description == "层" and explorer.stage.texts["stage.maps.title"] == "特征图"
    )
    assert explorer.controls.target.options[0][0] == "最可能的类别"
    assert explorer.stage.languages == {"en": "English", "zh": "中文"}
    explorer.close()


def test_a_language_that_is_not_there_changes_nothing(explorer):
    explorer.stage.language = "tlh"
    assert settled(explorer).state["language"] == "en"


def test_the_stage_is_told_what_the_network_says(explorer, network):
    explorer.update(target="dog", method="layer-cam")
    best = network.predict(explorer.image, top=1)[0]
    facts = explorer.stage.facts
    assert (facts["name"], facts["target"], facts["method"]) == (best.name, "dog", "layer-cam")
    assert float(facts["share"].strip("%")) == pytest.approx(100 * best.probability, abs=0.06)


def test_no_evidence_is_said_in_the_language_of_the_view(explorer, monkeypatch):
    from cnnvis_widgets.widgets import views as module

    explain = module.explain

    def blank(*arguments, **options):
        found = explain(*arguments, **options)
        return dataclasses.replace(found, raw=found.raw * 0, values=found.values * 0)

    monkeypatch.setattr(module, "explain", blank)
    explorer.update(layer="block3_conv1")
    name = explorer.heatmap.target.name
    assert explorer.stage.heat_message == f"No positive evidence for {name} at block3_conv1."
    explorer.update(language="zh")
    assert explorer.stage.heat_message == f"在 block3_conv1 没有支持“{name}”的正向证据。"
    signed = dataclasses.replace(explorer.heatmap, signed=True)  # there evidence against would be seen, too
    assert heat_message(signed, "en") == f"No evidence for {name} at block3_conv1, neither for nor against."


def test_a_wish_never_waits_while_the_graph_is_read(explorer, monkeypatch):
    from cnnvis_widgets.widgets.parts import classes

    settled(explorer)
    reading, go_on, real = threading.Event(), threading.Event(), classes.is_linear_head

    def slow(*arguments):
        reading.set()
        go_on.wait()
        return real(*arguments)

    monkeypatch.setattr(classes, "is_linear_head", slow)
    explorer.wish(layer="block2_conv1")
    assert reading.wait(20)
    wishing = threading.Thread(target=lambda: explorer.wish(layer="block3_conv1"), daemon=True)
    wishing.start()
    wishing.join(5)
    waits = wishing.is_alive()
    go_on.set()
    assert not waits and explorer.state["layer"] == "block3_conv1"


def test_weights_of_a_head_never_stand_beside_the_maps_of_another(explorer, monkeypatch):
    settled(explorer)
    wait_until(lambda: explorer.stage.head_weights)
    publish, other = explorer.stage.publish, Network(functional().model, name="tiny")

    def once_broken(**changes):
        if changes.get("network") == "tiny":
            monkeypatch.setattr(explorer.stage, "publish", publish)
            raise OSError("The connection is gone.")
        publish(**changes)

    monkeypatch.setattr(explorer.stage, "publish", once_broken)
    with pytest.raises(OSError, match="gone"):
        explorer.update(network=other)
    sizes = []
    explorer.stage.observe(
        lambda _: sizes.append((explorer.stage.network, len(explorer.stage.head_weights))), "frame"
    )
    explorer.update(network=other)
    wait_until(lambda: ("tiny", 2 * 5 * 8) in sizes)
    assert {size for name, size in sizes if name == "tiny"} == {0, 2 * 5 * 8}


def test_closing_takes_every_widget_away(network):
    explorer = cnnvis.Explorer(network)
    parts = [
        explorer.stage,
        *explorer.controls.every(),
        *explorer.controls.links,
        *settled(explorer).children,
    ]
    explorer.close()
    assert len(parts) > 15 and all(part.comm is None for part in parts)


def test_a_pinned_view_stays_beside_whatever_is_shown_and_is_part_of_the_state(explorer, network):
    explorer.update(layer="block2_conv1", unit=3, target="dog")
    explorer.stage._receive(explorer.stage, {"type": "pin", "unit": 3, "choice": 6}, [])
    wait_until(lambda: explorer.stage.pinned)
    explorer.update(layer="block3_conv1", unit=5, target="cat")
    pinned = explorer.stage.pinned
    assert (pinned["layer"], pinned["unit"], pinned["network"]) == ("block2_conv1", 3, "bundled")
    image = cnnvis.sample_images()["cat"]
    expected = cnnvis.feature_maps(network, image, "block2_conv1").values[..., 3]
    shown = np.frombuffer(explorer.stage.pinned_map, "<f4").reshape(pinned["map_shape"])
    np.testing.assert_array_equal(shown, expected)
    heat = cnnvis.explain(network, image, layer="block2_conv1", target="dog")
    shown = np.frombuffer(explorer.stage.pinned_heat, "<f4").reshape(pinned["heat_shape"])
    np.testing.assert_allclose(shown, heat.values, atol=1e-6)
    assert "dog" in pinned["heat_caption"]

    code = explorer.code()
    explorer.stage.difference = True  # in the browser
    state = explorer.state
    assert state["difference"] and explorer.code() == code
    again = cnnvis.Explorer(**state)
    try:
        assert again.state == state
        assert again.stage.pinned == pinned and again.stage.difference
    finally:
        again.close()
    explorer.stage._receive(explorer.stage, {"type": "unpin"}, [])
    wait_until(lambda: not explorer.stage.pinned)
    assert explorer.state["pinned"] is None and not explorer.state["difference"]


def test_another_method_is_shown_beside_the_one_shown(explorer):
    explorer.update(method="grad-cam", target="dog")
    shown = explorer.heatmap.values
    message = {"type": "pin", "unit": 3, "choice": 6, "method": "eigen-cam"}
    explorer.stage._receive(explorer.stage, message, [])
    wait_until(lambda: explorer.stage.pinned and explorer.state["method"] == "eigen-cam")
    assert explorer.stage.methods == [method.name for method in cnnvis.methods()]
    beside = np.frombuffer(explorer.stage.pinned_heat, "<f4").reshape(shown.shape)
    np.testing.assert_allclose(beside, shown, atol=1e-6)
    assert "grad-cam" in explorer.stage.pinned["heat_caption"] and "dog" in explorer.stage.heat_caption
    assert explorer.state["pinned"]["method"] == "grad-cam" and explorer.heatmap.method == "eigen-cam"


def test_parts_follow_the_layer_while_their_view_is_open(explorer, network):
    explorer.update(layer="block3_conv1")
    explorer.stage._receive(explorer.stage, {"type": "concepts", "open": True}, [])
    wait_until(lambda: explorer.stage.concepts.get("layer") == "block3_conv1")
    expected = cnnvis.concepts(network, cnnvis.sample_images()["cat"], "block3_conv1")
    sent = np.frombuffer(explorer.stage.concept_maps, "<f4").reshape(explorer.stage.concepts["shape"])
    np.testing.assert_allclose(sent, expected.maps, rtol=1e-3, atol=1e-3 * expected.maps.max())
    explorer.update(layer="block2_conv1")
    wait_until(lambda: explorer.stage.concepts.get("layer") == "block2_conv1")
    explorer.stage._receive(explorer.stage, {"type": "concepts", "open": False}, [])
    explorer.update(layer="block3_conv1")
    assert explorer.stage.concepts == {} and explorer.stage.concept_maps == b""


def test_a_pinned_view_that_cannot_be_made_is_refused_and_the_view_stays(explorer):
    before = explorer.state
    with pytest.raises(cnnvis.UnknownLayerError, match="nowhere"):
        explorer.update(pinned={"layer": "nowhere"})
    assert explorer.state == before


def test_a_method_of_many_runs_says_how_far_it_is_and_gives_way(explorer, network):
    busy: list[str] = []
    explorer.stage.observe(lambda change: busy.append(change.new), "busy")
    explorer.update(method="occlusion", target="cat")
    expected = cnnvis.explain(network, explorer.image, method="occlusion", target="cat")
    np.testing.assert_array_equal(explorer.heatmap.values, expected.values)
    assert any("occlusion: " in words and " of " in words for words in busy)

    traces = len(busy)
    explorer.update(unit=5)  # nothing of the heatmap changes, so nothing of it is computed again
    assert not any("occlusion: " in words for words in busy[traces:])

    explorer.controls.method.value = "rise"
    wait_until(lambda: "rise: " in explorer.stage.busy)
    explorer.update(method="grad-cam")
    assert explorer.heatmap.method == "grad-cam"


@pytest.fixture
def slowly(monkeypatch):
    """Methods with many runs take as many as the gate lets through; it begins with two."""
    from cnnvis_widgets.widgets import views

    gate, real = threading.Semaphore(2), views.explain_steps

    def gated(*arguments, **options):
        for step in real(*arguments, **options):
            gate.acquire()
            if broken := getattr(gate, "broken", None):
                raise broken
            yield step

    monkeypatch.setattr(views, "explain_steps", gated)
    monkeypatch.setattr(views, "GROWTH_SECONDS", 0)
    yield gate
    for _ in range(10_000):
        gate.release()


def test_a_heatmap_of_many_runs_is_shown_from_the_first_one_on(network, slowly):
    explorer = cnnvis.Explorer(network, method="occlusion", layer="block2_conv1")
    wait_until(lambda: explorer.stage.growing)
    stage, shown = explorer.stage, explorer.shown
    assert stage.photo and stage.maps and stage.layer["path"] == "block2_conv1" and not stage.heat_message
    assert "occlusion: 32 of " in stage.busy and "occlusion: 32 of " in stage.heat_caption
    assert 0 < shown.progress[0] < shown.progress[1]
    stage.unit = 11  # a person goes on meanwhile
    for _ in range(1000):
        slowly.release()
    np.testing.assert_array_equal(
        explorer.heatmap.values,
        cnnvis.explain(network, explorer.image, "occlusion", "block2_conv1").values,
    )
    sent = np.frombuffer(stage.heat, "<f4").reshape(stage.heat_shape)
    np.testing.assert_array_equal(sent, explorer.heatmap.values)
    assert (stage.busy, stage.growing, stage.unit) == ("", False, 11)
    assert " of " not in stage.heat_caption
    explorer.close()


def test_a_wrong_wish_while_a_heatmap_grows_lets_it_grow_on(explorer, slowly):
    explorer.update(layer="block2_conv1")
    explorer.controls.method.value = "occlusion"
    wait_until(lambda: explorer.stage.growing)
    for _ in range(1000):
        slowly.release()
    with pytest.raises(cnnvis.UnknownLayerError, match="nowhere"):
        explorer.update(layer="nowhere")
    assert explorer.heatmap.method == "occlusion" and explorer.shown.progress is None
    assert "nowhere" in explorer.stage.error


def test_a_heatmap_that_fails_half_way_brings_the_last_view_back(explorer, slowly):
    explorer.update(layer="block2_conv1")
    before, heat, maps = explorer.state, explorer.stage.heat, explorer.stage.maps
    explorer.wish(layer="block1_conv1", method="occlusion")
    wait_until(lambda: explorer.stage.growing)
    assert explorer.stage.maps != maps
    slowly.broken = cnnvis.CnnvisError("The network broke.")
    slowly.release()
    wait_until(lambda: explorer.stage.error == "The network broke.")
    assert explorer.state == before and explorer.controls.method.value == "grad-cam"
    assert (explorer.stage.heat, explorer.stage.maps, explorer.stage.growing) == (heat, maps, False)


def test_a_pinned_heatmap_of_many_runs_grows_beside_a_view_that_does_not_wait(network, slowly):
    state = {"layer": "block2_conv1", "unit": 3, "method": "occlusion", "target": 6}
    explorer = cnnvis.Explorer(network, pinned=state)
    stage = explorer.stage
    assert explorer.heatmap.method == "grad-cam" and stage.pinned["layer"] == "block2_conv1"
    wait_until(lambda: "occlusion: 32 of " in stage.pinned["heat_caption"])
    assert stage.pinned_heat and stage.pinned_map
    for _ in range(1000):
        slowly.release()
    explorer.update(layer="block1_conv1")  # answered between two runs
    expected = cnnvis.explain(network, explorer.image, "occlusion", "block2_conv1", 6)
    wait_until(lambda: " of " not in stage.pinned["heat_caption"])
    sent = np.frombuffer(stage.pinned_heat, "<f4").reshape(stage.pinned["heat_shape"])
    np.testing.assert_array_equal(sent, expected.values)
    explorer.close()


def test_augmentation_is_a_tick_beside_the_method_and_part_of_the_state(explorer, network):
    stage, layer = explorer.stage, "block2_conv1"
    explorer.update(layer=layer, target="dog")
    plain = explorer.heatmap.values
    assert stage.weights_from == "slopes" and "augment" not in explorer.code()
    explorer.controls.augment.value = True
    assert explorer.state["augment"] is True
    mean = cnnvis.explain(network, explorer.image, "grad-cam", layer, "dog", augment=True).values
    assert np.abs(mean - plain).max() > 0.02
    sent = np.frombuffer(stage.heat, "<f4").reshape(stage.heat_shape)
    np.testing.assert_array_equal(sent, mean)
    # The browser's sum of maps would be that of the image as it is.
    assert stage.weights_from == "" and "six versions" in stage.heat_caption
    assert f"layer={layer!r}, target=5, augment=True)" in explorer.code()
    again = cnnvis.Explorer(**explorer.state | {"network": network})
    np.testing.assert_array_equal(again.heatmap.values, mean)
    assert again.controls.augment.value
    again.close()
    explorer.update(augment=False)
    np.testing.assert_array_equal(explorer.heatmap.values, plain)
    assert not explorer.controls.augment.value and "six versions" not in stage.heat_caption
    with pytest.raises(cnnvis.CnnvisError, match="augment is True or False; 'yes' was asked for"):
        explorer.update(augment="yes")


def test_a_method_that_is_blind_to_the_class_says_so(explorer):
    explorer.update(method="eigen-cam")
    assert "neither the class nor the later layers' weights" in explorer.stage.heat_caption
    explorer.update(method="grad-cam")
    assert "depend" not in explorer.stage.heat_caption


def test_an_echo_of_an_older_class_is_no_new_wish(explorer):
    explorer.update(target=4)
    explorer.update(target=7)
    explorer.stage.target_choice = 5  # the browser's link says what it was told first
    assert explorer.state["target"] == 7


@pytest.mark.parametrize("back", [None, 4])
def test_one_can_go_back_at_once_to_the_class_that_code_has_just_shown(explorer, back):
    explorer.update(target=2)
    explorer.update(target=back)
    dropdown = explorer.controls.target
    for index in (7, TOP if back is None else back):
        dropdown.value = index
        explorer.stage.target_choice = index + 1  # the browser's link says the same
    assert explorer.state["target"] == back
    for choice in (8, 0 if back is None else back + 1):  # in the stage's list, without a dropdown
        explorer.stage._receive(None, {"type": "choose", "choice": choice}, [])
    assert explorer.state["target"] == back


def test_a_class_chosen_while_an_older_one_is_being_shown_is_not_turned_back(explorer, monkeypatch):
    """The dropdown has the newer one before anybody has heard of it: neither it nor the stage may go back."""
    dropdown, update, choosing = explorer.controls.target, explorer._update_controls, []

    def choose_meanwhile(shown, *moved):
        if shown.state.target == 3 and not choosing:
            thread = threading.Thread(target=setattr, args=(dropdown, "value", 4))
            thread.start()
            choosing.append(thread)
            wait_until(lambda: dropdown.value == 4)
        update(shown, *moved)

    explorer.update(target=2)
    monkeypatch.setattr(explorer, "_update_controls", choose_meanwhile)
    said = []
    dropdown.observe(lambda change: said.append(change.new), "value")
    explorer.stage.observe(lambda change: said.append(change.new - 1), "target_choice")
    dropdown.value = 3
    wait_until(lambda: choosing)
    choosing[0].join()
    assert explorer.state["target"] == 4
    assert said == [3, 4]
