"""Networks and images by name, so that a state can speak of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnvis_widgets.images import load_image, sample_images
from cnnvis_widgets.locale import say
from cnnvis_widgets.networks import load_network, network_names
from cnnvis_widgets.networks.network import Network

_LOADABLE_KEPT = 3  # networks that can be loaded again by their name


class Shelf:
    """What an Explorer can show: everything that was given to it, and what has a name of its own."""

    def __init__(self) -> None:
        self._networks: dict[str, Network] = {}
        self._images: dict[str, np.ndarray | bytes] = dict(sample_images())

    @property
    def network_names(self) -> list[str]:
        """One's own networks first, then all that `load_network` knows."""
        known = network_names()
        return [*(name for name in self._networks if name not in known), *known]

    @property
    def image_names(self) -> list[str]:
        return list(self._images)

    def has_network(self, name: str) -> bool:
        """Whether a network is at hand, without loading it."""
        return name in self._networks

    def network(self, name: str) -> Network:
        """A network by the name under which it was put here; loads it if need be (slow)."""
        return self._networks[self.put_network(name)]

    def put_network(self, source: Any) -> str:
        """Load what `load_network` takes, or take a `Network`; returns its name. Raises what `load_network` raises."""
        if isinstance(source, str) and source in self._networks:
            return source
        network = source if isinstance(source, Network) else load_network(source)
        name = source if isinstance(source, str) and source in network_names() else network.name
        self._networks[name] = network
        loadable = [old for old in self._networks if old in network_names() and old != name]
        for old in loadable[: len(loadable) - _LOADABLE_KEPT + 1]:
            del self._networks[old]
        return name

    def image(self, name: str) -> np.ndarray:
        """RGB uint8 (H, W, 3). An upload is decoded here, the first time; raises `ImageError`."""
        image = self._images[name] = load_image(self._images[name])
        return image

    def put_image(self, source: Any, name: str = "") -> str:
        """Take what `load_image` takes; returns its name. Raises `ImageError`."""
        if isinstance(source, str) and source in self._images:
            return source
        image = load_image(source)
        return self._put(image, name or (source if isinstance(source, str) else ""))

    def put_upload(self, content: bytes, name: str) -> str:
        """Take a file's content unread, because a callback must return at once; `image` reads it."""
        return self._put(content, name)

    def drop_unread(self, name: str) -> None:
        """Forget an upload that could not be read."""
        if isinstance(self._images.get(name), bytes):
            del self._images[name]

    def _put(self, image: np.ndarray | bytes, name: str) -> str:
        # Only the last part: a path of somebody's machine has no place in a state that is shared.
        name = name.replace("\\", "/").rsplit("/", 1)[-1] or say("explorer.my_image")
        self._images[name] = image
        return name
