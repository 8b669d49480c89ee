"""The epochs of a training under a slider, which fills while ``model.fit`` runs.

Each epoch is drawn once. The slider chooses among the pictures in the browser itself, so it moves while the kernel is
busy with the next epoch, and nothing is computed again.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets

from cnnvis_widgets.compute.training import Recorder
from cnnvis_widgets.errors import CnnvisError, short
from cnnvis_widgets.locale import say
from cnnvis_widgets.render.training_figures import in_words, plot_training
from cnnvis_widgets.results import Epoch
from cnnvis_widgets.widgets.kernels import keep_alive
from cnnvis_widgets.widgets.stills import LIVE, somebody_there

_WIDTH = "900px"
_MILLISECONDS = 400  # an epoch, where they play by themselves
_ROWS_IN_STILL = 5


class TrainingViewer(widgets.VBox):
    """What a `Recorder` has kept, an epoch at a time: its filters, its heatmaps, its figures.

    Show it before ``model.fit`` and watch; move the slider at any time. language: "en" or "zh".
    """

    def __init__(self, recorder: Recorder, language: str = "en"):
        if not hasattr(recorder, "epochs") or not hasattr(recorder, "listeners"):
            raise CnnvisError(f"A TrainingViewer shows a Recorder; {short(recorder)} was given.")
        say("training.epoch", language)  # whether it is one, before anything is made
        self.recorder = recorder
        self._language = language
        self._slider = widgets.IntSlider(
            min=0, max=0, description=say("training.epoch", language), layout=widgets.Layout(width="400px")
        )
        self._play = widgets.Play(min=0, max=0, interval=_MILLISECONDS, show_repeat=False)
        self._nothing = widgets.Label(say("training.none", language))
        # At no time is there a number without a picture
        self._frames = widgets.Stack([self._nothing], selected_index=0)
        self._links = [
            widgets.jslink((self._play, "value"), (self._slider, "value")),
            widgets.jslink((self._slider, "value"), (self._frames, "selected_index")),
        ]
        super().__init__([widgets.HBox([self._play, self._slider]), self._frames])
        keep_alive((self, self._slider, self._play, self._frames))
        for epoch in recorder.epochs:
            self._add(epoch)
        recorder.listeners.append(self._add)

    @property
    def epoch(self) -> int:
        """The number of the epoch that is shown, 0 for the untrained network."""
        return self._frames.selected_index

    @epoch.setter
    def epoch(self, number: int) -> None:
        self._slider.value = number
        self._frames.selected_index = self._slider.value  # where no browser links the two

    def close(self) -> None:
        """Take the widgets away; the recorder keeps its epochs."""
        if not hasattr(self, "_links"):  # the constructor failed
            return
        if self._add in self.recorder.listeners:
            self.recorder.listeners.remove(self._add)
        for widget in (*self._links, *self._frames.children, *self.children):
            widget.close()
        super().close()

    def _add(self, epoch: Epoch) -> None:
        """The browser learns of a picture and of its number together, and hands the number on to the slider itself.

        A number that came before its picture would leave an error in the picture's place.
        """
        frames = self._frames.children
        if epoch.number == 0 or frames == (self._nothing,):  # another model, from its beginning
            self._slider.value = self._frames.selected_index = 0
            frames = ()
        newest = len(frames)
        follows = self.epoch >= newest - 1  # who has gone back stays there
        self._slider.max = self._play.max = newest
        with self._frames.hold_sync():
            self._frames.children = (*frames, _frame(epoch))
            if follows:
                self._frames.selected_index = newest

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """Beside the live view the picture of a few epochs, for where no widget runs."""
        self._slider.value = self.epoch  # where no browser has done so
        bundle = super()._repr_mimebundle_(**options) or {}
        if not somebody_there():
            bundle.pop(LIVE, None)
        epochs = self.recorder.epochs
        if not epochs:
            return bundle | {"text/plain": say("training.none", self._language)}
        png = plot_training(spread(epochs, _ROWS_IN_STILL))._repr_png_()
        words = say("training.still", self._language, count=len(epochs))
        return bundle | {"text/plain": words, "image/png": base64.b64encode(png).decode()}


def spread(epochs: Sequence[Epoch], count: int) -> list[Epoch]:
    """At most so many of them, the first and the last among them, evenly between."""
    last, steps = len(epochs) - 1, min(count, len(epochs)) - 1
    return [epochs[round(place * last / max(1, steps))] for place in range(steps + 1)]


def _frame(epoch: Epoch) -> widgets.Widget:
    picture = widgets.Image(value=plot_training(epoch)._repr_png_(), format="png")
    picture.layout = widgets.Layout(max_width="100%", width=_WIDTH, object_fit="contain")
    answers = (
        f"{name}: {answer.name} {answer.probability:.0%}"
        for name, answer in zip(epoch.names, epoch.answers, strict=True)
    )
    words = " · ".join((in_words(epoch), *answers))
    return widgets.VBox([picture, widgets.HTML(html.escape(words))])  # a label would cut off what is long
