"""The stage for everybody: by keyboard alone, heard instead of seen, in another language, on narrow pages."""

from __future__ import annotations

import re

import numpy as np
import pytest
import skimage.data
from playwright.sync_api import Page, expect
from widgets.stage_page import answers, open_stage, receive, settle

from cnnvis_widgets.locale import language_names, sentences
from cnnvis_widgets.widgets.payloads import (
    detail_payload,
    heat_payload,
    maps_payload,
    photo_payload,
    picture_payload,
    stage_texts,
)
from cnnvis_widgets.widgets.stage import PANELS, Stage

CAT = skimage.data.chelsea()
ROOT = ".cnnvis-stage"
GRID = ".cnnvis-panel-maps .cnnvis-view"
SAYS = ".cnnvis-status"
GROWING = {"step": 5, "steps": 20, "seconds_left": 3.2, "message": ""}


def cat_heat() -> np.ndarray:
    heat = answers(CAT, 7, 1)[..., 0]
    return heat / heat.max()


def whole_stage(maps: np.ndarray | None = None, **changes: object) -> Stage:
    """All panels with something in each."""
    maps = answers(CAT, 14, 12) if maps is None else maps
    stage = Stage(panels=list(PANELS), languages=language_names())
    stage.publish(
        network="bundled",
        layer={"path": "block2_conv1", "kind": "convolution", "shape": list(maps.shape)},
        facts={"name": "tabby", "share": "83.1%", "target": "lynx", "method": "grad-cam"},
        **photo_payload(CAT, "chelsea"),
        **heat_payload(cat_heat(), caption="grad-cam · bundled · block2_conv1 · lynx (logit 3.10)"),
        **maps_payload(maps),
        **picture_payload(CAT[:64, :64], 0, "bundled · block2_conv1 · unit 0 · recipe classic, 20 steps"),
    )
    stage.publish(**changes)
    return stage


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)
    settle(page)


def sent(page: Page) -> list[dict]:
    return page.evaluate("() => cnnvis.model.sent.splice(0).map((each) => each.content)")


def get(page: Page, trait: str) -> object:
    return page.evaluate("(name) => cnnvis.model.get(name)", trait)


def focused(page: Page) -> str:
    return page.evaluate("() => document.activeElement.className")


# -------- keys


def test_each_key_does_what_the_help_sheet_says(page: Page):
    open_stage(page, whole_stage(opacity=0.7))
    page.evaluate("() => { window.leaked = []; addEventListener('keydown', (e) => leaked.push(e.key)) }")
    page.locator(GRID).focus()
    press(page, "[", "]", "1", "9", "0", "m")
    assert sent(page) == [
        {"type": "layer-step", "by": -1},
        {"type": "layer-step", "by": 1},
        {"type": "class", "rank": 0},
        {"type": "class", "rank": 8},
        {"type": "class", "rank": 9},
        {"type": "maximize"},
    ]
    press(page, "s")
    assert get(page, "sort") == "strength"
    press(page, "S")  # Caps Lock
    assert get(page, "sort") == "index"
    press(page, "c")
    assert get(page, "scale") == "layer"
    press(page, "g")
    assert get(page, "opacity") == 0
    press(page, "g")
    assert get(page, "opacity") == 0.7
    assert page.evaluate("() => leaked") == [], "the notebook would have heard them"


def test_no_key_is_lost_between_two_frames(page: Page):
    open_stage(page, whole_stage())
    page.locator(GRID).focus()
    page.evaluate(
        """(grid) => { for (let i = 0; i < 3; i++) document.querySelector(grid)
          .dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true, cancelable: true })) }""",
        GRID,
    )
    settle(page)
    assert page.locator(ROOT).get_attribute("data-unit") == "3"


def test_keys_work_from_the_controls_around_the_stage_and_nowhere_else(page: Page):
    open_stage(page, whole_stage())
    page.evaluate(
        """() => { for (const [parent, id] of [[".cnnvis-explorer", "inside"], ["body", "outside"]])
          document.querySelector(parent).insertAdjacentHTML("afterbegin", `<button id=${id}>x</button>`) }"""
    )
    page.locator("#outside").focus()
    press(page, "[")
    assert sent(page) == []
    page.locator("#inside").focus()
    press(page, "[")
    assert sent(page) == [{"type": "layer-step", "by": -1}]


def test_a_click_anywhere_on_the_stage_is_enough_for_keys_to_work(page: Page):
    open_stage(page, whole_stage())
    page.locator(".cnnvis-photo").click()
    press(page, "]")
    assert sent(page) == [{"type": "layer-step", "by": 1}]


def test_who_types_is_left_alone(page: Page):
    open_stage(page, whole_stage())
    page.evaluate(
        """() => document.querySelector(".cnnvis-explorer").insertAdjacentHTML("afterbegin",
          '<input id="text"><select id="list"><option>first</option><option>grad-cam</option></select>' +
          '<div id="readout" contenteditable="true"></div>')"""
    )
    for field in ("#text", "#readout"):
        page.locator(field).focus()
        page.keyboard.type("sg[1]?m")
        assert page.locator(field).evaluate("(f) => f.value ?? f.textContent") == "sg[1]?m"
    page.locator("#list").focus()
    press(page, "g")
    assert page.locator("#list").input_value() == "grad-cam"  # a list goes to the option with that letter
    assert sent(page) == []
    assert (get(page, "sort"), get(page, "opacity")) == ("index", 0.4)
    expect(page.locator("dialog")).to_be_hidden()


def test_other_peoples_shortcuts_are_left_alone_and_brackets_may_need_altgr(page: Page):
    open_stage(page, whole_stage())
    page.evaluate(
        """(grid) => {
          for (const press of [{ key: "s", ctrlKey: true }, { key: "m", metaKey: true }, { key: "g", altKey: true },
                               { key: "[", ctrlKey: true, altKey: true }, { key: "【" }]) {
            const event = new KeyboardEvent("keydown", { ...press, bubbles: true, composed: true, cancelable: true });
            document.querySelector(grid).dispatchEvent(event); } }""",
        GRID,
    )
    settle(page)
    assert sent(page) == [{"type": "layer-step", "by": -1}] * 2  # German and Chinese keyboards
    assert (get(page, "sort"), get(page, "opacity")) == ("index", 0.4)


def test_escape_backs_out_one_level_at_a_time(page: Page):
    open_stage(page, whole_stage(error="There is no such layer.", picture_progress=GROWING))
    page.locator(GRID).focus()
    press(page, "?")
    expect(page.get_by_role("dialog")).to_be_visible()
    press(page, "Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator(".cnnvis-error")).to_be_visible()
    press(page, "Escape")
    expect(page.locator(".cnnvis-error")).to_be_hidden()
    assert get(page, "error") == ""
    assert sent(page) == []
    press(page, "Escape")
    assert sent(page) == [{"type": "cancel"}]
    receive(page, picture_progress={}, frame=5)
    press(page, "Escape")
    assert sent(page) == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_help_sheet_lists_every_key_in_words(page: Page, language: str):
    open_stage(page, whole_stage(texts=stage_texts(language), language=language))
    page.locator(GRID).focus()
    press(page, "?")
    sheet = page.get_by_role("dialog", name=sentences(language)["stage.keys.title"])
    rows = dict(
        zip(sheet.locator("th").all_inner_texts(), sheet.locator("td").all_inner_texts(), strict=True)
    )
    expected = {key: text for key, text in sentences(language).items() if key.startswith("stage.keys.")}
    for extra in ("title", "open", "open_hint", "close", "where"):
        del expected[f"stage.keys.{extra}"]
    assert sorted(rows.values()) == sorted(expected.values())
    assert rows["["] == expected["stage.keys.layer_before"]
    assert rows["Esc"] == expected["stage.keys.back"]


def test_the_help_sheet_keeps_the_focus_and_gives_it_back(page: Page):
    open_stage(page, whole_stage())
    page.evaluate("() => { window.leaked = []; addEventListener('keydown', (e) => leaked.push(e.key)) }")
    page.locator(GRID).focus()
    press(page, "?")
    assert page.get_by_role("dialog").evaluate(
        "(sheet) => sheet.matches(':modal')"
    )  # nothing behind it can be reached
    for key in ("Tab", "Tab", "Shift+Tab", "ArrowDown", "s", "]"):
        press(page, key)
        assert page.evaluate("() => !!document.activeElement.closest('dialog')"), key
    assert (get(page, "unit"), get(page, "sort"), sent(page)) == (0, "index", [])
    press(page, "?")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert "cnnvis-scroll" in focused(page)
    assert page.evaluate("() => leaked") == []
    page.get_by_role("button", name="Keys").press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("button", name="Close").press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.evaluate("() => document.activeElement.textContent") == "Keys"


def test_tab_reaches_every_control_in_reading_order_and_the_focus_is_seen(page: Page):
    open_stage(page, whole_stage(error="Something went wrong."))
    names, tops = [], []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, top, style, width = page.evaluate(
            """() => { const e = document.activeElement, s = getComputedStyle(e);
              return [e.getAttribute("aria-label") || e.textContent.trim(), e.compareDocumentPosition(window.last ?? e),
                      (window.last = e, s.outlineStyle), parseFloat(s.outlineWidth)] }"""
        )
        if not page.evaluate("() => !!document.activeElement.closest('.cnnvis-stage')"):
            break
        assert style != "none", name
        assert width >= 2, name
        names.append(name)
        tops.append(top)
    assert names[:3] == ["Dismiss", "Camera", "Open picture…"]
    grid = next(i for i, name in enumerate(names) if name.startswith("Feature maps of layer block2_conv1"))
    for choice in ("index", "strength", "each map", "layer"):
        assert choice in names[3:grid]
    assert names[-2:] == ["Keys", "Language"]
    assert all(top == 2 for top in tops[1:])  # the one before stands before it in the document


# -------- the sentence


def test_the_sentence_names_everything_that_is_shown(page: Page):
    maps = answers(CAT, 14, 12)
    open_stage(page, whole_stage(maps, unit=4))
    words = page.locator(SAYS).inner_text()
    for name in ("bundled says tabby (83.1%)", "grad-cam for lynx", "block2_conv1", "12 maps of 14 × 14"):
        assert name in words
    unit, value, y, x = re.search(r"Unit (\d+) peaks at ([\d.]+) at y (\d+), x (\d+)", words).groups()
    assert int(unit) == 4
    assert float(value) == pytest.approx(maps[..., 4].max(), rel=0.01)
    assert (int(y), int(x)) == np.unravel_index(maps[..., 4].argmax(), (14, 14))
    assert (
        page.locator(ROOT)
        .evaluate("(root) => document.getElementById(root.getAttribute('aria-describedby')).textContent")
        .startswith(words[:40])
    )


@pytest.mark.parametrize(
    ("y", "x", "place"),
    [
        (0, 0, "at the top left"),
        (0, 3, "at the top"),
        (2, 6, "at the right"),
        (3, 3, "in the middle"),
        (6, 2, "at the bottom"),
        (6, 6, "at the bottom right"),
    ],
)
def test_the_sentence_says_where_the_evidence_is(page: Page, y: int, x: int, place: str):
    heat = np.full((7, 7), 0.2)
    heat[3, 4] = 0.6
    heat[y, x] = 1
    open_stage(page, whole_stage(**heat_payload(heat)))
    assert f"strongest {place}; 4% of the picture" in page.locator(SAYS).inner_text()  # 2 cells of 49


def test_the_sentence_follows_the_unit_without_the_kernel(page: Page):
    maps = answers(CAT, 14, 12)
    maps[..., 1] = 0.5
    maps[3, 3, 2] = np.nan
    open_stage(page, whole_stage(maps, unit=0))
    page.locator(GRID).press("ArrowRight")
    settle(page)
    assert "Unit 1 is 0.500 everywhere." in page.locator(SAYS).inner_text()
    page.locator(GRID).press("ArrowRight")
    settle(page)
    assert "Unit 2 has values that are no numbers." in page.locator(SAYS).inner_text()
    page.locator(GRID).press("ArrowRight")
    settle(page)
    y, x = re.search(
        r"Unit 3 peaks at [\d.]+ at y (\d+), x (\d+)\.", page.locator(SAYS).inner_text()
    ).groups()
    assert (int(y), int(x)) == np.unravel_index(maps[..., 3].argmax(), (14, 14))


def test_a_peak_found_in_smaller_maps_is_near_until_the_full_map_comes(page: Page):
    maps = np.zeros((224, 224, 40), np.float32)
    maps[101, 37, 3] = 9
    open_stage(page, whole_stage(maps, unit=3))
    y, x = map(
        int, re.search(r"peaks at 9.00 near y (\d+), x (\d+)\.", page.locator(SAYS).inner_text()).groups()
    )
    assert (y, x) == pytest.approx((101, 37), abs=2)
    receive(page, frame=9, **detail_payload(maps[..., 3], 3))
    assert "peaks at 9.00 at y 101, x 37." in page.locator(SAYS).inner_text()


def test_no_evidence_is_in_the_sentence(page: Page):
    open_stage(page, whole_stage(**heat_payload(np.zeros((7, 7)), message="no positive evidence for 'lynx'")))
    words = page.locator(SAYS).inner_text()
    assert "grad-cam for lynx at layer block2_conv1: no positive evidence for 'lynx'." in words
    assert "strongest" not in words


def test_a_changed_view_is_announced_once_it_rests(page: Page):
    open_stage(page, whole_stage())
    page.wait_for_timeout(1300)
    page.evaluate(
        """() => { window.heard = []; new MutationObserver(() => heard.push(document.querySelector(".cnnvis-announced")
          .textContent)).observe(document.querySelector(".cnnvis-announced"), { childList: true, subtree: true }) }"""
    )
    page.locator(GRID).focus()
    for _ in range(8):
        press(page, "ArrowRight")
    expect(page.locator(".cnnvis-announced")).to_contain_text("Unit 8 peaks")
    assert len(page.evaluate("() => heard")) == 1
    assert page.locator(".cnnvis-announced").get_attribute("aria-live") == "polite"


# -------- languages


def test_another_language_is_asked_for_on_the_stage_and_changes_every_word(page: Page):
    open_stage(page, whole_stage(picture_progress=GROWING))
    page.get_by_role("combobox", name="Language").select_option("中文")
    page.wait_for_function("() => cnnvis.model.saved.some((each) => each.language === 'zh')")
    receive(page, texts=stage_texts("zh"), heat_caption="热力图", picture_caption="图像", frame=9)
    expect(page.locator(ROOT)).to_have_attribute("lang", "zh")
    expect(page.locator(".cnnvis-explorer")).to_have_attribute("lang", "zh")
    press(page, "?")  # the focus is in the list of languages
    left = page.evaluate(
        """(root) => { const text = [...document.querySelectorAll(`${root}, ${root} *`)].flatMap((e) =>
          [...["aria-label", "title", "aria-valuetext"].map((name) => e.getAttribute(name)),
           ...[...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data)]);
          return text.filter(Boolean).join("\\n") }""",
        ROOT,
    )
    words = set(re.findall(r"[A-Za-z]{3,}", left))
    names = {"bundled", "block", "conv", "grad", "cam", "lynx", "tabby", "chelsea", "English"}
    assert words - names <= {
        "Grad",
        "CAM",
        "Ctrl",
        "Alt",
        "Tab",
        "Shift",
        "Esc",
        "Page",
        "Down",
        "Home",
        "End",
    }  # as they stand on the keyboard


def test_without_a_second_language_no_choice_is_offered(page: Page):
    open_stage(page, whole_stage(languages={}))
    expect(page.locator(".cnnvis-language")).to_be_hidden()


# -------- contrast, narrow pages, motion


CONTRAST = """(root) => {
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d", { willReadFrequently: true });
  canvas.width = canvas.height = 1;
  const paint = (colours) => { pen.clearRect(0, 0, 1, 1);
    for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1) }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map((c) => c / 255) };
  const light = (rgb) => rgb.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  return [...document.querySelectorAll(`${root} *`)].filter((e) => e.checkVisibility()
      && !e.closest(".cnnvis-hidden, option")
      && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())).map((e) => {
    const grounds = [];
    for (let at = e; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
    const style = getComputedStyle(e), size = parseFloat(style.fontSize);
    const [a, b] = [light(paint([...grounds, style.color])), light(paint(grounds))];
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    return { text: e.textContent.trim().slice(0, 40), least: large ? 3 : 4.5,
             contrast: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) };
  }) }"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("full", [True, False], ids=["full", "empty"])
def test_every_word_stands_out_from_its_background(page: Page, dark: bool, full: bool):
    words = {
        "error": "An error",
        "heat_message": "no evidence",
        "picture_progress": GROWING,
        "busy": "Computing",
    }
    if full:
        open_stage(page, whole_stage(np.zeros((4, 4, 3), np.float32), **words), dark)
        page.wait_for_selector(".cnnvis-busy:visible")
        page.locator(".cnnvis-drop").evaluate("(hint) => { hint.hidden = false }")
        receive(page, busy="")  # stale pictures are dimmed; what is said about them is not meant to be read
        page.evaluate("() => { document.querySelector('.cnnvis-busy').hidden = false }")
    else:
        open_stage(page, Stage(languages=language_names()), dark)
    page.locator(GRID).focus()
    press(page, "?")
    found = page.evaluate(CONTRAST, ROOT)
    assert len(found) > (45 if full else 30)
    assert [each for each in found if each["contrast"] < each["least"]] == []


CUT_OFF = """(root) => [...document.querySelectorAll(`${root}, ${root} *`)]
  .filter((e) => e.checkVisibility() && !e.closest(".cnnvis-hidden") && e.clientWidth)
  .filter((e) => e.scrollWidth > e.clientWidth + 1 ||
    (e.scrollHeight > e.clientHeight + 1 && !/auto|visible/.test(getComputedStyle(e).overflowY)))
  .map((e) => `${e.className}: ${e.textContent.slice(0, 60)}`)"""


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [480, 700, 900, 1400])
def test_nothing_is_cut_off_at_any_width(page: Page, width: int, language: str):
    page.set_viewport_size({"width": width + 16, "height": 900})
    texts = stage_texts(language)
    if (
        language == "zh"
    ):  # as wide as Chinese, and broken at the same places, where a machine has no Chinese font
        texts = {key: re.sub("[\u2e80-\uffff]", "W\u200b", text) for key, text in texts.items()}
    stage = whole_stage(
        answers(CAT, 14, 256),
        texts=texts,
        network="a_network_of_ones_own_with_a_long_name",
        error="There is no layer 'backbone/conv4_block6_out_with_a_very_long_name_indeed'; did you mean 'conv1'?",
        picture_progress=GROWING,
        busy="Computing on bundled …",
    )
    open_stage(page, stage)
    page.wait_for_selector(".cnnvis-busy:visible")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width + 16
    assert page.evaluate(CUT_OFF, ROOT) == []
    page.locator(GRID).focus()
    press(page, "?")
    assert page.evaluate(CUT_OFF, "dialog") == []
    box = page.get_by_role("dialog").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width + 16


@pytest.mark.parametrize(("motion", "moving"), [("reduce", 0), ("no-preference", 1)])
def test_nothing_moves_for_those_who_asked_for_no_motion(page: Page, motion: str, moving: int):
    page.emulate_media(reduced_motion=motion)
    open_stage(page, whole_stage(busy="Computing on bundled …", picture_progress=GROWING))
    page.wait_for_selector(".cnnvis-busy:visible")
    assert page.evaluate("() => document.getAnimations().length") == moving


# -------- views that come, fail and go


def window_listeners(page: Page) -> int:
    """Listeners on the window and the document, as the browser itself counts them."""
    session = page.context.new_cdp_session(page)
    count = 0
    for name in ("window", "document"):
        found = session.send("Runtime.evaluate", {"expression": name})["result"]["objectId"]
        count += len(session.send("DOMDebugger.getEventListeners", {"objectId": found})["listeners"])
    return count


def test_views_that_go_take_all_their_listeners_along(page: Page):
    open_stage(page, whole_stage())
    page.evaluate("() => cnnvis.first.abort()")
    before = window_listeners(page), page.evaluate("() => cnnvis.model.listeners()")
    page.evaluate("() => { cnnvis.views = ['#stage', '#second'].map(cnnvis.show) }")
    settle(page)
    assert window_listeners(page) > before[0]
    assert page.evaluate("() => cnnvis.model.listeners()") > before[1]
    page.evaluate("() => cnnvis.views.forEach((view) => view.abort())")
    assert (window_listeners(page), page.evaluate("() => cnnvis.model.listeners()")) == before


def test_the_kernel_is_told_when_the_last_view_has_gone(page: Page):
    open_stage(page, whole_stage())
    page.evaluate("() => { cnnvis.second = cnnvis.show('#second') }")
    page.evaluate("() => cnnvis.first.abort()")
    assert sent(page) == []
    page.evaluate("() => cnnvis.second.abort()")
    assert sent(page) == [{"type": "unwatched"}]


def test_each_kernel_is_told_of_its_own_views_where_pages_share_the_module(page: Page):
    open_stage(page, whole_stage())
    page.evaluate(
        """() => {
          const { model } = cnnvis, told = [], own = new AbortController();
          const get = (name) => (name === "identity" ? "other" : model.get(name));
          const other = { ...model, get, send: (each) => told.push(each) };
          cnnvis.view.render({ model: other, el: document.querySelector("#second"), signal: own.signal });
          Object.assign(cnnvis, { told, own }); }"""
    )
    page.evaluate("() => cnnvis.own.abort()")
    assert page.evaluate("() => cnnvis.told") == [{"type": "unwatched"}]
    assert sent(page) == []


def test_an_open_help_sheet_goes_with_its_view(page: Page):
    open_stage(page, whole_stage())
    page.locator(GRID).focus()
    press(page, "?")
    page.evaluate("() => { cnnvis.first.abort(); document.querySelector('#stage').replaceChildren() }")
    page.evaluate("() => document.body.insertAdjacentHTML('beforeend', '<input id=after>')")
    page.locator("#after").click()  # nothing lies over the page any more
    assert page.evaluate("() => document.activeElement.id") == "after"


def test_a_view_that_cannot_be_made_says_why(page: Page):
    open_stage(page, whole_stage())
    page.evaluate(
        """() => { const { get } = cnnvis.model; cnnvis.model.get = (name) => {
          if (name === "panels") throw new Error("no panels <b>today</b>"); return get(name) };
          cnnvis.show("#second"); cnnvis.model.get = get }"""
    )
    expect(page.locator("#second [role=alert]")).to_have_text("Error: no panels <b>today</b>")


def test_one_panel_that_fails_leaves_the_others(page: Page):
    open_stage(page, whole_stage())
    receive(page, picture_shape=7, frame=9)  # nothing to take apart
    expect(page.locator(".cnnvis-panel-filter [role=alert]")).to_contain_text("This could not be drawn")
    press(page, "Tab")
    page.locator(GRID).press("ArrowRight")
    settle(page)
    expect(page.locator(".cnnvis-panel-detail .cnnvis-title")).to_have_text("Unit 1")
