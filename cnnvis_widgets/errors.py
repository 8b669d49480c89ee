"""Every error a person can meet: what was asked, what there is, what to do, in one sentence."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CnnvisError(Exception):
    """Base of all errors of this package."""


class CnnvisWarning(UserWarning):
    """Something that works, but perhaps not as the person thinks."""


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


def did_you_mean(asked: object, known: Iterable[str], most: int = 3) -> str:
    """The end of a sentence about an unknown name: the ones that look like it, else the first of all there are."""
    known = list(known)
    if matches := _alike(asked, known, most):
        return f"did you mean {_joined(matches, 'or')}?"
    shown, further = [repr(name) for name in known[:most]], len(known) - most
    return f"there {'is' if len(known) == 1 else 'are'} {_joined([*shown, *([f'{further} more'] * (further > 0))])}."


def _alike(asked: object, known: list[str], most: int) -> list[str]:
    """The known names that look like what was asked, quoted, most alike first."""
    lower = {name.lower(): name for name in known}
    matches = difflib.get_close_matches(str(asked).lower(), lower, n=most, cutoff=0.4)
    return [repr(lower[name]) for name in matches]


def _joined(words: list[str], last: str = "and") -> str:
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words or ["none"])
