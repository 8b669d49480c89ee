"""The bar below an Explorer: addresses typed and shown, pictures from the web, the code of the view."""

from __future__ import annotations

import re
import threading

from cnnvis_widgets.errors import ImageError
from cnnvis_widgets.images import load_image
from cnnvis_widgets.jobs.worker import Ticket
from cnnvis_widgets.locale import say
from cnnvis_widgets.widgets import address
from cnnvis_widgets.widgets.bar import Bar, bar_texts
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.shown import Shown

_WEB = re.compile(r"https?://", re.IGNORECASE)


class Places(Part):
    """Says what is wrong with an address in the widget; the view stays as it was."""

    lane = "address"

    def __init__(self, explorer):
        super().__init__(explorer)
        self._fetching = 0  # the newest picture asked for; older ones are dropped when they come
        self.bar = explorer.bar = Bar(self._open, self._picture, explorer.wanted.language)
        self.bar.observe(lambda change: self._show() if change.new else None, "code_wanted")
        explorer.observe(lambda _change: self._show(), "view")
        explorer.children = (*explorer.children, self.bar)

    def after(self, shown: Shown, before: Shown | None) -> None:
        if before is not None and before.state.language != shown.state.language:
            self.bar.texts = bar_texts(shown.state.language)

    def stop(self) -> None:
        super().stop()
        self._fetching += 1

    def _show(self) -> None:
        def show(_ticket: Ticket) -> None:
            if self.explorer.shown is not None:
                with self.bar.hold_sync():
                    self.bar.address = self.explorer.address
                    if self.bar.code_wanted:
                        self.bar.code = self.explorer.code()

        self.submit(show)

    def _open(self, text: str) -> None:
        if _WEB.match(text):
            self._picture(text)
            return

        def go(_ticket: Ticket) -> None:
            self.explorer.go_to(address.read(text))

        self.stage.busy = say("explorer.opening", self.explorer.wanted.language, address=text)
        self.submit(go)

    def _picture(self, url: str) -> None:
        """Fetch a picture on a thread of its own: the worker, which all Explorers share, must not wait for the web."""
        self._fetching += 1
        mine = self._fetching

        def fetch() -> None:
            try:
                image = load_image(url)
            except Exception as error:
                if mine == self._fetching:
                    self.explorer.say_error(error)
            else:
                if mine == self._fetching:
                    self.explorer.wish(image=self.explorer.shelf.put_image(image, url))

        if not _WEB.match(url):
            wrong = (
                f"{url!r} is not the address of a picture on the web; one begins with http:// or https://."
            )
            self.explorer.say_error(ImageError(wrong))
            return
        self.stage.busy = say("explorer.fetching", self.explorer.wanted.language, address=url)
        threading.Thread(target=fetch, name="cnnvis-fetch", daemon=True).start()
