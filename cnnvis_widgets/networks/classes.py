"""The names of ImageNet's 1000 classes, so that predictions have names offline (Keras would download them).

The list is torchvision's (`torchvision/models/_meta.py`, BSD-3-Clause), in the order of the outputs of every
network trained on ImageNet. Five names are changed so that a name means one class, whatever its case:
"crane (bird)" and "crane (machine)", "maillot (tank suit)" beside "maillot", "Cardigan (dog)" and
"cardigan (sweater)".
"""

from __future__ import annotations

import functools
from pathlib import Path


@functools.cache
def imagenet_classes() -> tuple[str, ...]:
    """The 1000 English names, each unique, in the order of a network's outputs."""
    text = Path(__file__).with_name("imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
