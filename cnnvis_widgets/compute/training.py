"""A training as it goes: a network's filters and heatmaps after every epoch, kept to be gone through later.

A Keras callback looks at the model between two epochs as one looks at a finished one; the model is never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cnnvis_widgets.compute.explain import explain
from cnnvis_widgets.errors import CnnvisError, listed
from cnnvis_widgets.images import load_image
from cnnvis_widgets.networks import load_network
from cnnvis_widgets.networks.convolution import find_convolution
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.networks.recording import keras
from cnnvis_widgets.results import Epoch


class Recorder(keras.callbacks.Callback):
    """A callback for ``model.fit(..., callbacks=[recorder])`` that looks at a few pictures after every epoch.

    images: a list, or a dictionary by name, of anything that `load_image` takes. targets: for each image what its
        heatmap explains, as in `explain`; None gives whatever the network answers then. layer: of the heatmaps, None
        gives the default one. filters: path of the convolution whose kernels are kept; None gives the first one.
    method: as in `explain`. network: further arguments of `load_network`, such as ``class_names`` and ``preprocess``.

    ``epochs`` holds an `Epoch` for the untrained network and one after each epoch; a second ``fit`` of the same model
    goes on. Functions in ``listeners`` are called with each. Raises `CnnvisError` at the start of the training for
    what does not fit, not in the midst of it.
    """

    def __init__(
        self,
        images: Sequence[Any] | Mapping[str, Any],
        targets: Sequence[Any] | None = None,
        *,
        layer: str | None = None,
        filters: str | None = None,
        method: str = "grad-cam",
        **network: Any,
    ):
        super().__init__()
        named = (
            images
            if isinstance(images, Mapping)
            else {str(i): each for i, each in enumerate(listed(images, "images", "pictures"))}
        )
        targets = None if targets is None else listed(targets, "targets", "classes")
        if not named:
            raise CnnvisError("A recorder needs at least one picture to look at.")
        if targets is not None and len(targets) != len(named):
            raise CnnvisError(
                f"There are {len(named)} pictures and {len(targets)} targets; give one for each, or none at all."
            )
        self.epochs: list[Epoch] = []
        self.listeners: list[Callable[[Epoch], object]] = []
        self._images = {name: load_image(image) for name, image in named.items()}
        self._targets = tuple(targets) if targets is not None else (None,) * len(named)
        self._layer, self._filters, self._method, self._options = layer, filters, method, network
        self._network: Network | None = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        if self._network is None or self._network.model is not self.model:
            self._network = load_network(self.model, **self._options)
            self.epochs.clear()
            self._record({})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._record(logs or {})

    def _record(self, logs: Mapping[str, float]) -> None:
        network = self._network
        assert network is not None  # a training begins before it has epochs
        network.forget()  # all that it remembers is of the weights before
        heatmaps = tuple(
            explain(network, image, self._method, self._layer, target)
            for image, target in zip(self._images.values(), self._targets, strict=True)
        )
        found = Epoch(
            len(self.epochs),
            {name: float(value) for name, value in logs.items()},
            kernels(network, self._filters),
            tuple(self._images),
            tuple(network.predict(image, top=1)[0] for image in self._images.values()),
            heatmaps,
        )
        self.epochs.append(found)
        for listener in self.listeners:
            listener(found)


def kernels(network: Network, path: str | None = None) -> np.ndarray:
    """(units, kh, kw, n) float32: each unit's kernel of the convolution at a path, None for the network's first one.

    n: the channels that a unit looks at. Raises `CnnvisError` where there is no convolution.
    """
    if path is None:
        path = next((layer.path for layer in network.layers if layer.kind == "convolution"), None)
    if path is None:
        raise CnnvisError(f"{network.name} has no convolution whose filters could be kept.")
    convolution = find_convolution(network, path)
    units = network.layer(convolution.path).units
    return np.stack([convolution.unit(unit)[1] for unit in range(units)])
