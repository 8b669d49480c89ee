"""The epochs of a training under a slider: no network is needed to try it."""

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import cnnvis_widgets as cnnvis
from cnnvis_widgets.render.training_figures import in_words, kernel_sheet
from cnnvis_widgets.results import Epoch, Heatmap, LayerInfo, Prediction, Target
from cnnvis_widgets.widgets.training import spread


def epoch(number: int, shade: int = 0) -> Epoch:
    values = np.full((4, 4), 0.5, np.float32)
    image = np.full((8, 8, 3), shade, np.uint8)
    heatmap = Heatmap(
        values,
        values,
        LayerInfo("c", "convolution", (4, 4, 2), 2),
        Target(0, "cat"),
        "grad-cam",
        1.0,
        "n",
        image,
    )
    logs = {"loss": 1 / number, "accuracy": 0.5} if number else {}
    kernels = np.random.default_rng(number).normal(size=(4, 3, 3, 1)).astype(np.float32)
    return Epoch(number, logs, kernels, ("one",), (Prediction(0, "cat", 0.75, 1.0),), (heatmap,))


@pytest.fixture
def recorder():
    return SimpleNamespace(epochs=[], listeners=[])


def record(recorder, found: Epoch) -> None:
    recorder.epochs.append(found)
    for listener in recorder.listeners:
        listener(found)


def picture(frame) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(frame.children[0].value)).convert("RGB"))


def test_html_in_names_stays_text(recorder):
    html = "<img src=x onerror=alert(1)>"
    record(recorder, replace(epoch(0), names=(html,), answers=(Prediction(0, html, 0.75, 1.0),)))
    words = cnnvis.TrainingViewer(recorder)._frames.children[0].children[1].value
    assert "<" not in words and words.count("&lt;img src=x onerror=alert(1)&gt;") == 2


def test_the_viewer_fills_while_one_watches_and_each_epoch_is_drawn_once(recorder):
    record(recorder, epoch(0))  # before the viewer is there
    viewer = cnnvis.TrainingViewer(recorder)
    record(recorder, epoch(1, 90))
    first = viewer._frames.children[0]
    record(recorder, epoch(2, 200))
    assert viewer.epoch == viewer._slider.max == 2
    assert viewer._frames.children[0] is first
    shades = [picture(frame).mean() for frame in viewer._frames.children]
    assert shades[0] < shades[1] < shades[2], "each picture is its own epoch's"
    assert "epoch 2: loss 0.5, accuracy 0.5" in viewer._frames.children[2].children[1].value
    assert "one: cat 75%" in viewer._frames.children[2].children[1].value
    viewer.close()
    assert recorder.listeners == []


def test_who_has_gone_back_stays_there(recorder):
    viewer = cnnvis.TrainingViewer(recorder)
    for number in range(3):
        record(recorder, epoch(number))
    viewer.epoch = 1
    record(recorder, epoch(3))
    assert viewer.epoch == viewer._slider.value == 1
    assert viewer._slider.max == 3
    viewer.close()


def test_another_training_takes_the_place_of_the_first(recorder):
    viewer = cnnvis.TrainingViewer(recorder)
    for number in (0, 1, 2):
        record(recorder, epoch(number))
    recorder.epochs.clear()
    record(recorder, epoch(0))
    assert len(viewer._frames.children) == 1
    assert viewer.epoch == viewer._slider.max == 0
    viewer.close()


def test_the_browser_itself_moves_from_slider_to_picture(recorder):
    viewer = cnnvis.TrainingViewer(recorder)
    pairs = {(link.source, link.target) for link in viewer._links}
    assert ((viewer._slider, "value"), (viewer._frames, "selected_index")) in pairs
    assert ((viewer._play, "value"), (viewer._slider, "value")) in pairs
    viewer.close()


def test_where_no_widget_runs_there_is_a_picture_or_a_sentence(recorder):
    viewer = cnnvis.TrainingViewer(recorder, language="zh")
    assert "还没有记录" in viewer._repr_mimebundle_()["text/plain"]
    record(recorder, epoch(0))
    bundle = viewer._repr_mimebundle_()
    assert bundle["image/png"] and "1" in bundle["text/plain"]
    viewer.close()


def test_a_few_epochs_stand_for_all():
    numbers = [each.number for each in spread([epoch(n) for n in range(11)], 5)]
    assert numbers == [0, 2, 5, 8, 10]
    assert len(spread([epoch(0)], 5)) == 1


def test_kernels_are_on_one_scale_around_zero():
    kernels = np.zeros((2, 1, 1, 3), np.float32)
    kernels[0], kernels[1] = [1, 0, -1], 0.5
    sheet = kernel_sheet(kernels)
    colours = {tuple(colour) for colour in sheet.reshape(-1, 3).tolist()}
    assert (255, 128, 0) in colours, "one channel up, one at zero, one down"
    assert (191, 191, 191) in colours, "half of the strongest"


def test_a_figure_of_nothing_is_refused_and_the_start_has_words():
    with pytest.raises(cnnvis.CnnvisError, match="no epoch yet"):
        cnnvis.plot_training([])
    assert in_words(epoch(0)) == "before training"
