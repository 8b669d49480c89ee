"""The network strip in real Chromium: what is drawn where, keys, clicks, folding of large networks."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect
from widgets.stage_graphs import residual_graph
from widgets.stage_page import open_stage, receive, settle
from widgets.test_stage import COLOURS, cat_maps, cat_stage, data, luminance

STRIP = ".cnnvis-strip"
PANELS = ("network", "photo", "maps", "detail")
BLOCK = 7  # layers of a residual block with a convolution in its shortcut; others have one fewer


def open_strip(page: Page, graph: dict, layer: str = "block2_conv2", dark: bool = False) -> Page:
    stage = cat_stage(cat_maps(12, 28), panels=PANELS, graph=graph)
    stage.publish(layer=info(layer))
    return open_stage(page, stage, dark)


def info(path: str) -> dict:
    return {"path": path, "kind": "convolution", "shape": [28, 28, 12]}


def bar(page: Page, path: str) -> Locator:
    return page.locator(f'{STRIP} [data-path="{path}"]')


def middle(bar: Locator) -> tuple[float, float]:
    box = bar.bounding_box()
    return round(box["x"] + box["width"] / 2, 1), round(box["y"] + box["height"] / 2, 1)


def selected(page: Page) -> str:
    return page.locator(f'{STRIP} [aria-selected="true"]').evaluate_all(
        "(all) => all.map((each) => each.dataset.path ?? each.getAttribute('aria-label')).join()"
    )


def at_cursor(page: Page) -> str:
    """What a screen reader is told of the place where the keys are."""
    return page.evaluate(
        """(strip) => document.getElementById(document.querySelector(strip).getAttribute("aria-activedescendant"))
          .getAttribute("aria-label")""",
        STRIP,
    )


def sent(page: Page) -> list[dict]:
    return [each["content"] for each in page.evaluate("() => cnnvis.model.sent")]


def words(page: Page) -> str:
    settle(page)
    return page.locator(".cnnvis-strip-words").inner_text()


def test_every_layer_is_there_and_the_current_one_is_marked_and_named(page: Page):
    graph = residual_graph()
    open_strip(page, graph)
    paths = page.locator(f"{STRIP} [role=option]").evaluate_all(
        "(all) => all.map((each) => each.dataset.path)"
    )
    assert paths == [node[0] for node in graph["nodes"]]
    assert selected(page) == "block2_conv2"
    name = page.locator(".cnnvis-strip-name")
    expect(name).to_have_text("block2_conv2")
    x, _ = middle(bar(page, "block2_conv2"))
    box = name.bounding_box()
    assert box["x"] <= x <= box["x"] + box["width"]
    receive(page, frame=8, layer=info("block4_out"))
    assert selected(page) == "block4_out"
    expect(name).to_have_text("block4_out")


def test_the_strip_is_as_wide_as_all_panels_and_stands_above_them(page: Page):
    open_strip(page, residual_graph())
    box = page.locator(STRIP).bounding_box()
    panels = [panel.bounding_box() for panel in page.locator(".cnnvis-panels > .cnnvis-panel").all()]
    assert len(panels) == int(data(page, "count")) == 3
    assert box["y"] + box["height"] < min(panel["y"] for panel in panels)
    assert box["width"] > 870
    assert page.locator(".cnnvis-panel-network").bounding_box()["height"] <= 88


def test_kinds_of_layers_differ_in_shape_not_only_in_colour(page: Page):
    open_strip(page, residual_graph())
    shapes = {
        kind: tuple(
            bar(page, path).evaluate(
                """(bar) => { const { clipPath, borderRadius, width, height } = getComputedStyle(bar, "::before");
                  return [clipPath, borderRadius, width, height]; }"""
            )
        )
        for kind, path in {
            "convolution": "conv1",
            "pooling": "pool1",
            "normalization": "block1_bn1",
            "activation": "block1_relu1",
            "merge": "block1_add",
        }.items()
    }
    assert len(set(shapes.values())) == 5, shapes


def test_branches_run_in_rows_of_their_own(page: Page):
    open_strip(page, residual_graph())
    first, shortcut = middle(bar(page, "block1_conv1")), middle(bar(page, "block1_shortcut"))
    assert first[0] == shortcut[0], "both come right after pool1"
    assert shortcut[1] > first[1]
    assert {middle(bar(page, path))[1] for path in ("pool1", "block1_conv2", "block1_add", "dense")} == {
        first[1]
    }

    def line_at(x: float, y: float) -> bool:
        return page.locator(f"{STRIP} path").evaluate(
            """(path, [x, y]) => { const box = path.ownerSVGElement.getBoundingClientRect();
              return path.isPointInStroke(new DOMPoint(x - box.left, y - box.top)); }""",
            [x, y],
        )

    x = middle(bar(page, "block2_relu1"))[0]
    assert line_at(x, shortcut[1]), (
        "the second block's shortcut has no layer, but its line is seen below the block"
    )
    assert line_at(x, first[1])
    assert not line_at(middle(bar(page, "conv1"))[0], shortcut[1])


def test_keys_follow_the_lines_and_change_branches_and_enter_shows_a_layer(page: Page):
    open_strip(page, residual_graph(), "pool1")
    page.evaluate(
        "() => { window.leaked = []; addEventListener('keydown', (event) => leaked.push(event.key)) }"
    )
    page.locator(STRIP).focus()
    way = {
        "ArrowRight": "block1_conv1",
        "ArrowDown": "block1_shortcut",
        "ArrowLeft": "pool1",
        "End": "dense",
        "Home": "input",
    }
    for key, path in way.items():
        page.keyboard.press(key)
        settle(page)
        assert at_cursor(page).startswith(f"{path} ·"), key
        assert words(page).startswith(f"{path} ·")
    assert sent(page) == []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowRight", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    assert sent(page) == [{"type": "layer", "path": "block1_add"}]
    assert page.evaluate("() => leaked") == []
    assert selected(page) == "pool1", "the kernel has not shown it yet"


def test_a_click_asks_the_kernel_for_the_layer_and_nothing_without_maps(page: Page):
    open_strip(page, residual_graph())
    page.mouse.click(*middle(bar(page, "block3_relu1")))
    assert sent(page) == [{"type": "layer", "path": "block3_relu1"}]
    for path in ("dense", "gap", "input"):
        expect(bar(page, path)).to_have_attribute("aria-disabled", "true")
        page.mouse.click(*middle(bar(page, path)))
    page.mouse.click(*middle(bar(page, "block2_conv2")))  # what is shown already
    assert len(sent(page)) == 1
    assert page.locator(f"{STRIP} [aria-disabled]").count() == 3


def test_hovering_tells_kind_shape_parameters_and_receptive_field(page: Page):
    open_strip(page, residual_graph())
    page.mouse.move(*middle(bar(page, "conv1")))
    assert words(page) == (
        "conv1 · convolution (Conv2D) · 112 × 112 × 64 · 9,472 parameters · each position sees 7 × 7 pixels"
    )
    page.mouse.move(*middle(bar(page, "dense")))
    assert (
        words(page)
        == "dense · Dense · 10 · 650 parameters · sees the whole picture · no feature maps to show"
    )
    page.mouse.move(5, 700)
    assert words(page).startswith("block2_conv2 · convolution (Conv2D) · 56 × 56 × 64")


@pytest.mark.parametrize("width", [480, 900, 1400])
def test_four_hundred_layers_fit_and_only_the_current_block_is_unfolded(page: Page, width: int):
    page.set_viewport_size({"width": width + 16, "height": 900})
    graph = residual_graph(blocks=63)
    assert len(graph["nodes"]) > 400
    open_strip(page, graph, "block30_conv2")
    strip = page.locator(STRIP).bounding_box()
    boxes = [option.bounding_box() for option in page.locator(f"{STRIP} [role=option]").all()]
    assert min(box["width"] for box in boxes) >= 8.9
    assert min(box["x"] for box in boxes) >= strip["x"] - 0.1
    assert max(box["x"] + box["width"] for box in boxes) <= strip["x"] + strip["width"] + 0.1
    single = page.locator(f"{STRIP} [data-path]").evaluate_all(
        "(all) => all.map((each) => each.dataset.path)"
    )
    assert {path for path in single if path.startswith("block")} == {
        node[0] for node in graph["nodes"] if node[0].startswith("block30_")
    }
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width + 16


def test_a_folded_block_says_what_it_holds_and_opens(page: Page):
    open_strip(page, residual_graph(blocks=63), "block30_conv2")
    folded = page.get_by_role("option", name=re.compile(r"^block34: 7 layers, folded"))
    page.mouse.click(*middle(folded))
    settle(page)
    assert sent(page) == []
    assert at_cursor(page).startswith("block34_conv1 ·")
    assert selected(page).startswith("block30: 6 layers"), (
        "the current layer stays marked in its folded block"
    )
    expect(page.locator(".cnnvis-strip-name")).to_have_text("block30_conv2")
    page.mouse.click(*middle(bar(page, "block34_shortcut")))
    assert sent(page) == [{"type": "layer", "path": "block34_shortcut"}]
    receive(page, frame=8, layer=info("block34_shortcut"))
    assert selected(page) == "block34_shortcut"


def test_every_layer_of_a_large_network_can_be_reached_by_keys_alone(page: Page):
    graph = residual_graph(blocks=63)
    page.set_viewport_size({"width": 496, "height": 900})
    open_strip(page, graph, "block1_conv1")
    reached = page.evaluate(
        """async (strip) => {
          const list = document.querySelector(strip), seen = new Set();
          const frame = () => new Promise(requestAnimationFrame);
          const press = async (key) => {
            list.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
            await frame();
          };
          await press("Home");
          for (let i = 0; i < 1500; i++) {
            const here = document.getElementById(list.getAttribute("aria-activedescendant"));
            if (here.dataset.kind === "folded") { await press("Enter"); continue; }
            for (const each of list.querySelectorAll("[data-path]")) seen.add(each.dataset.path);
            const before = here.dataset.path;
            if (before === "dense") break;
            await press("ArrowRight");
          }
          return [...seen]; }""",
        STRIP,
    )
    assert set(reached) == {node[0] for node in graph["nodes"]}


def test_where_names_tell_nothing_branches_between_two_bottlenecks_fold_into_one(page: Page):
    nodes = [["image", "input", "InputLayer", [224, 224, 3], 0, None, []]]
    for module in range(12):
        source = len(nodes) - 1
        ends = []
        for _branch in range(3):
            parent = source
            for _step in range(4):
                nodes.append(
                    [f"conv2d_{len(nodes)}", "convolution", "Conv2D", [28, 28, 12], 9, None, [parent]]
                )
                parent = len(nodes) - 1
            ends.append(parent)
        nodes.append([f"mixed{module}", "merge", "Concatenate", [28, 28, 12], 0, None, ends])
    page.set_viewport_size({"width": 496, "height": 900})
    open_strip(page, {"input": [224, 224], "nodes": nodes}, "conv2d_70")
    rows = {middle(option)[1] for option in page.locator(f"{STRIP} [role=option]").all()}
    assert len(rows) == 3
    assert page.get_by_role("option", name=re.compile("conv2d_1 … mixed0: 13 layers")).count() == 1
    assert bar(page, "mixed5").count() == 1
    assert page.locator(f"{STRIP} [data-kind=folded]").count() == 11


def test_the_strip_speaks_to_screen_readers(page: Page):
    open_strip(page, residual_graph())
    strip = page.get_by_role("listbox", name=re.compile("Layers of bundled"))
    expect(strip).to_have_attribute("aria-orientation", "horizontal")
    label = bar(page, "block2_conv2").get_attribute("aria-label")
    assert label.startswith("block2_conv2 · convolution (Conv2D) · 56 × 56 × 64 · 36,928 parameters")
    assert at_cursor(page) == label


def test_another_network_replaces_the_strip_and_none_hides_it(page: Page):
    open_strip(page, residual_graph())
    receive(page, frame=8, graph=residual_graph(blocks=1), layer=info("block1_add"))
    assert page.locator(f"{STRIP} [role=option]").count() == 3 + BLOCK + 2
    assert selected(page) == "block1_add"
    receive(page, frame=9, graph={})
    expect(page.locator(STRIP)).to_be_hidden()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_bars_stand_out_in_both_themes(page: Page, dark: bool):
    open_strip(page, residual_graph(), dark=dark)
    ground = page.locator(".cnnvis-strip-words").evaluate_all(COLOURS)[0][1]
    bars = page.locator(f"{STRIP} [role=option]:not([aria-disabled])").evaluate_all(
        """(bars) => bars.map((bar) => {
          const pen = document.createElement("canvas").getContext("2d");
          pen.fillStyle = getComputedStyle(bar, "::before").backgroundColor;
          pen.fillRect(0, 0, 1, 1);
          return [...pen.getImageData(0, 0, 1, 1).data].map((c) => c / 255); })"""
    )
    for ink in bars:
        low, high = sorted([luminance(ink[:3]), luminance(ground[:3])])
        assert (high + 0.05) / (low + 0.05) >= 3
    assert (luminance(ground[:3]) < 0.2) == dark
