"""What every layer puts out while a model runs, by its path, without cutting the model apart.

The idea: within a context each layer's `call` is wrapped on the instance to note what it is given and puts out, and put
back at the end. Nested, Sequential, functional and subclassed models are all the same to that.
"""

from __future__ import annotations

import contextlib
import functools
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from cnnvis_widgets.errors import UnknownLayerError
from cnnvis_widgets.networks import channels
from cnnvis_widgets.networks.quiet import start_tensorflow

start_tensorflow()  # before anything else imports it and fills the screen

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

# Wrapping writes to layer instances, which two networks may share.
TRACING = threading.RLock()

# The path of the network's own input, wherever layers are named by paths.
INPUT = ""

_SCOPE_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")


class Reached(BaseException):
    """All that was to be recorded is. Not an Exception: Keras and people's own layers catch those."""


@contextlib.contextmanager
def recording(
    model: keras.Model,
    calls: list,
    last: Collection[str] = (),
    dtype: str | None = None,
    changes: Mapping[str, Callable] | None = None,
    first: Collection[str] = (),
    given: dict[str, Any] | None = None,
) -> Iterator[None]:
    """Within this context, each call of an operation of ``model`` appends (path, class name, output) to ``calls``.

    last: paths; when all of them are recorded, `Reached` is raised, so that what follows is not even traced, and
    models take images of other sizes than their own: what insists on a size stands behind.
    dtype: what layers of float32 compute in; their weights stay.
    changes: by path, a function that makes what the network goes on with of what is put out there.
    first: paths whose outputs have their channels first; they are recorded, and changed, with them last.
    given: filled with each call's first argument, by path.
    """
    policy = keras.DTypePolicy(f"mixed_{dtype}") if dtype else None
    missing = set(last)
    seen: dict[str, int] = {}
    tracing = threading.get_ident()
    restore: list[Callable[[], None]] = []

    def replace(operation, attribute: str, value) -> None:
        # Past Keras's own __setattr__, which tracks what is set on a layer.
        if attribute in vars(operation):
            restore.append(
                functools.partial(object.__setattr__, operation, attribute, vars(operation)[attribute])
            )
        else:
            restore.append(functools.partial(object.__delattr__, operation, attribute))
        object.__setattr__(operation, attribute, value)

    def recorder(path: str, operation) -> Callable:
        original = operation.call

        @functools.wraps(original)
        def call(*args, **kwargs):
            outputs = original(*args, **kwargs)
            if threading.get_ident() != tracing:  # someone else uses the model meanwhile
                return outputs
            seen[path] = times = seen.get(path, 0) + 1
            # A shared layer is called more than once: each call has a path of its own.
            full = path if times == 1 else f"{path}#{times}"
            if given is not None:
                given[full] = args[0] if args else next(iter(kwargs.values()), None)
            if full in first:
                outputs = channels.turned(outputs)
            if changes and full in changes:
                outputs = changes[full](outputs)
            calls.append((full, type(operation).__name__, outputs))
            missing.discard(full)
            if last and not missing:
                raise Reached
            return channels.turned_back(outputs) if full in first else outputs

        return call

    try:
        for path, operation in list(operations_of(model)):
            if not isinstance(operation, keras.Model):
                replace(operation, "call", recorder(path, operation))
            elif last and hasattr(operation, "_assert_input_compatibility"):
                replace(operation, "_assert_input_compatibility", lambda *_given: None)
            if policy and getattr(getattr(operation, "_dtype_policy", None), "name", "") == "float32":
                replace(operation, "_dtype_policy", policy)
            if not _SCOPE_NAME.fullmatch(operation.name):
                # Names with spaces or in other scripts are fine for Keras, but not in a TensorFlow graph.
                replace(operation, "name", "layer")
        yield
    finally:
        for undo in reversed(restore):
            undo()


def operations_of(model, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """(path, operation) for a model and everything that it runs, through nested models; each instance once."""
    seen = set() if seen is None else seen
    if id(model) in seen:
        return
    seen.add(id(model))
    yield path, model
    # Functional models have operations; Sequential and subclassed ones layers; a layer made of layers _layers.
    parts = (getattr(model, name, None) for name in ("operations", "layers", "_layers"))
    for operation in next(filter(None, parts), ()):
        yield from operations_of(operation, f"{path}/{operation.name}" if path else operation.name, seen)


def select(calls, paths: Sequence[str]) -> list:
    """What the calls at ``paths`` put out. Raises `UnknownLayerError` where that is no tensor."""
    by_path = {path: value for path, _name, value in calls}
    missing = [path for path in paths if not tf.is_tensor(by_path.get(path))]
    if missing:
        raise UnknownLayerError(f"The network ran without putting out anything at {missing[0]!r}.")
    return [by_path[path] for path in paths]
