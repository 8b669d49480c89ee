"""SavedModel folders: a TensorFlow graph without layers, run as one.

What it holds can read and write files, so its operations are looked at before it is opened.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnvis_widgets.errors import NetworkLoadError

if TYPE_CHECKING:
    import keras

# Operations that reach beyond the graph. Restoring its own variables is done with others.
_REACHING_OUT = {
    "DebugIdentity",
    "EagerPyFunc",
    "MatchingFiles",
    "PyFunc",
    "PyFuncStateless",
    "ReadFile",
    "WriteFile",
}
_SIGNATURE = "serving_default"


def is_one(path: str | Path) -> bool:
    """Whether a path is a SavedModel's folder."""
    return os.path.isfile(os.path.join(os.path.expanduser(path), "saved_model.pb"))


def load(folder: Path, allow_code: bool = False) -> keras.Model:
    """A model of one layer, which is the whole graph. Raises `NetworkLoadError`."""
    import keras
    import tensorflow as tf

    from cnnvis_widgets.networks.files import reason

    try:
        found = _operations(folder) & _REACHING_OUT
        if found and not allow_code:
            raise NetworkLoadError(
                f"{folder.name} does more than compute ({', '.join(sorted(found))}: files or Python); "
                "if you trust whoever made it, say allow_code=True."
            )
        signatures = tf.saved_model.load(str(folder)).signatures
        if _SIGNATURE not in signatures:
            raise NetworkLoadError(
                f"{folder.name} has no signature {_SIGNATURE!r} to predict with; give the Keras model itself."
            )
        (given,) = signatures[_SIGNATURE].structured_input_signature[1].values()
        inputs = keras.Input(batch_shape=[None, *given.shape[1:]], dtype=given.dtype.name)
        outputs = keras.layers.TFSMLayer(str(folder), call_endpoint=_SIGNATURE, name="saved_model")(inputs)
        (scores,) = outputs.values()
    except NetworkLoadError:
        raise
    except Exception as error:  # damaged protocol buffers, missing variables, several inputs or outputs
        raise NetworkLoadError(
            f"{folder.name} is a SavedModel that cannot be used ({reason(error)}); "
            "give the Keras model that it was made from, saved as .keras or .h5."
        ) from error
    return keras.Model(inputs, scores, name=folder.name.replace("/", "_"))


def _operations(folder: Path) -> set[str]:
    from tensorflow.core.protobuf import saved_model_pb2

    proto: Any = saved_model_pb2.SavedModel()
    proto.ParseFromString((folder / "saved_model.pb").read_bytes())
    found: set[str] = set()
    for graph in (meta.graph_def for meta in proto.meta_graphs):
        for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
            found.update(node.op for node in nodes)
    return found
