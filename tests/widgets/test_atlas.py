"""An atlas in the Explorer: the selected unit's picture at once, and tiles that come as one scrolls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from atlas_stub import Stub, expected, on_the_web
from playwright.sync_api import Page, expect
from widgets.stage_page import open_stage, pixels, receive, settle

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.jobs.atlas import fill as filling
from cnnvis_widgets.jobs.atlas.pictures import fill_batch
from cnnvis_widgets.jobs.atlas.store import Place, Terms, begin, place_of
from cnnvis_widgets.networks.parcel import weights_hash
from cnnvis_widgets.widgets.payloads import atlas_payload, maps_payload
from cnnvis_widgets.widgets.stage import Stage

LAYER = "block1_conv1"
SIZE = (12, 16)
STUB = Stub("/dev/null", size=SIZE)
VIEW = ".cnnvis-panel-atlas .cnnvis-view"
READOUT = ".cnnvis-panel-atlas .cnnvis-readout"


@pytest.fixture(scope="module")
def network():
    return cnnvis.load_network()


@pytest.fixture
def place(network, tmp_path) -> Place:
    """An atlas of the bundled network with units 0 to 4 of a layer."""
    terms = filling._terms(network, weights_hash(network), "fourier", 9, 0, SIZE)
    place = place_of(tmp_path / "a.zarr")
    begin(place, terms, [LAYER])
    fill_batch(place, LAYER, (0, 1, 2, 3, 4), STUB)
    return place


def wait_until(true) -> None:
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_selected_units_picture_comes_from_the_atlas_where_it_has_it(network, place):
    explorer = cnnvis.Explorer(network, layer=LAYER, unit=3, atlas=place)
    stage = explorer.stage
    wait_until(lambda: stage.picture_unit == 3)
    assert stage.picture == expected(LAYER, 3, SIZE).tobytes()
    words = (
        "From the atlas · bundled · block1_conv1 · unit 3 · recipe fourier, 9 steps · reaches 1.5. übrig 3"
    )
    assert stage.picture_caption == words
    stage.unit = 20  # which is not there: the one that is stays, with its own number
    stage.unit = 4
    wait_until(lambda: stage.picture_unit == 4)
    explorer.update(language="zh")
    assert stage.picture_caption.startswith("来自图集 · bundled")
    assert stage.picture == expected(LAYER, 4, SIZE).tobytes()
    explorer.close()


@pytest.fixture(params=["folder", "web"])
def address(request, place) -> Iterator[str]:
    """Where the atlas can be read: its folder, or a web server that knows nothing of atlases."""
    if request.param == "folder":
        yield place.address
        return
    folder = Path(place.address)
    with on_the_web(folder.parent) as site:
        yield f"{site}/{folder.name}"


def test_tiles_are_sent_as_they_are_asked_for_also_those_that_come_later(network, place, address):
    explorer = cnnvis.Explorer(network, layer=LAYER, unit=3, atlas=address)
    stage = explorer.stage
    wait_until(lambda: stage.atlas.get("layer") == LAYER)
    assert (stage.atlas["count"], stage.atlas["done"]) == (network.layer(LAYER).units, 5)
    ask(stage, 1, [4, 2, 30])
    assert stage.atlas_units == [4, 2]
    tall, wide = 80, 96  # whole JPEG blocks, nearest to 72 x 96
    sheet = cv2.imdecode(np.frombuffer(stage.atlas_tiles, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert sheet.shape == (2 * tall, wide, 3)
    for row, unit in enumerate((4, 2)):
        tile = cv2.resize(expected(LAYER, unit, SIZE), (wide, tall), interpolation=cv2.INTER_AREA)
        assert (
            np.abs(sheet[row * tall : (row + 1) * tall].astype(int) - tile).mean() < 20
        )  # another unit differs by 80
    stage.unit = 30
    fill_batch(place, LAYER, (30,), STUB)
    ask(stage, 2, [30])
    wait_until(lambda: stage.picture_unit == 30)  # it has come while it was selected
    assert (stage.atlas["done"], stage.atlas_units) == (6, [30])
    assert np.flatnonzero(np.frombuffer(stage.atlas_flags, np.uint8)).tolist() == [0, 1, 2, 3, 4, 30]
    explorer.close()


def ask(stage: Stage, number: int, units: list[int]) -> None:
    stage._receive(None, {"type": "atlas", "layer": LAYER, "units": units, "number": number, "view": "v"}, [])
    wait_until(lambda: stage.atlas.get("number") == number)


def test_an_atlas_of_other_weights_is_not_shown_as_if_it_were_of_these(place):
    other = cnnvis.load_network("bundled", weights="random")
    explorer = cnnvis.Explorer(other, layer=LAYER, unit=3, atlas=place)
    wait_until(lambda: "other weights" in explorer.stage.atlas.get("note", ""))
    assert (explorer.stage.picture, explorer.stage.atlas["done"]) == (b"", 0)
    explorer.close()
    with pytest.raises(CnnvisError, match="There is no atlas at /nowhere/at/all"):
        cnnvis.Explorer(other, atlas="/nowhere/at/all")


TERMS = Terms("toy", "0", "fourier", 9, 0, (64, 64), (("conv", 600),), "0")


def plain(unit: int) -> np.ndarray:
    """A picture of one colour, which JPEG keeps."""
    return np.full((64, 64, 3), (unit % 7 * 40, unit % 11 * 25, 120), np.uint8)


QUESTIONS = (
    "() => cnnvis.model.sent.map((each) => each.content).filter((content) => content.type === 'atlas')"
)


def answer_all(page: Page, stage: Stage, there: np.ndarray, known: int) -> list[int]:
    """Answer the view as the kernel does, until it asks for nothing more; which units it asked for after ``known``."""
    asked: list[int] = []
    while len(questions := page.evaluate(QUESTIONS)) > known:
        known = len(questions)
        question = questions[-1]
        units = question["units"]
        about = {"number": question["number"], "view": question["view"]}
        pictures = np.stack([plain(unit) for unit in units]) if units else None
        stage.publish(**(payload := atlas_payload(TERMS, "conv", there, units, pictures, about)))
        receive(page, **payload, frame=stage.frame)
        asked += units
    page.wait_for_timeout(50)  # the browser decodes the tiles
    settle(page)
    return asked


def scroll_to_the_end(page: Page) -> int:
    """Returns how many questions there were before."""
    known = len(page.evaluate(QUESTIONS))
    page.locator(VIEW).evaluate("(view) => { view.scrollTop = view.scrollHeight; }")
    settle(page)
    return known


def test_tiles_come_as_one_scrolls_and_only_those_that_are_there(page: Page):
    stage = Stage(panels=["maps", "filter"])
    maps = np.random.default_rng(0).random((2, 2, 600)).astype(np.float32)
    there = np.arange(600) < 590
    stage.publish(
        network="toy",
        layer={"path": "conv", "kind": "convolution", "shape": [2, 2, 600]},
        **maps_payload(maps),
        **atlas_payload(TERMS, "conv", there),
    )
    open_stage(page, stage)
    first = answer_all(page, stage, there, 0)
    assert first == list(range(len(first))) and 60 < len(first) < 130  # what is in sight and a page more
    colours = {tuple(colour) for colour in pixels(page, "canvas.cnnvis-atlas")[::3, ::3, :3].reshape(-1, 3)}
    for unit in (0, 5, 16):
        assert min(np.abs(np.subtract(plain(unit)[0, 0], colour, dtype=int)).max() for colour in colours) < 6

    last = answer_all(page, stage, there, scroll_to_the_end(page))
    assert max(last) == 589 and min(last) > 500  # the pages between were never asked for
    page.locator(VIEW).focus()
    page.keyboard.press("End")
    settle(page)
    expect(page.locator(READOUT)).to_have_text(
        "Unit 599 is not in the atlas yet; the button below makes its picture now."
    )
    page.keyboard.press("Home")
    settle(page)
    expect(page.locator(READOUT)).to_have_text("Unit 0")
    page.locator("canvas.cnnvis-atlas").click(position={"x": 130, "y": 40})
    settle(page)
    assert page.locator(".cnnvis-stage").get_attribute("data-unit") == "1"

    there[595] = True
    known = scroll_to_the_end(page)
    # While something is missing the view looks again by itself.
    page.wait_for_function(f"(known) => ({QUESTIONS})().length > known", arg=known)
    assert answer_all(page, stage, there, known) == [595]
