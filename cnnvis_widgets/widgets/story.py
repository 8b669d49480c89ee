"""Steps of a walkthrough from a plain Markdown file: what to say, what to show, what to ask first.

A step begins with a line ``---``, lines ``name: value``, and another ``---``; its text follows, in a small subset of
Markdown that becomes data, never HTML. A line ``???`` parts what is asked from what is revealed.

    ---
    title: Edges first
    show: block1_conv1_relu/7
    hide: method, opacity
    ---
    Watch [this edge detector](cnnvis:block1_conv1_relu/7), and [the evidence for a dog](cnnvis:?class=dog).

    Where will it answer?
    ???
    Along the **whiskers**.

Links and ``show`` are addresses without the network (`widgets.address`), then ``?class=...&method=...``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from cnnvis_widgets.compute.methods import find_method
from cnnvis_widgets.errors import CnnvisError, short
from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.widgets import address

HIDABLE = (
    "network", "photo", "maps", "detail", "filter",  # panels; from here on controls
    "image", "layer", "unit", "target", "search", "method", "augment", "colormap", "opacity",
)  # fmt: skip
_NAMES = ("title", "show", "hide", "maximize")
_HEAD = re.compile(r"^---[ \t]*\n((?:[ \t]*[a-z]+[ \t]*:.*\n|[ \t]*\n)*)---[ \t]*$", re.MULTILINE)
_INLINE = re.compile(
    r"\[(?P<words>[^\]\n]+)\]\((?P<target>[^)\s]+)\)|\*\*(?P<strong>[^*\n]+)\*\*|\*(?P<em>[^*\n]+)\*|`(?P<code>[^`\n]+)`"
)
_BLOCK = re.compile(r"(?P<heading>#{1,3}) +|(?P<item>[-*]|\d+\.) +")


@dataclass(frozen=True)
class Step:
    """One step; ``text`` and ``answer`` are Markdown."""

    title: str
    text: str
    answer: str = ""  # revealed after a prediction
    show: str = ""
    hide: tuple[str, ...] = ()
    maximize: bool = False


def read_steps(source: str | os.PathLike) -> list[Step]:
    """The steps of a walkthrough, as its Markdown file says them (the head of `widgets.story` shows how it is written).

    source: a path, or the text itself where it has more than one line. Returns a list of `Step`: title, text, answer,
    show, hide, maximize. Raises `CnnvisError` for a file that cannot be read or a step that is written wrongly.
    """
    if not isinstance(source, str | os.PathLike):
        raise CnnvisError(f"A walkthrough is a Markdown file or its text; {short(source)} was given.")
    text = source if isinstance(source, str) and "\n" in source else _file_text(Path(source))
    pieces = _HEAD.split(text.replace("\r\n", "\n"))
    if len(pieces) < 3 or pieces[0].strip():
        raise CnnvisError(
            "A walkthrough begins with a step: a line ---, lines such as 'title: Edges', a line ---."
        )
    return [
        _step(head, body, number)
        for number, (head, body) in enumerate(zip(pieces[1::2], pieces[2::2], strict=True), 1)
    ]


def story_payload(steps: list[Step], network: Network) -> list[dict[str, Any]]:
    """The steps as the stage takes them: blocks of runs of text, links as layer, unit, position, class and method.

    Raises `CnnvisError` or `UnknownLayerError` where a link leads nowhere.
    """
    return [
        {
            "title": step.title,
            "blocks": _blocks(step.text, network),
            "answer": _blocks(step.answer, network),
            "show": place(step.show, network) if step.show else None,
            "hide": list(step.hide),
            "maximize": step.maximize,
        }
        for step in steps
    ]


def place(text: str, network: Network) -> dict[str, Any]:
    """Where a link leads: ``layer``, ``unit``, ``y``, ``x``, ``target``, ``method``; None leaves it as it is."""
    where, _, query = text.partition("?")
    found: dict[str, Any] = dict.fromkeys(("layer", "unit", "y", "x", "target", "method"))
    if where:
        read = address.read(f"{network.name.replace('/', '%2F')}/{where}")
        layer = network.layer(read.layer)
        found |= {"layer": layer.path, "unit": read.unit}
        if read.unit is not None and read.unit >= layer.units:
            raise CnnvisError(f"{text!r}: layer {layer.path!r} has units 0 to {layer.units - 1}.")
        if read.position is not None:
            h, w = layer.shape[:2]
            if read.position[0] >= h or read.position[1] >= w:
                raise CnnvisError(
                    f"{text!r}: layer {layer.path!r} has positions 0,0 to {h - 1},{w - 1} (row, column)."
                )
            found |= dict(zip(("y", "x"), read.position, strict=True))
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "class":
            found["target"] = network.target(int(value) if value.isdecimal() else value).index
        elif name == "method":
            found["method"] = find_method(value).name
        else:
            raise CnnvisError(f"{text!r} asks for {name!r}; a link knows class and method.")
    return found


def _file_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # no UTF-8, a NUL in the name
        raise CnnvisError(
            f"The walkthrough {path} cannot be read: {getattr(error, 'strerror', None) or error}."
        ) from error


def _step(head: str, body: str, number: int) -> Step:
    values = {}
    for line in filter(str.strip, head.splitlines()):
        name, _, value = (part.strip() for part in line.partition(":"))
        if name not in _NAMES:
            raise CnnvisError(f"Step {number} has {name!r}; a step knows {', '.join(_NAMES)}.")
        values[name] = value
    hide = tuple(part.strip() for part in values.get("hide", "").split(",") if part.strip())
    if unknown := [name for name in hide if name not in HIDABLE]:
        raise CnnvisError(f"Step {number} hides {unknown[0]!r}; it can hide {', '.join(HIDABLE)}.")
    text, _, answer = re.sub(r"^\?\?\?[ \t]*$", "\0", body, count=1, flags=re.MULTILINE).partition("\0")
    maximize = values.get("maximize", "").lower() in ("yes", "true", "1")
    return Step(values.get("title", ""), text.strip(), answer.strip(), values.get("show", ""), hide, maximize)


def _blocks(text: str, network: Network) -> list[dict[str, Any]]:
    """Paragraphs, headings and list items."""
    blocks: list[dict[str, Any]] = []
    for chunk in re.split(r"\n[ \t]*\n", text):
        kind, words = "", ""
        for line in chunk.strip().splitlines():
            line = line.strip()
            mark = _BLOCK.match(line)
            if mark or not words or kind == "heading":
                blocks += [{"kind": kind, "runs": _runs(words, network)}] if words else []
                kind = "p" if not mark else "heading" if mark["heading"] else "item"
                words = line[mark.end() :] if mark else line
            else:
                words += " " + line
        blocks += [{"kind": kind, "runs": _runs(words, network)}] if words else []
    return blocks


def _runs(words: str, network: Network) -> list[dict[str, Any]]:
    """Runs of one style. A link that is no cnnvis: link is the text that it is."""
    runs: list[dict[str, Any]] = []

    def add(text: str, style: str = "", link: dict[str, Any] | None = None) -> None:
        if text:
            runs.append({"text": text, "style": style, "link": link})

    end = 0
    for found in _INLINE.finditer(words):
        if found["target"] and not found["target"].startswith("cnnvis:"):
            continue
        add(words[end : found.start()])
        if found["target"]:
            add(found["words"], "link", place(found["target"].removeprefix("cnnvis:"), network))
        else:
            style = next(name for name in ("strong", "em", "code") if found[name])
            add(found[style], style)
        end = found.end()
    add(words[end:])
    return runs
