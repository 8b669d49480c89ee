"""Which number of what a network puts out is explained: scores before the head, probabilities, or a layer's units.

It is found in the traced graph, so it does not matter how the head was written, and the model stays as it is.
"""

from __future__ import annotations

from cnnvis_widgets.errors import NetworkLoadError
from cnnvis_widgets.networks.recording import select, tf

# Which numbers ``weights`` weigh, ``of``: the scores before the head, the probabilities after it, or, as
# ("unit", path), the mean over space of each unit of a layer.
LOGITS, PROBABILITIES = ("logit", ""), ("probability", "")

# What may stand between a softmax and the model's output without changing which softmax it was.
_TRANSPARENT = ("Identity", "Cast", "Reshape", "Squeeze")
_HEADS = {"Softmax": "softmax", "Sigmoid": "sigmoid"}


def before_head(outputs):
    """The scores that a final softmax or sigmoid was given, found in the traced graph, and that head's name.

    Works however the head was written (a Dense activation, a layer, a Keras or TensorFlow function, inside a
    nested model) and changes nothing. With no such head the outputs are the scores.
    """
    scores, head, source = outputs, "none", outputs
    while source.op.type in _TRANSPARENT:
        source = source.op.inputs[0]
    if source.op.type in _HEADS:
        head = _HEADS[source.op.type]
        scores = tf.reshape(source.op.inputs[0], tf.shape(outputs))
        scores.set_shape(outputs.shape)
    if len(scores.shape) == 4:  # fully convolutional: the mean score over space
        scores = tf.reduce_mean(scores, axis=(1, 2))
    if len(scores.shape) != 2:
        raise NetworkLoadError(
            f"This network puts out an array of shape {tuple(outputs.shape)}; scores of shape (images, classes) "
            "are needed to say what it sees."
        )
    return scores, head


def scores_of(outputs, calls, of: tuple[str, str]):
    """What weights weigh: (n, classes) or, of a layer's units, (n, c); float32."""
    kind, path = of
    if kind == "unit":
        value = as_float(select(calls, [path])[0])
        return tf.reduce_mean(value, axis=tuple(range(1, len(value.shape) - 1)))
    logits, head = before_head(outputs)
    logits = as_float(logits)
    if kind == "logit":
        return logits
    if head == "sigmoid" or logits.shape[-1] == 1:
        return tf.sigmoid(logits)
    total = tf.reduce_sum(logits, axis=-1, keepdims=True)
    outside = tf.reduce_any((logits < 0) | (logits > 1), axis=-1, keepdims=True)
    are_already = (head == "none") & ~outside & (tf.abs(total - 1) < 5e-3)
    return tf.where(are_already, logits, tf.nn.softmax(logits))


def goal_of(scores, weights):
    """The number that is differentiated; the images' goals are independent, so their sum serves all."""
    top = tf.one_hot(tf.argmax(scores, axis=-1), tf.shape(scores)[-1])
    unsaid = tf.reduce_all(tf.equal(weights, 0.0), axis=-1, keepdims=True)
    return tf.reduce_sum(scores * tf.where(unsaid, tf.stop_gradient(top), weights))


def as_float(tensor):
    return tf.cast(tensor, tf.float32)
