"""Addresses of what can be looked at: ``mobilenet_v2/block_8_expand/137@5,6`` is network / layer / unit @ y, x.

One text and one meaning, whatever the names are: `written` and `read` are each other's inverse.

- The first piece is the network. Where a piece ends in .keras, .h5 or .hdf5, all up to the first such piece is the
  network: the path of a file.
- A last piece of digits alone is the unit, if a layer stands before it. All between is the layer's path.
- "@y,x" at the very end, two whole numbers, is a position in the layer's maps: row and column, from the top left.
- Layer, unit and position may be left out, from the end. A character of a name that would be misread is written as
  in web addresses: "%2F" for "/" in a network's name, "%33" for the 3 of a layer "3" that stands without a unit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import unquote

from cnnvis_widgets.errors import CnnvisError, short

_FILE = re.compile(r"\.(keras|h5|hdf5)$", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+")  # no other digits: int() knows dozens of scripts
_POSITION = re.compile(r"@([0-9]+),([0-9]+)$")
_SHAPE = "an address is network/layer/unit@y,x, such as mobilenet_v2/block_8_expand/137@5,6"


@dataclass(frozen=True)
class Address:
    """What an address says; None where it says nothing of it."""

    network: str
    layer: str | None = None  # a path of `Network.layers`
    unit: int | None = None
    position: tuple[int, int] | None = None  # (y, x) in the layer's maps


def written(address: Address) -> str:
    """The text of an address. A unit or a position needs the layer before it; raises `CnnvisError`."""
    if address.layer is None:
        if address.unit is not None or address.position is not None:
            raise CnnvisError(f"A unit or a position belongs to a layer, and none was named; {_SHAPE}.")
        return _network(address.network)
    pieces = [_piece(name) for name in address.layer.split("/")]
    if address.unit is not None:
        pieces.append(str(address.unit))
    elif len(pieces) > 1 and _NUMBER.fullmatch(pieces[-1]):
        pieces[-1] = _encoded(pieces[-1][0]) + pieces[-1][1:]
    place = "" if address.position is None else "@{},{}".format(*address.position)
    return "/".join([_network(address.network), *pieces]) + place


def read(text: str) -> Address:
    """What an address says. Raises `CnnvisError` for a text that is none."""
    if not isinstance(text, str):
        raise CnnvisError(f"An address is a text; {short(text)} was given; {_SHAPE}.")
    text = text.strip()
    rest, position = text, None
    if found := _POSITION.search(text):
        rest, position = text[: found.start()], (int(found[1]), int(found[2]))
    elif re.search(r"@[^/]*$", text):
        raise CnnvisError(f"{text!r} does not end in a position such as @5,6 (row, column); {_SHAPE}.")
    pieces = rest.split("/")
    files = [place for place, piece in enumerate(pieces) if _FILE.search(piece)]
    split = files[0] + 1 if files else 1
    network, pieces = "/".join(pieces[:split]), pieces[split:]
    if not files or split == 1:
        network = unquote(network)
    unit = int(pieces.pop()) if len(pieces) > 1 and _NUMBER.fullmatch(pieces[-1]) else None
    if not network or "" in pieces:
        raise CnnvisError(f"{text!r} has an empty piece; {_SHAPE}.")
    if position and not pieces:
        raise CnnvisError(f"{text!r} names a position but no layer; {_SHAPE}.")
    return Address(network, "/".join(map(unquote, pieces)) or None, unit, position)


def expanded(changes: dict[str, Any], known: Container[str]) -> dict[str, Any]:
    """Changes of a state in which an address, given as the network, is taken apart; what is said beside it wins.

    A name that is ``known``, and the path of a file, is what it is and no address.
    """
    source = changes.get("network")
    if not isinstance(source, str) or not any(mark in source for mark in "/@"):
        return changes
    if source in known or os.path.exists(source) or _FILE.search(source):
        return changes
    address = asdict(read(source))
    return address | changes | {"network": address["network"]}


def _network(name: str) -> str:
    """A network's name as one piece: whatever would end it, or start an escape, is encoded."""
    return re.sub(r"[%/@]|^\s|\s$", lambda found: _encoded(found[0]), name)


def _piece(name: str) -> str:
    """One piece of a layer's path; it must neither look like a file nor hold what has a meaning."""
    encoded = re.sub(r"[%@]|^\s|\s$", lambda found: _encoded(found[0]), name)
    return _FILE.sub(lambda found: "%2E" + found[1], encoded)


def _encoded(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())
