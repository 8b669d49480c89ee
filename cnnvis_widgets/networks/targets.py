"""Targets in words, as people type them and as a `Target`'s name says them: "tabby - tiger cat", "unit 5 of conv2"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_PROBABILITY, _UNIT = re.compile(r"probability of (.+)"), re.compile(r"unit (\d+) of (.+)")
_NOT, _FACTOR = re.compile(r"(?:!|not )\s*(.+)"), re.compile(r"(\d+(?:\.\d+)?) (.+)")


@dataclass(frozen=True)
class Words:
    """What a text asks for: a unit of a layer, or classes with weights, perhaps their probability."""

    weights: tuple[tuple[str | int, float], ...] = ()
    probability: bool = False
    unit: int | None = None
    layer: str = ""


def read_words(text: str, names: Sequence[str]) -> Words | None:
    """What a text means to a network with these classes; None where it means nothing.

    A class's own name is that class, whatever else it looks like. Else: a number is a class's index; "A + B", "A - B",
    "2 A + B" combine classes; "!A" or "not A" is what speaks against one; "probability of ..." and "unit 5 of LAYER".
    """
    if text in names:
        return Words(((text, 1.0),))
    if match := _PROBABILITY.fullmatch(text):
        inner = read_words(match[1], names)
        return Words(inner.weights, True) if inner and inner.unit is None else None
    if match := _UNIT.fullmatch(text):
        return Words(unit=int(match[1]), layer=match[2])
    if (match := _NOT.fullmatch(text)) and (one := _class(match[1], names)) is not None:
        return Words(((one, -1.0),))
    terms = _terms(text.strip(), names)
    return None if terms is None else Words(tuple(terms))


def sum_in_words(names: Sequence[str], weights: Sequence[tuple[int, float]]) -> str:
    """ "cat - dog", "not cat", "2 cat + dog": a combination of classes as a person would say it."""
    if len(weights) == 1 and weights[0][1] == -1:
        return f"not {names[weights[0][0]]}"
    words = ""
    for index, weight in weights:
        sign = " - " if weight < 0 else " + "
        factor = "" if abs(weight) == 1 else f"{abs(weight):g} "
        words += f"{sign if words else sign.strip(' +')}{factor}{names[index]}"
    return words


def _terms(text: str, names: Sequence[str]) -> list[tuple[str | int, float]] | None:
    """Names may hold "-": what counts is the last sign with a class behind it and what can be read before it."""
    if (one := _class(text, names)) is not None:
        return [(one, 1.0)]
    if (match := _FACTOR.fullmatch(text)) and (one := _class(match[2], names)) is not None:
        return [(one, float(match[1]))]
    for place in [found.start() for found in re.finditer("[+-]", text)][::-1]:
        last, before = _terms(text[place + 1 :].strip(), names), text[:place].strip()
        first = _terms(before, names) if before else []
        if last is not None and len(last) == 1 and first is not None:
            sign = -1.0 if text[place] == "-" else 1.0
            return [*first, (last[0][0], sign * last[0][1])]
    return None


def _class(text: str, names: Sequence[str]) -> str | int | None:
    if text in names:
        return text
    return int(text) if text.isdecimal() else None
