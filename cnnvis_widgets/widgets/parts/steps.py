"""One convolution step by step: weights and input maps of the selected unit, sent once when the browser asks.

With them the browser answers every position itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnvis_widgets.compute.convolution import ConvolutionSteps, convolution_steps
from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.jobs.worker import Ticket
from cnnvis_widgets.locale import say
from cnnvis_widgets.widgets.parts.part import Part
from cnnvis_widgets.widgets.shown import Shown

MOST_BYTES = 8_000_000  # two messages; what is more would come too late for a person who waits


class Steps(Part):
    lane = "steps"

    def __init__(self, explorer):
        super().__init__(explorer)
        self.stage.on("convolution", lambda content, _buffers: self._wanted(int(content["unit"])))

    def changes(self, shown: Shown, before: Shown | None) -> dict[str, Any]:
        return {} if shown.same_maps(before) else no_convolution()

    def _wanted(self, unit: int) -> None:
        def send(_ticket: Ticket) -> None:
            shown = self.explorer.shown
            if shown is None or not 0 <= unit < shown.maps.layer.units:
                return
            layer = shown.maps.layer.path
            try:
                payload = convolution_payload(
                    layer, convolution_steps(shown.network, shown.image, layer, unit)
                )
                if len(payload["convolution"]) > MOST_BYTES:
                    height, width = shown.maps.layer.shape[:2]
                    raise CnnvisError(
                        say("explorer.steps_large", shown.state.language, height=height, width=width)
                    )
            except CnnvisError as error:
                payload = no_convolution(layer=layer, unit=unit, message=str(error))
            self.stage.publish(**payload)

        self.submit(send)


def convolution_payload(layer: str, steps: ConvolutionSteps) -> dict[str, Any]:
    """Traits for the view of one convolution, asked for at ``layer``.

    ``convolution`` is float32, one after the other: input maps (n, h, w), kernels (n, kh, kw), sums, sizes and each
    line (h', w'), the bias, then each line's scale and shift, NaN where it has none.
    """
    planes = [np.moveaxis(steps.inputs, -1, 0), np.moveaxis(steps.kernel, -1, 0), steps.sums, steps.sizes]
    constants = [steps.bias]
    for line in steps.lines:
        planes.append(line.values)
        constants += [np.nan if number is None else number for number in (line.scale, line.shift)]
    planes.append(np.array(constants))
    return {
        "convolution": np.concatenate([plane.ravel() for plane in planes]).astype("<f4").tobytes(),
        "convolution_info": {
            "layer": layer,
            "unit": steps.unit,
            "path": steps.path,
            "kind": steps.kind,
            "source": steps.source,
            "channels": [int(channel) for channel in steps.channels],
            "channel_count": steps.channel_count,
            "input_shape": list(steps.inputs.shape[:2]),
            "kernel_shape": list(steps.kernel.shape[:2]),
            "output_shape": list(steps.sums.shape),
            "strides": list(steps.strides),
            "dilation": list(steps.dilation),
            "padding": list(steps.padding),
            "lines": [{"path": line.path, "kind": line.kind, "name": line.name} for line in steps.lines],
        },
    }


def no_convolution(**info: Any) -> dict[str, Any]:
    """Traits that forget the convolution; with a ``message``, ``layer`` and ``unit`` they say why there is none."""
    return {"convolution": b"", "convolution_info": info}
