"""Names from outside (of networks, layers, files) are text in the documentation too, and in tables made for it."""

from __future__ import annotations

import importlib.util
from dataclasses import asdict, replace
from html.parser import HTMLParser

import numpy as np
import pytest
import write_methods_page
from markdown_it import MarkdownIt
from side_by_side.report import in_words
from side_by_side.rows import OURS, Row
from sphinx.application import Sphinx

import cnnvis_widgets as cnnvis
from cnnvis_widgets.cli.evaluate import _as_markdown

HOSTILE = "<img src=x onerror=alert(1)>|`</td>`<b>*bold*</b>[a](javascript:alert(2))&lt;$x$<!-- -->"


class Read(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and the words that people see."""

    def __init__(self, page: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data


def is_text(page: str, words: str) -> bool:
    read = Read(page)
    active = [tag for tag, attributes in read.elements if "onerror" in attributes or tag in ("img", "b")]
    links = [attributes["href"] for tag, attributes in read.elements if tag == "a" and "href" in attributes]
    return (
        words in read.words and not active and not [link for link in links if link.startswith("javascript")]
    )


as_browsers_see = MarkdownIt("commonmark", {"html": True}).enable("table").render


@pytest.fixture
def conf(repository):
    spec = importlib.util.spec_from_file_location("conf_of_the_docs", repository / "docs" / "conf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_html_in_a_page_of_the_docs_is_text(conf, tmp_path):
    page = (
        "# A page\n\n| layer | unit |\n|---|---|\n| <img src=x onerror=alert(1)> | 3 <small>of 8</small> |\n\n"
        "<script>alert(2)</script>\n\n- <img src=y onerror=alert(3)>\n\n<!-- a remark -->\n\n"
        '```{raw} html\n<iframe src="live-maps.html" title="Maps" style="width: 1px"></iframe>\n```\n\n'
        '```{raw} html\n<iframe src="live-maps.html" onload="alert(4)"></iframe>\n```\n'
    )
    (tmp_path / "index.md").write_text(page, encoding="utf-8")
    out = tmp_path / "out"
    app = Sphinx(
        tmp_path, None, out, out / "trees", "html", status=None, warning=None,
        confoverrides={"extensions": ["myst_parser"], "html_theme": "basic"},
    )  # fmt: skip
    app.connect("doctree-read", conf.only_known_html)
    app.build()
    read = Read((out / "index.html").read_text(encoding="utf-8"))
    for words in (
        "<img src=x onerror=alert(1)>", "<script>alert(2)</script>", "<img src=y onerror=alert(3)>",
        '<iframe src="live-maps.html" onload="alert(4)">',
    ):  # fmt: skip
        assert words in read.words
    assert "a remark" not in read.words
    assert [one for one in read.elements if one[0] == "iframe"] == [
        ("iframe", {"src": "live-maps.html", "title": "Maps", "style": "width: 1px"})
    ]
    assert ("small", {}) in read.elements
    assert not [one for one in read.elements if one[0] == "img" or {"onerror", "onload"} & set(one[1])]


def test_the_table_of_an_evaluation_shows_the_networks_name_as_it_is():
    values = np.zeros((1, 1, 1))
    row = cnnvis.results.EvaluationRow("grad-cam", "deletion", 0.5, 0.4, 0.6, 1, ())
    found = cnnvis.Evaluation(
        (row,), values, values[0], ("grad-cam",), ("deletion",), ("lower",), ("a.jpg",), (), HOSTILE, 0
    )
    page = as_browsers_see(_as_markdown(found))
    assert is_text(page, f"{HOSTILE}, 1 photographs")
    assert ("table", {}) in Read(page).elements


def test_the_benchmarks_tables_show_names_and_errors_as_they_are(tmp_path):
    ours = Row("a", HOSTILE, HOSTILE, OURS, [2.0])
    peers = [Row("a", HOSTILE, HOSTILE, HOSTILE, [1.0]), Row("a", HOSTILE, HOSTILE, "b", remark=HOSTILE)]
    part = {
        "title": "Grad-CAM", "date": "", "machine": HOSTILE, "rates": "", "versions": {}, "problem": "",
        "marked": HOSTILE, "rows": [asdict(row) for row in (ours, *peers)],
    }  # fmt: skip
    page = as_browsers_see(in_words({"a": part}, tmp_path))
    assert is_text(page, HOSTILE)
    places = {"a loss": 3, "machine and mark": 2, "a row of the table": 3, "a remark": 3}
    assert Read(page).words.count(HOSTILE) == sum(places.values())


def test_the_page_of_methods_shows_what_the_table_holds_as_it_is(monkeypatch):
    row = replace(cnnvis.methods()[0], formula=HOSTILE, paper=HOSTILE, costs=HOSTILE)
    monkeypatch.setattr(cnnvis, "methods", lambda: (row,), raising=False)
    page = as_browsers_see(write_methods_page.page())
    assert is_text(page, HOSTILE)
    assert Read(page).words.count(HOSTILE) == 3
