"""Can a heatmap be trusted? What the score does when the heatmap's places are hidden, whether the heat lies on the
right thing, whether it follows the network's weights; each beside controls that know nothing of the network.
"""

from __future__ import annotations

from cnnvis_widgets.compute.faithfulness.evaluation import evaluate
from cnnvis_widgets.compute.faithfulness.one_image import trust, trust_steps, verdict_in_words
from cnnvis_widgets.compute.faithfulness.table import find_metric, metrics

__all__ = ["evaluate", "find_metric", "metrics", "trust", "trust_steps", "verdict_in_words"]
