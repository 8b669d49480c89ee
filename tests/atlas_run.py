"""A program that fills an atlas by processes of its own, to be killed: ``atlas_run.py STORE LOG``."""

import sys

import numpy as np
from atlas_stub import LARGER, Stub

from cnnvis_widgets.jobs.atlas.fill import dask_client, fill
from cnnvis_widgets.jobs.atlas.store import begin, place_of

if __name__ == "__main__":
    place, stub = place_of(sys.argv[1]), Stub(sys.argv[2], seconds=0.1, size=LARGER.size)
    begin(place, LARGER, [layer for layer, _units in LARGER.layers])
    with dask_client(None, 2, place) as client:
        fill(
            client, place, {layer: np.arange(n) for layer, n in LARGER.layers}, stub, lambda *_progress: None
        )
