"""What keys ask the kernel for; the bindings themselves are a table in the browser (`stage/70_keys.js`)."""

from __future__ import annotations

from cnnvis_widgets.widgets.parts.part import Part


class Keys(Part):
    def __init__(self, explorer):
        super().__init__(explorer)
        controls = explorer.controls
        self.stage.on("layer-step", lambda content, _buffers: self._step(int(content["by"])))
        self.stage.on("class", lambda content, _buffers: self._explain(int(content["rank"])))
        self.stage.on("maximize", lambda _content, _buffers: controls.maximize.click())
        self.stage.on("cancel", lambda _content, _buffers: controls.cancel.click())

    def _step(self, by: int) -> None:
        """To a neighbour in the order of the network, counted from where the last wish leads: keys may be quick."""
        shown, wanted = self.explorer.shown, self.explorer.wanted
        if shown is None or wanted.network != shown.state.network:
            return
        order = {call.path: place for place, call in enumerate(shown.network.probe.calls)}
        # The strip offers layers that the list leaves out
        here = order[wanted.layer or shown.maps.layer.path]
        beyond = [layer.path for layer in shown.network.layers if (order[layer.path] - here) * by > 0]
        if beyond:
            self.explorer.wish(
                layer=beyond[min(by, len(beyond)) - 1] if by > 0 else beyond[max(by, -len(beyond))]
            )

    def _explain(self, rank: int) -> None:
        """The class that the network finds most likely (rank 0), or second most likely, and so on."""
        shown = self.explorer.shown
        if shown is not None and 0 <= rank < len(shown.predictions):
            self.explorer.wish(target=shown.predictions[rank].index)
