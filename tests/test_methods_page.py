"""The docs page says what the table says."""

import write_methods_page

import cnnvis_widgets as cnnvis


def test_the_page_is_in_step_with_the_table():
    written = write_methods_page.PAGE.read_text(encoding="utf-8")
    assert written == write_methods_page.page(), "run python tools/write_methods_page.py"
    assert all(f"`{row.name}`" in written and row.paper in written for row in cnnvis.methods())
