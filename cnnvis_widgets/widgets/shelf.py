"""Networks and images by name, so that a state can speak of them."""

from __future__ import annotations

import os
import re
import weakref
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from cnnvis_widgets.errors import CnnvisError
from cnnvis_widgets.images import load_image, sample_images
from cnnvis_widgets.locale import say
from cnnvis_widgets.networks import load_network, network_names
from cnnvis_widgets.networks.network import Network

_LOADED_KEPT = 3  # networks that this shelf loaded by name, and can load again
_UPLOADS_KEPT = 12


class _Lately:
    """What was given in this session, by name, as long as somebody holds it.

    So a state that speaks of one's own network or picture can be opened by another Explorer of the same session.
    """

    def __init__(self, kind: str):
        self._kind = kind
        self._by_name: dict[str, list[weakref.ref]] = {}

    def put(self, name: str, thing: Any) -> None:
        if not any(known is thing for known in self._alive(name)):
            self._by_name[name] = [*map(weakref.ref, self._alive(name)), weakref.ref(thing)]

    def find(self, name: str) -> Any | None:
        """The one of that name, None where there is none. Raises `CnnvisError` where there are several."""
        alive = self._alive(name)
        if len(alive) > 1 and not all(_same(alive[0], other) for other in alive[1:]):
            raise CnnvisError(
                f"{len(alive)} {self._kind}s are called {name!r} in this session; give the one that you mean itself, "
                f"as in Explorer(**(explorer.state | {{{self._kind!r}: explorer.{self._kind}}}))."
            )
        return alive[0] if alive else None

    def _alive(self, name: str) -> list[Any]:
        return [thing for ref in self._by_name.get(name, ()) if (thing := ref()) is not None]


def _given(source: Any, lately: _Lately) -> Any | None:
    """What goes by a name that is no file's."""
    is_name = isinstance(source, str) and not os.path.exists(source)
    return lately.find(source) if is_name else None


_GIVEN_NETWORKS, _GIVEN_IMAGES = _Lately("network"), _Lately("image")


class Shelf:
    """What an Explorer can show: everything that was given to it, and what has a name of its own.

    Nothing that is on the shelf is ever replaced by something else of the same name: that gets a name of its own.
    """

    def __init__(self) -> None:
        self._given: dict[str, Network] = {}
        self._loaded: dict[str, Network] = {}
        self.samples = sample_images()
        self._images: dict[str, np.ndarray | bytes] = dict(self.samples)
        self._addresses: dict[str, str] = {}  # on the web, of the images that came from there

    @property
    def network_names(self) -> list[str]:
        """One's own networks first, then all that `load_network` knows."""
        return [*self._given, *(name for name in network_names() if name not in self._given)]

    @property
    def image_names(self) -> list[str]:
        return list(self._images)

    def has_network(self, name: str) -> bool:
        """Whether a network is at hand, without loading it."""
        return name in self._given or name in self._loaded

    def network(self, name: str) -> Network:
        """A network by its name here, one's own before one to load (slow). Raises what `load_network` raises."""
        if name in self._given:
            return self._given[name]
        if name not in self._loaded:
            self._loaded[name] = load_network(name)
            for old in list(self._loaded)[:-_LOADED_KEPT]:
                del self._loaded[old]
        return self._loaded[name]

    def name_to_load(self, name: str) -> str | None:
        """What `load_network` takes to make the same network again; None for one that was given by its owner."""
        return None if name in self._given else name

    def put_network(self, source: Any) -> str:
        """Take a `Network`, or anything that `load_network` takes; returns its name here."""
        if isinstance(source, str) and (self.has_network(source) or source in network_names()):
            self.network(source)
            return source
        for name, network in self._given.items():
            if network is source or network.model is source:
                return name
        asked = ""
        given = _given(source, _GIVEN_NETWORKS)
        if given is not None:
            source, asked = given, source
        network = source if isinstance(source, Network) else load_network(source)
        if isinstance(source, str) and network.name in network_names():  # "vgg16", which is called VGG16
            self._loaded[network.name] = network
            return network.name
        name = _unused(asked or network.name, self._given)
        self._given[name] = network
        _GIVEN_NETWORKS.put(name, network)
        return name

    def image(self, name: str) -> np.ndarray:
        """RGB uint8 (H, W, 3), the same array every time. An upload is decoded the first time; raises `ImageError`."""
        image = self._images[name]
        if isinstance(image, bytes):
            image = self._images[name] = load_image(image, name=name)
            _GIVEN_IMAGES.put(name, image)
        return image

    def name_of_image(self, name: str) -> str | None:
        """The name of a sample or the address on the web that gives the same image again; None for any other."""
        return name if name in self.samples else self._addresses.get(name)

    def put_image(self, source: Any, name: str = "") -> str:
        """Take what `load_image` takes; returns its name here. Raises `ImageError`."""
        if isinstance(source, str) and source in self._images:
            return source
        given = _given(source, _GIVEN_IMAGES)
        if given is not None:
            source, name = given, source
        called = name or (source if isinstance(source, str) else "")
        web = re.match(r"https?://", called, re.IGNORECASE)
        here = self._put(load_image(source), urlsplit(called).path.rstrip("/") if web else called)
        if web:
            self._addresses[here] = called
        return here

    def put_upload(self, content: bytes, name: str) -> str:
        """Take a file's content unread, because a callback must return at once; `image` reads it."""
        return self._put(content, name)

    def drop_unread(self, name: str) -> None:
        """Forget an upload that could not be read."""
        if isinstance(self._images.get(name), bytes):
            del self._images[name]

    def _put(self, image: np.ndarray | bytes, name: str) -> str:
        # Only the last part: a path of somebody's machine has no place in a state that is shared.
        name = _unused(name.replace("\\", "/").rsplit("/", 1)[-1] or say("explorer.my_image"), self._images)
        uploads = [old for old in self._images if old not in self.samples]
        for old in uploads[: max(0, len(uploads) - _UPLOADS_KEPT + 1)]:
            del self._images[old]
            self._addresses.pop(old, None)
        self._images[name] = image
        if isinstance(image, np.ndarray):
            _GIVEN_IMAGES.put(name, image)
        return name


def _same(one: Any, other: Any) -> bool:
    return one is other or (isinstance(one, np.ndarray) and np.array_equal(one, other))


def _unused(name: str, taken) -> str:
    """The name, or "name (2)", "name (3)" and so on where it is taken."""
    number, unused = 1, name
    while unused in taken:
        number += 1
        unused = f"{name} ({number})"
    return unused
