"""Arrays that come as messages of their own, in real Chromium: when they count, and what is shown without them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from widgets.stage_page import pixels, settle, wire

from cnnvis_widgets.widgets.payloads import maps_payload
from cnnvis_widgets.widgets.stage import Stage

# A model as anywidget hands it over: state by `get`, arrays by message.
MODEL = """
(traits) => {
  const handlers = {};
  const decode = (value) => value?.base64 === undefined ? value
    : new DataView(Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0)).buffer);
  const state = Object.fromEntries(Object.entries(traits).map(([name, value]) => [name, decode(value)]));
  const fire = (event, ...values) => (handlers[event] ?? []).forEach((handler) => handler(...values));
  const model = {
    get: (name) => state[name], set: (name, value) => { state[name] = value; },
    on: (event, handler) => (handlers[event] ??= []).push(handler), off: () => {}, save_changes: () => {},
    send: (content) => window.sent.push(content),
  };
  window.sent = [];
  window.update = (changes) => {
    Object.assign(state, changes);
    for (const name of Object.keys(changes)) fire(`change:${name}`);
  };
  window.arrays = (frame, values) =>
    fire("msg:custom", { type: "arrays", frame, names: Object.keys(values) }, Object.values(values).map(decode));
  window.message = (content, buffers) => fire("msg:custom", content, buffers.map(decode));
  const end = window.end = new AbortController();
  const url = URL.createObjectURL(new Blob([window.source], { type: "text/javascript" }));
  return import(url).then(({ default: view }) => {
    view.initialize({ model, signal: end.signal });
    view.render({ model, el: document.getElementById("stage"), signal: end.signal });
  });
}
"""


def open_late(page: Page, stage: Stage) -> dict[str, object]:
    """A page that learns of a stage after its arrays were sent; returns those arrays."""
    page.set_content(
        f"<!doctype html><html lang='en'><style>{Stage._css}</style><div class='cnnvis-explorer'>"
        "<div id='stage'></div></div>"
    )
    page.evaluate("(source) => { window.source = source }", str(Stage._esm))
    own = Stage.class_own_traits(sync=True)
    names = stage.get_state(list(own))
    page.evaluate(MODEL, {name: wire(getattr(stage, name)) for name in names})
    settle(page)
    return {name: wire(getattr(stage, name)) for name in own if name not in names}


@pytest.fixture
def stage() -> Stage:
    stage = Stage(panels=["maps", "detail"])
    values = np.random.default_rng(0).random((6, 6, 4)).astype(np.float32)
    stage.publish(layer={"path": "conv", "kind": "convolution", "shape": [6, 6, 4]}, **maps_payload(values))
    return stage


def test_a_late_page_asks_and_shows_the_still_until_the_arrays_come(page: Page, stage: Stage):
    file = io.BytesIO()
    Image.new("RGB", (90, 60), (200, 30, 30)).save(file, "PNG")
    stage.still = file.getvalue()
    arrays = open_late(page, stage)
    assert {"type": "arrays"} in page.evaluate("() => window.sent")
    still = page.locator(".cnnvis-still img")
    expect(still).to_be_visible()
    assert still.evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") == 90
    expect(page.locator(".cnnvis-panels")).to_be_hidden()
    page.evaluate("([frame, values]) => window.arrays(frame, values)", [stage.frame, arrays])
    settle(page)
    expect(still).to_be_hidden()
    assert len(np.unique(pixels(page, "canvas.cnnvis-maps").reshape(-1, 4), axis=0)) > 20


def test_arrays_count_only_with_the_state_of_their_frame(page: Page, stage: Stage):
    arrays = open_late(page, stage)
    page.evaluate("([frame, values]) => window.arrays(frame, values)", [stage.frame, arrays])
    settle(page)
    before = pixels(page, "canvas.cnnvis-maps")
    assert len(np.unique(before.reshape(-1, 4), axis=0)) > 20
    other = maps_payload(np.random.default_rng(1).random((6, 6, 4)).astype(np.float32))
    early = {name: wire(other[name]) for name in ("maps", "maps_stats")}
    page.evaluate("([frame, values]) => window.arrays(frame, values)", [stage.frame + 1, early])
    page.evaluate("() => window.update({ unit: 1 })")  # repaints
    page.evaluate("() => window.update({ unit: 0 })")
    settle(page)
    np.testing.assert_array_equal(pixels(page, "canvas.cnnvis-maps"), before)
    page.evaluate("(frame) => window.update({ frame })", stage.frame + 1)
    settle(page)
    assert (pixels(page, "canvas.cnnvis-maps") != before).any()


def test_a_page_that_comes_late_gets_large_arrays_in_small_messages_that_count_together(page, monkeypatch):
    random = np.random.default_rng(0)
    stage = Stage(panels=["maps", "detail"])
    values = random.random((110, 110, 150)).astype(np.float32)  # sent as 3 MB
    stage.publish(
        layer={"path": "conv", "kind": "convolution", "shape": [110, 110, 150]},
        picture=random.bytes(9_000_000),
        **maps_payload(values),
    )
    sent: list[tuple[dict, list]] = []
    monkeypatch.setattr(stage, "send", lambda content, buffers=None: sent.append((content, buffers)))
    stage._receive(None, {"type": "arrays"}, [])
    sizes = [sum(len(buffer) for buffer in buffers) for _, buffers in sent]
    assert len(sizes) == 4 and max(sizes) <= 4_000_000
    got: dict[str, bytes] = {}
    for content, buffers in sent:
        for name, buffer in zip(content["names"], buffers, strict=True):
            got[name] = got.get(name, b"") + bytes(buffer)
    assert got.keys() == stage._arrays and all(got[name] == getattr(stage, name) for name in got)

    open_late(page, stage)
    for content, buffers in sent:
        assert page.locator(".cnnvis-maps").first.is_hidden(), "arrays count together"
        page.evaluate("([c, b]) => window.message(c, b)", [content, [wire(bytes(b)) for b in buffers]])
        settle(page)
    assert len(np.unique(pixels(page, "canvas.cnnvis-maps").reshape(-1, 4), axis=0)) > 100
