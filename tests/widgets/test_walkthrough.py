"""Walkthroughs: a plain file becomes steps, phrases lead the view and light up, and nothing in them is HTML."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from widgets.stage_page import open_stage, pixels, receive, settle

import cnnvis_widgets as cnnvis
from cnnvis_widgets.errors import CnnvisError, UnknownLayerError
from cnnvis_widgets.widgets.story import place, read_steps, story_payload

LECTURE = """
---
title: Edges first
show: block1_conv1_relu/7
hide: method, photo
---
# What a first layer sees
Watch [this **edge** detector](cnnvis:block1_conv1_relu/7), and
[its twin](cnnvis:block1_conv1_relu/9@5,6). <b onclick="x()">Not bold</b>, [no way out](https://example.org).

- one *thin* line
- two `code`

Where will it answer?
???
Along the **whiskers**.
---
title: A class
show: block4_add?class=dog
---
Point at [the dog](cnnvis:?class=dog) in the list.
"""


@pytest.fixture(scope="module")
def lecture() -> Iterator[cnnvis.Walkthrough]:
    walkthrough = cnnvis.Walkthrough(LECTURE)
    yield walkthrough
    walkthrough.close()


def test_a_file_becomes_steps(tmp_path):
    file = tmp_path / "lecture.md"
    file.write_text(LECTURE, encoding="utf-8")
    first, second = read_steps(file)
    assert (first.title, first.show, first.hide) == (
        "Edges first",
        "block1_conv1_relu/7",
        ("method", "photo"),
    )
    assert first.text.startswith("# What a first layer sees") and first.text.endswith("Where will it answer?")
    assert (first.answer, second.answer) == ("Along the **whiskers**.", "")


def test_markdown_becomes_runs_of_plain_text(lecture):
    step = story_payload(read_steps(LECTURE), lecture.network)[0]
    assert [block["kind"] for block in step["blocks"]] == ["heading", "p", "item", "item", "p"]
    runs = step["blocks"][1]["runs"]
    assert [run["text"] for run in runs if run["link"]] == ["this **edge** detector", "its twin"]
    assert runs[3]["link"] | {"layer": ""} == {"layer": "", "unit": 9, "y": 5, "x": 6} | dict.fromkeys(
        ("target", "method")
    )
    assert runs[4]["text"] == '. <b onclick="x()">Not bold</b>, [no way out](https://example.org).'
    assert [run["style"] for run in step["blocks"][2]["runs"]] == ["", "em", ""]
    assert [run["style"] for run in step["answer"][0]["runs"]] == ["", "strong", ""]


def test_a_wrong_step_or_link_is_one_sentence(lecture, tmp_path):
    for text, said in (
        ("no step\nhere", "begins with a step"),
        ("---\ncolour: red\n---\nx", "Step 1 has 'colour'; a step knows title"),
        ("---\nhide: everything\n---\nx", "hides 'everything'"),
        (tmp_path / "none.md", "cannot be read"),
    ):
        with pytest.raises(CnnvisError, match=said):
            read_steps(text)
    for link, said in (
        ("block1_conv1/99", "units 0 to 31"),
        ("block1_conv1/9@64,0", "positions 0,0 to 63,63"),
        ("?class=unicorn", "unicorn"),
        ("?size=3", "'size'"),
    ):
        with pytest.raises(CnnvisError, match=said):
            place(link, lecture.network)
    with pytest.raises(UnknownLayerError, match="block9"):
        place("block9/3", lecture.network)


def test_a_step_sets_the_state_and_hides_what_it_wants(lecture):
    lecture.step = 0
    assert (lecture.state["layer"], lecture.state["unit"]) == ("block1_conv1_relu", 7)
    assert "photo" not in lecture.stage.panels
    assert lecture.controls.method.layout.visibility == "hidden"
    lecture.step = 1
    assert (lecture.state["layer"], lecture.state["target"]) == ("block4_add", 5)
    assert "photo" in lecture.stage.panels
    assert lecture.controls.method.layout.visibility == "visible"
    lecture.stage._receive(None, {"type": "go", "place": place("block2_pool/3@4,5", lecture.network)}, [])
    assert lecture.address == "bundled/block2_pool/3@4,5"
    lecture.step = 99
    assert lecture.step == 1


def test_a_phrase_marks_its_position_each_time(page, lecture):
    lecture.step = 0
    assert lecture.state["unit"] == 7
    open_stage(page, lecture.stage)
    phrase = page.locator(".cnnvis-phrase").last
    phrase.click()
    asked = page.evaluate(
        "cnnvis.model.sent.map(({ content }) => content).filter(({ type }) => type === 'go')"
    )
    assert [(go["place"]["unit"], go["place"]["y"], go["place"]["x"]) for go in asked] == [(9, 5, 6)]
    receive(page, unit=9, position=[5, 6], frame=lecture.stage.frame + 1)
    marks = ".cnnvis-panel-detail .cnnvis-marks"
    assert pixels(page, marks)[..., 3].any()
    page.locator(".cnnvis-detail").hover()
    page.mouse.move(2, 2)
    settle(page)
    assert not pixels(page, marks)[..., 3].any(), "who points elsewhere has gone on from it"
    phrase.click()
    page.mouse.move(2, 2)
    settle(page)
    assert pixels(page, marks)[..., 3].any()


def test_a_phrase_about_a_class_lights_up_with_it_in_the_list(page, lecture):
    lecture.step = 1
    assert lecture.state["target"] == 5
    open_stage(page, lecture.stage)
    phrase = page.locator(".cnnvis-phrase")
    for row in page.locator(".cnnvis-class").all():
        row.hover()
        settle(page)
        assert ("cnnvis-lit" in phrase.get_attribute("class")) == ("dog" in row.inner_text())


def test_phrases_lead_and_light_up_and_answers_wait(page, lecture):
    lecture.step = 0
    assert lecture.state["unit"] == 7
    open_stage(page, lecture.stage)
    story = page.locator(".cnnvis-panel-story")
    expect(story).to_contain_text('<b onclick="x()">Not bold</b>')
    assert story.locator("b, a").count() == 0
    answer = page.locator(".cnnvis-story-answer")
    expect(answer).to_be_hidden()
    page.get_by_role("button", name="Show the answer").click()
    expect(answer).to_have_text("Along the whiskers.")
    phrases = page.locator(".cnnvis-phrase")
    assert "cnnvis-lit" not in phrases.first.get_attribute("class")
    page.locator(".cnnvis-detail").hover()
    settle(page)
    assert "cnnvis-lit" in phrases.first.get_attribute("class")
    assert "cnnvis-lit" not in phrases.last.get_attribute("class")
    phrases.last.click()  # a unit of the same layer: painted here, though the message goes to the kernel as well
    settle(page)
    assert page.locator(".cnnvis-stage").get_attribute("data-unit") == "9"
    page.keyboard.press("PageDown")
    settle(page)
    expect(story).to_contain_text("A class")
    assert page.evaluate("cnnvis.model.get('story_step')") == 1
    page.keyboard.press("ArrowLeft")
    settle(page)
    expect(story).to_contain_text("Edges first")
    page.set_viewport_size({"width": 1920, "height": 1080})
    settle(page)
    # A tile's name is said with its number: seventh row, fourth column.
    layout = page.locator(".cnnvis-panel-maps [role=grid]").evaluate(
        "(grid) => Number(grid.getAttribute('aria-colcount'))"
    )
    unit = 6 * layout + 3 if 6 * layout + 3 < 32 else layout + 3
    page.evaluate(f"cnnvis.model.set('unit', {unit})")
    settle(page)
    expect(page.locator(".cnnvis-panel-maps .cnnvis-readout")).to_contain_text(
        f"D{unit // layout + 1} · Unit {unit}"
    )
    size = "(e) => parseFloat(getComputedStyle(e).fontSize)"
    assert min(story.locator("p, li, .cnnvis-phrase").evaluate_all(f"(all) => all.map({size})")) >= 24
