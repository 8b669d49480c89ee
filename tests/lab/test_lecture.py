"""The lecture in a real JupyterLab, walked by the two keys of a presenter's remote."""

from __future__ import annotations

from lecture import lecture_file
from playwright.sync_api import expect

import cnnvis_widgets as cnnvis
from cnnvis_widgets.widgets.story import read_steps, story_payload

STAGE = ".cnnvis-stage"
PANELS = ("network", "photo", "maps", "detail", "filter")


def test_the_lecture_is_walked_by_keyboard_from_first_to_last_step(lab):
    steps = story_payload(read_steps(lecture_file()), cnnvis.load_network())
    code = f"import cnnvis_widgets as cnnvis\nlecture = cnnvis.Walkthrough({str(lecture_file())!r})\nlecture"
    notebook = lab.open([code], width=1920, height=1080)
    notebook.run_all()
    page, story = notebook.page, notebook.locator(".cnnvis-panel-story")
    page.wait_for_selector(f"{STAGE}[data-step='0'][data-photo]")
    story.click()  # where one reads, keys are heard
    grown = False
    for number, step in enumerate(steps):
        page.wait_for_selector(
            f"{STAGE}[data-step='{number}'][data-layer='{step['show']['layer']}']", timeout=15_000
        )
        expect(story.locator("h3")).to_have_text(step["title"])
        for panel in PANELS:
            expect(notebook.locator(f".cnnvis-panel-{panel}")).to_have_count(int(panel not in step["hide"]))
        expect(story.locator(".cnnvis-story-answer")).to_be_hidden()
        if step["maximize"]:
            page.wait_for_selector(".cnnvis-panel-filter canvas")
            expect(notebook.locator(".cnnvis-panel-filter .cnnvis-readout")).to_contain_text("of")
            grown = True
        page.keyboard.press("PageDown")
        expect(story.locator(".cnnvis-story-answer")).to_be_visible()
        size = "(all) => Math.min(...all.map((one) => parseFloat(getComputedStyle(one).fontSize)))"
        assert story.locator("p:visible, .cnnvis-phrase:visible").evaluate_all(size) >= 24
        page.keyboard.press("PageDown")
    assert grown
    assert notebook.kernel_eval("lecture.step") == len(steps) - 1
    page.keyboard.press("PageUp")
    page.wait_for_selector(f"{STAGE}[data-step='{len(steps) - 2}']")
