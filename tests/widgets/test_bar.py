"""The line below an Explorer in real Chromium: its address, to copy and to type."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from widgets.stage_page import page_of, receive

from cnnvis_widgets.widgets.bar import Bar, bar_texts


@pytest.fixture
def bar(page: Page) -> Page:
    """A line whose view is at an address, in a page that may use the clipboard."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    widget = Bar(lambda address: None, lambda address: None)
    widget.address = "bundled/conv/1"
    page.route(
        "http://localhost/",
        lambda route: route.fulfill(body=page_of(widget, kind=Bar), content_type="text/html"),
    )
    page.goto("http://localhost/")
    page.wait_for_selector(".cnnvis-bar")
    return page


def sent(page: Page) -> list[dict]:
    return page.evaluate("cnnvis.model.sent.splice(0).map((each) => each.content)")


def test_what_is_typed_waits_for_enter_and_is_not_turned_back_meanwhile(bar: Page):
    field = bar.get_by_label("Address", exact=True)
    field.fill(" bundled/conv/7@5,6 ")
    receive(bar, address="bundled/conv/2")  # somebody moves on
    assert field.input_value() == " bundled/conv/7@5,6 "
    field.press("Enter")
    assert sent(bar) == [{"type": "open", "address": "bundled/conv/7@5,6"}]
    field.fill("bundled/co")
    field.press("Escape")
    assert field.input_value() == "bundled/conv/2"
    field.fill("  ")
    field.press("Enter")
    assert sent(bar) == []


def test_what_was_left_half_typed_gives_way_to_the_next_view(bar: Page):
    field = bar.get_by_label("Address", exact=True)
    field.fill("bundled/co")
    bar.get_by_label("Copy the address").click()
    expect(bar.locator(".cnnvis-said")).to_have_text("Copied.")
    assert bar.evaluate("navigator.clipboard.readText()") == "bundled/conv/1", "where one is"
    assert field.input_value() == "bundled/co"
    receive(bar, address="bundled/conv/3")
    assert field.input_value() == "bundled/conv/3"


def test_a_picture_of_the_web_and_code_are_asked_for_and_words_are_those_of_the_language(bar: Page):
    picture = bar.locator("input[type=url]")
    picture.fill("https://example.org/cat.png")
    picture.press("Enter")
    assert sent(bar) == [{"type": "picture", "address": "https://example.org/cat.png"}]
    code = bar.locator(".cnnvis-code")
    expect(code).to_be_hidden()
    bar.get_by_role("button", name="Code", exact=True).press("Enter")
    assert bar.evaluate("cnnvis.model.saved.map(({ code_wanted }) => code_wanted)") == [True]
    receive(bar, code="network = cnnvis.load_network()\n<b>")
    expect(code.locator("code")).to_have_text("network = cnnvis.load_network()\n<b>")
    assert code.locator("b").count() == 0
    receive(bar, texts=bar_texts("zh"))
    for words in bar.locator(".cnnvis-bar :is(label, button)").all_inner_texts():
        assert any("\u4e00" <= each <= "\u9fff" for each in words), words
