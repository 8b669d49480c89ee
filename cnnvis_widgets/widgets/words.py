"""The sentences that go with a heatmap, in the words that the browser uses for those it draws itself."""

from __future__ import annotations

import numpy as np

from cnnvis_widgets.compute.methods import find_method
from cnnvis_widgets.locale import say
from cnnvis_widgets.results import Heatmap
from cnnvis_widgets.widgets.shown import Shown


def percent(share: float) -> str:
    """A probability as people read it; never rounded to certainty."""
    return f"{share:.1%}" if 0.001 <= share <= 0.999 else ("> 99.9%" if share > 0.5 else "< 0.1%")


def heat_caption(heatmap: Heatmap | None, language: str) -> str:
    """Method, network, layer, class and its logit; and what the method is blind to."""
    if heatmap is None:
        return ""
    said = [say("stage.heat.caption", language, **heat_values(heatmap))]
    return ". ".join([*said, *_remarks(heatmap, language)])


def blindness(heatmap: Heatmap, language: str) -> str:
    """What a method does not see though it seems to explain it, to be said wherever its map is shown; mostly empty."""
    return " ".join(_remarks(heatmap, language))


def _remarks(heatmap: Heatmap, language: str) -> list[str]:
    return [say(key, language, **heat_values(heatmap)) for key in heat_remarks(heatmap)]


def progress_words(shown: Shown, language: str) -> str:
    """How far a heatmap is that is still growing, else empty."""
    if shown.progress is None:
        return ""
    done, total = shown.progress
    return say("explorer.explaining", language, method=shown.state.method, done=done, total=total)


def heat_words(shown: Shown, language: str) -> dict[str, str]:
    """The ``caption`` and the ``message`` of a view's heatmap; while it grows, the one says how far it is."""
    caption, message = heat_caption(shown.heatmap, language), heat_message(shown.heatmap, language)
    if shown.heatmap is None or shown.progress is None:
        return {"caption": caption, "message": message}
    none_yet = np.isfinite(shown.heatmap.raw).all()  # of the evidence: no reason to say that there is none
    return {
        "caption": f"{caption}. {progress_words(shown, language)}",
        "message": "" if none_yet else message,
    }


def heat_message(heatmap: Heatmap | None, language: str) -> str:
    """Said instead of a blank map, else empty."""
    key = "" if heatmap is None else message_key(heatmap)
    return say(key, language, **heat_values(heatmap)) if heatmap is not None and key else ""


def heat_values(heatmap: Heatmap) -> dict[str, str]:
    """What the sentences about a heatmap are filled in with."""
    return {
        "method": heatmap.method,
        "network": heatmap.network,
        "layer": heatmap.layer.path,
        "name": heatmap.target.name,
        "score": f"{heatmap.score:.2f}",
        "gap": f"{heatmap.details.get('completeness gap', 0):.1%}",
    }


def heat_remarks(heatmap: Heatmap) -> list[str]:
    """The keys of what must be said wherever a map is shown: what its method is blind to, what it does not tell, ..."""
    missing = [what for what in ("class", "weights") if what not in find_method(heatmap.method).depends_on]
    remarks = ["explorer.not_of_" + "_and_".join(missing)] if missing else []
    remarks += ["explorer.augmented"] * heatmap.augmented
    remarks += ["explorer.same_everywhere"] * _same_everywhere(heatmap.raw)
    remarks += ["explorer.complete"] * ("completeness gap" in heatmap.details)
    return remarks


def _same_everywhere(raw: np.ndarray) -> bool:
    """Whether a map has values, but none that differ: divided by its largest it would look like evidence all over."""
    return bool(np.isfinite(raw).all() and raw.any() and np.ptp(raw) <= 1e-5 * np.abs(raw).max())


def message_key(heatmap: Heatmap) -> str:
    """The key of the sentence said instead of a blank map, else empty."""
    if not heatmap.message:
        return ""
    if not np.isfinite(heatmap.raw).all():
        return "stage.heat.not_finite"
    return "stage.heat.nothing_signed" if heatmap.signed else "stage.heat.nothing"
