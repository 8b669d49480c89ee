"""The line below an Explorer: its address, a picture from the web, its code. Only the browser can fill a clipboard,
so this is a view of its own and no ipywidget.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from cnnvis_widgets.locale import sentences
from cnnvis_widgets.widgets.stage import join_modules, plain_style

_FOLDER = Path(__file__).parent


class Bar(anywidget.AnyWidget):
    """Shows ``address`` and, where ``code_wanted``, ``code``; calls back with what a person types."""

    _esm = join_modules([_FOLDER / "bar.js"])
    _css = plain_style(_FOLDER / "bar.css")

    address = traitlets.Unicode().tag(sync=True)
    code = traitlets.Unicode().tag(sync=True)
    code_wanted = traitlets.Bool(False).tag(sync=True)  # the browser sets it
    note = traitlets.Unicode().tag(sync=True)  # a sentence that stays until it is taken back
    texts = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        on_open: Callable[[str], object],
        on_picture: Callable[[str], object],
        language: str = "en",
    ) -> None:
        said = {"open": on_open, "picture": on_picture}
        super().__init__(texts=bar_texts(language))

        def receive(_bar: Any, content: dict, _buffers: list) -> None:
            if answer := said.get(content.get("type", "")):
                answer(str(content.get("address", "")))

        self.on_msg(receive)


def bar_texts(language: str) -> dict[str, str]:
    """The sentences of the bar: what the trait ``texts`` holds."""
    return {key: text for key, text in sentences(language).items() if key.startswith("bar.")}
