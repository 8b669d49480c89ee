"""The documentation: Markdown pages, the reference from docstrings, and live pages made by the package itself.

`make docs` builds it with warnings as errors. What follows from code (pages) is made anew in every build.
HTML within Markdown is shown as text, but for the little that is known here: a name of a layer or file may be any.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import cnnvis_widgets as cnnvis  # noqa: E402

PAGES = HERE / "_pages"

project = "cnnvis-widgets"
author = "The cnnvis-widgets developers"
release = version = cnnvis.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"cnnvis-widgets {release}"
html_extra_path = ["_pages"]  # the live pages, as they are
html_copy_source = False
exclude_patterns = ["_build"]
autodoc_typehints = "none"  # docstrings say shapes and units, which types cannot
default_role = "code"


def _write_made(_app: object) -> None:
    """What the pages include: live pages."""
    explorer = cnnvis.Explorer()
    explorer.to_html(PAGES / "live-explorer.html", budget_mb=2)
    explorer.close()
    for name, viewer in (("maps", cnnvis.FeatureMapViewer), ("heatmap", cnnvis.HeatmapViewer)):
        view = viewer(image="astronaut" if name == "maps" else "cat")
        view.to_html(PAGES / f"live-{name}.html", budget_mb=1.5)
        view.close()
    lecture = cnnvis.Walkthrough(HERE.parent / "notebooks" / "en" / "lecture.md")
    lecture.to_html(PAGES / "live-lecture.html", budget_mb=2)
    lecture.close()


def _add_the_rest(_app: object, page: str, source: list[str]) -> None:
    """Every public name is in the reference, one that nobody has put in its place at the end."""
    if page != "reference":
        return
    shown = [name for name in cnnvis.__all__ if callable(getattr(cnnvis, name))]
    rest = [
        name
        for name in shown
        if f"cnnvis_widgets.{name}\n" not in source[0]
        and getattr(cnnvis, name).__module__ != "cnnvis_widgets.errors"
    ]
    kinds = {name: "class" if isinstance(getattr(cnnvis, name), type) else "function" for name in rest}
    lines = [f".. auto{kinds[name]}:: cnnvis_widgets.{name}" for name in rest]
    if lines:
        source[0] += "\n## More\n\n```{eval-rst}\n" + "\n".join(lines) + "\n```\n"


_NAMED = re.compile(
    r"^(\w+(?:, \w+)*): "
)  # "layer, unit: what they are", as our docstrings describe arguments


def _further_fields(result: type, lines: list[str]) -> Iterator[str]:
    """The fields of what a computation returns that its docstring does not describe: their names say enough."""
    described = {name for line in lines if (named := _NAMED.match(line)) for name in named[1].split(", ")}
    for field in dataclasses.fields(result):
        if field.name not in described:
            yield f"{field.name}: {field.type}"


def _own_signature(_app, what, _name, thing, _options, _signature, _returns) -> tuple[str, str] | None:
    """That of a widget's ``__init__``: traitlets' ``__new__``, which Sphinx would take, says nothing."""
    if what != "class" or not hasattr(thing, "class_traits"):
        return None
    _self, *given = inspect.signature(thing.__init__).parameters.values()
    plain = [one.replace(annotation=inspect.Parameter.empty) for one in given]
    return str(inspect.Signature(plain)), ""


def _as_lists(_app, what, _name, thing, _options, lines: list[str]) -> None:
    """Paragraphs that describe arguments become lists; the lines under each of them belong to it."""
    if what == "class" and dataclasses.is_dataclass(thing):
        lines += ["", *_further_fields(thing, lines), ""]
    out: list[str] = []
    listed = False
    for number, line in enumerate(lines):
        named = _NAMED.match(line)
        if named and not (listed or (out and out[-1] == "")):
            out.append("")
        listed = bool(line.strip()) and (bool(named) or listed)
        if named:
            out.append(f"- **{named[1]}**: {line[named.end() :]}")
        else:
            out.append(f"  {line.strip()}" if listed else line)
        if listed and number + 1 < len(lines) and not lines[number + 1].strip():
            listed = False
    lines[:] = out


# Small print, remarks for whoever edits a page, and live pages with links to them.
_KNOWN_HTML = re.compile(
    r"""</?small>|<br>|<!--.*?-->|</?p>|</a>|</iframe>|<a\ href="live-[\w-]+\.html">
    |<iframe\ src="live-[\w-]+\.html"\ title="[^"<>]*"\ style="[^"<>]*">""",
    re.DOTALL | re.VERBOSE,
)


def only_known_html(_app: object, page: nodes.document) -> None:
    """All other HTML of a page becomes text, whoever wrote it: a hostile name in a table runs nothing."""
    for html in list(page.findall(nodes.raw)):
        words = html.astext()
        if "<" in _KNOWN_HTML.sub("", words):
            text = nodes.Text(words)
            within = isinstance(html.parent, nodes.TextElement)
            html.parent.replace(html, text if within else nodes.paragraph("", "", text))


def setup(app) -> None:
    PAGES.mkdir(exist_ok=True)
    app.connect("builder-inited", _write_made)
    app.connect("source-read", _add_the_rest)
    app.connect("autodoc-process-docstring", _as_lists)
    app.connect("autodoc-process-signature", _own_signature)
    app.connect("doctree-read", only_known_html)
