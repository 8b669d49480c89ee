"""Every sentence that a person reads in a widget: one JSON file a language, keys like "stage.no_evidence"."""

from __future__ import annotations

import functools
import json
from pathlib import Path

LANGUAGES = ("en",)


@functools.cache
def sentences(language: str = "en") -> dict[str, str]:
    """All sentences of a language; those not yet translated are in English."""
    folder = Path(__file__).parent
    english = json.loads((folder / "en.json").read_text(encoding="utf-8"))
    return english | json.loads((folder / f"{language}.json").read_text(encoding="utf-8"))


def say(key: str, language: str = "en", **values: object) -> str:
    """One sentence with its values filled in: ``say("stage.unit", unit=7)``."""
    return sentences(language)[key].format(**values)
