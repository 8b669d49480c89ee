"""Other ways back through a ReLU: guided backpropagation and deconvolution.

Within `rule`, every ReLU and ReLU6 that is traced gets the rule's gradient, wherever in the model it stands: a layer,
a layer's activation function, a plain function, inside a nested block. Only `tf.gradients` heeds it, a GradientTape
does not; and the model itself is not touched.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from cnnvis_widgets.networks.recording import tf

RULES = ("guided", "deconvolution")
_OWN = {"Relu": tf.raw_ops.ReluGrad, "Relu6": tf.raw_ops.Relu6Grad}


def _register(rule: str, kind: str) -> None:
    @tf.RegisterGradient(f"Cnnvis_{rule}_{kind}")
    def gradient(op, above):
        # Guided: nothing passes where the input was negative, nor where the gradient is (Springenberg et al. 2015).
        # Deconvolution: the gradient alone decides (Zeiler and Fergus 2014).
        passed = _OWN[kind](gradients=above, features=op.outputs[0]) if rule == "guided" else above
        return tf.where(passed < 0, tf.zeros_like(passed), passed)  # not a ReLU: that may make zero of NaN


for _rule in RULES:
    for _kind in _OWN:
        _register(_rule, _kind)


@contextlib.contextmanager
def rule(name: str) -> Iterator[None]:
    """Trace with one of `RULES`; "" stands for the true gradient."""
    if not name:
        yield
        return
    names = {kind: f"Cnnvis_{name}_{kind}" for kind in _OWN}
    with tf.compat.v1.get_default_graph().gradient_override_map(names):
        yield


def any_relu(graph) -> bool:
    """Whether a traced graph has anything that a rule applies to."""
    return any(operation.type in _OWN for operation in graph.get_operations())
