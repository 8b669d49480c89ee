"""The file itself: style, state and one script, under a policy that lets nothing in and nothing out.

All that comes from outside (names of classes, layers, files) is JSON in an element that no browser runs.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cnnvis_widgets
from cnnvis_widgets.compute.methods import methods
from cnnvis_widgets.errors import CnnvisError, listed, number, short
from cnnvis_widgets.jobs.worker import worker
from cnnvis_widgets.locale import LANGUAGES, language_names, say, sentences
from cnnvis_widgets.page import pack
from cnnvis_widgets.page.contents import Contents, collect
from cnnvis_widgets.render import colormaps
from cnnvis_widgets.widgets import payloads
from cnnvis_widgets.widgets.shown import Shown
from cnnvis_widgets.widgets.stage import join_modules, module_text, plain_style, style_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cnnvis_widgets.widgets.explorer import Explorer

_FOLDER = Path(__file__).parent / "html"
_MARGIN = 2048  # bytes for what is said of the contents once they are known
# What a view without a kernel starts with: the look, the picture, the classes. All else comes with a layer.
_TRAITS = (
    "photo_size", "photo_name", "classes", "class_names", "unit", "opacity", "colormap", "sort", "scale", "heat_scale",
    "target_choice", "language", "colormap_names", "diverging_colormaps", "signed_colormap",
    "picture_shape", "picture_caption", "picture_unit", "pinned", "difference", "network", "story", "story_step",
)  # fmt: skip
_ARRAYS = ("photo", "logits", "colormap_tables", "picture", "pinned_photo", "pinned_heat", "pinned_map")
_ABSENT = ("camera", "picture", "effect", "steps", "trust", "concepts")


def write_page(
    explorer: Explorer, path: str | os.PathLike, budget_mb: float = 5, layers: Sequence[str] | None = None
) -> Path:
    """Write what an Explorer shows, and as much more as ``budget_mb`` million bytes hold, as one HTML file.

    layers: paths of those wanted; None: as many of all as there is room for. Returns the path.
    Raises `CnnvisError` where the budget or the path is impossible, `UnknownLayerError`.
    """
    if not isinstance(path, str | os.PathLike):
        raise CnnvisError(f"A page is written to a path; {short(path)} was given.")
    path = Path(path)
    if not number(budget_mb, "budget_mb") > 0:
        raise CnnvisError(f"budget_mb is a number of megabytes above 0; {budget_mb!r} was asked for.")
    layers = None if layers is None else listed(layers, "layers", "paths of layers")
    if "\0" in str(path) or not path.absolute().parent.is_dir() or path.is_dir():
        raise CnnvisError(f"{path} cannot be written: its folder must exist, and it must be a file.")
    shown = explorer.settled()
    text = worker().call(lambda: page_text(explorer, shown, int(budget_mb * 1e6), layers))
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise CnnvisError(f"{path} cannot be written: {error.strerror or error}.") from error
    return path


def page_text(explorer: Explorer, shown: Shown, budget: int, layers: Sequence[str] | None = None) -> str:
    """The page, no longer than ``budget`` bytes; raises `CnnvisError` where that cannot be. On the worker thread."""
    state = _state(explorer, shown)
    least = 0

    def room(without_maps: list[dict[str, Any]]) -> int:
        nonlocal least
        least = len(_html(state | {"layers": without_maps}, shown).encode()) + _MARGIN
        return budget - least

    contents = collect(shown, explorer.panels, room, budget, layers, _told_of(explorer.stage.story))
    if shown.maps.layer.path in contents.left_out:
        raise CnnvisError(
            f"{budget / 1e6:g} MB are too few for this page, which needs {least / 1e6:.1f} MB before the first map; "
            "ask for a larger budget_mb, or for fewer layers."
        )
    return _html(state | _collected(contents, budget), shown)


def _told_of(story: list[dict[str, Any]]) -> list[str]:
    """The layers that a walkthrough leads to."""
    runs = [run for step in story for block in step["blocks"] + step["answer"] for run in block["runs"]]
    places = [step["show"] for step in story] + [run["link"] for run in runs]
    return [place["layer"] for place in places if place and place["layer"]]


def _state(explorer: Explorer, shown: Shown) -> dict[str, Any]:
    """What the page shows first: the stage's own traits, as they are on screen."""
    stage, state = explorer.stage, explorer.state_of(shown)
    drawn = bool(stage.picture)
    traits = {name: getattr(stage, name) for name in _TRAITS}
    traits |= {
        **payloads.graph_payload(shown.network),
        "panels": [panel for panel in explorer.panels if panel != "filter" or drawn],
        "unit": state.unit,
        "colormap": colormaps.NAMES.index(state.colormap),
        "identity": "page",
        "uploads": False,
        "languages": {},  # the page has a list of its own
        "absent": list(_ABSENT),
    }
    best = shown.predictions[0]
    return {
        "version": cnnvis_widgets.__version__,
        "traits": traits,
        "arrays": {name: pack.block(getattr(stage, name)) for name in _ARRAYS},
        "texts": {code: _texts(code) for code in LANGUAGES},
        "answer": {"index": best.index, "name": best.name, "probability": best.probability},
        "method": shown.heatmap.method if shown.heatmap else "",
        "methods": [method.name for method in methods()],
        "layer": shown.maps.layer.path,
        "image": state.image,
        "languages": language_names(),
    }


def _collected(contents: Contents, budget: int) -> dict[str, Any]:
    return {
        "layers": [layer.to_dict() for layer in contents.layers],
        "classes": payloads.listed_classes(contents.classes),
        "target": contents.target,
        "heats": contents.heats,
        "told": contents.told() | {"budget": f"{budget / 1e6:g}"},
    }


def _texts(language: str) -> dict[str, str]:
    wanted = ("stage.", "explorer.", "page.")
    texts = {key: text for key, text in sentences(language).items() if key.startswith(wanted)}
    return texts | {"stage.detail.reduced": texts["page.small"]}  # nothing is on its way here


def _html(data: dict[str, Any], shown: Shown) -> str:
    # In JSON "<" stands only within texts, where it may be written so: no "</script>" can end the element.
    try:
        content = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    except ValueError as error:
        raise CnnvisError(
            f"{shown.network.name} answers with values that are no numbers; no page is made."
        ) from error
    style, script = style_text() + _own_style(), _script()
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(script)}'",
            f"style-src '{_hash(style)}'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    language = data["traits"]["language"]
    title = say("page.title", language, network=shown.network.name, image=data["image"])
    return f"""<!doctype html>
<html lang="{language}"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">
<title>{html.escape(title)}</title>
<style>{style}</style></head>
<body class="cnnvis-explorer"><main id="cnnvis-main"></main>
<noscript><p>{html.escape(say("page.no_script", language))}</p></noscript>
<script type="application/json" id="cnnvis-page">{content}</script>
<script type="module">{script}</script></body></html>
"""


@functools.cache
def _script() -> str:
    text = module_text() + "\n" + join_modules(_FOLDER.glob("*.js"))
    return text.replace("</script", "<\\/script")


@functools.cache
def _own_style() -> str:
    return plain_style(_FOLDER / "page.css")


def _hash(text: str) -> str:
    """What a policy names an element by: only this very text may run, or apply."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
