"""Every error a person can meet: what was asked, what there is, what to do, in one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CnnvisError(Exception):
    """Base of all errors of this package."""


class UnknownNetworkError(CnnvisError):
    """No network goes by this name."""


class UnknownLayerError(CnnvisError):
    """The network has no such layer, or the layer has nothing to show."""


class ImageError(CnnvisError):
    """A picture that cannot be read or used."""


class NetworkLoadError(CnnvisError):
    """A network that exists but cannot be loaded."""


class MethodError(CnnvisError):
    """An unknown method or recipe, or one that does not fit the request."""


class Cancelled(CnnvisError):
    """The person asked to stop."""


def closest(asked: str, known: Iterable[str], most: int = 3) -> str:
    """The names that look most like what was asked, quoted and joined, for the end of an error sentence."""
    known = list(known)
    lower = {name.lower(): name for name in known}
    matches = [lower[name] for name in difflib.get_close_matches(asked.lower(), lower, n=most, cutoff=0.4)]
    return ", ".join(repr(name) for name in matches or known[:most])
