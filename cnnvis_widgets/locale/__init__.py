"""Every sentence that a person reads in a widget: one JSON file a language, keys like "stage.no_evidence".

A new language is a new file, with its own name under "language"; nothing else needs to know of it.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

from cnnvis_widgets.errors import CnnvisError, short

_FOLDER = Path(__file__).parent
LANGUAGES = ("en", *sorted({file.stem for file in _FOLDER.glob("*.json")} - {"en"}))


def sentences(language: str = "en") -> dict[str, str]:
    """All sentences of a language; those not yet translated are in English. Raises `CnnvisError`."""
    if language not in LANGUAGES:
        raise CnnvisError(f"There is no language {short(language)} here; there is {', '.join(LANGUAGES)}.")
    return _sentences(language)


@functools.cache
def _sentences(language: str) -> dict[str, str]:
    return _read("en") | _read(language)


def say(key: str, language: str = "en", **values: object) -> str:
    """One sentence with its values filled in: ``say("stage.unit", unit=7)``."""
    return sentences(language)[key].format(**values)


def language_names() -> dict[str, str]:
    """What each language calls itself: ``{"en": "English", ...}``."""
    return {code: say("language", code) for code in LANGUAGES}


def _read(language: str) -> dict[str, str]:
    return json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8"))
