"""Every error a person can meet: what was asked, what there is, what to do, in one sentence."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any


class CnnvisError(Exception):
    """Base of all errors of this package; its text is one line, whatever names stand in it."""

    def __str__(self) -> str:
        return " ".join(super().__str__().splitlines())


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


def whole(
    value: Any,
    name: str,
    least: int = 1,
    error: type[CnnvisError] = CnnvisError,
    most: float = math.inf,
) -> int:
    """A whole number from ``least`` to ``most``; for anything else an error that says what was given."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not least <= int(value) <= most:
        limit = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        raise error(f"{name} is a whole number {limit}; {short(value)} was given.")
    return int(value)


def seed_of(value: Any, error: type[CnnvisError] = CnnvisError) -> int:
    """A seed of what is drawn at random: what every generator takes."""
    return whole(value, "seed", 0, error, 2**32 - 1)


def number(
    value: Any, name: str, low: float = 0.0, high: float = math.inf, error: type[CnnvisError] = CnnvisError
) -> float:
    """A finite number from ``low`` to ``high``; for anything else an error that says what was given."""
    try:
        found = math.nan if isinstance(value, bool | str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found) or not low <= found <= high:
        limits = (
            f" from {low:g} to {high:g}" if high < math.inf else f" of at least {low:g}" * (low > -math.inf)
        )
        raise error(f"{name} is a number{limits}; {short(value)} was given.")
    return found


def listed(values: Any, name: str, what: str, error: type[CnnvisError] = CnnvisError) -> list:
    """Several things as a list; an error where one text, or nothing that can be gone through, stands for them."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise error(f"{name} is a list of {what}; {short(values)} was given.")
    return list(values)


def short(value: object) -> str:
    """What was given, for the middle of a sentence."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def _alike(asked: object, known: list[str], most: int) -> list[str]:
    """The known names that look like what was asked, quoted, most alike first."""
    lower = {name.lower(): name for name in known}
    matches = difflib.get_close_matches(str(asked).lower(), lower, n=most, cutoff=0.4)
    return [repr(lower[name]) for name in matches]


def _joined(words: list[str], last: str = "and") -> str:
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words or ["none"])
