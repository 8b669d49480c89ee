"""A network with some of its layers' weights in random order, beside the real one.

The idea: the model's own weights are never touched. The model is traced once more, with copies of its weights in their
place, and only the copies are shuffled. So whatever happens meanwhile, an exception, a cancelled request, somebody who
trains the model or asks it for an answer on another thread, nothing is lost and nothing has to be restored.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from cnnvis_widgets.networks.network import Network
from cnnvis_widgets.networks.probe import Probe
from cnnvis_widgets.networks.recording import keras, operations_of, tf

_AT_REST: weakref.WeakKeyDictionary[Probe, Randomized] = weakref.WeakKeyDictionary()
_LENDING = threading.Lock()


class Randomized:
    """``network`` answers with the weights that `shuffle` gave it last; ``layers`` are those that have any."""

    def __init__(self, network: Network):
        self.model = network.model
        by_path = dict(operations_of(network.model))
        self._weights: dict[str, list[Any]] = {}  # of each layer, the last that runs first
        seen: set[int] = set()
        for call in reversed(network.probe.calls):
            path = call.path.rpartition("#")[0] if call.path not in by_path else call.path
            own = [weight for weight in _floats(by_path[path]) if id(weight) not in seen]
            seen |= {id(weight) for weight in own}
            if own:
                self._weights[path] = own
        self._copies = {
            id(weight): tf.Variable(weight.value, trainable=False) for weight in self._every_weight()
        }
        self.network = network.aside(network.probe.twin(self._with_copies))

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of the layers that have weights, from the top of the network down."""
        return tuple(self._weights)

    def shuffle(self, paths: Collection[str], seed: int = 0) -> Network:
        """The network with the weights of these layers in random order, all others as they are now.

        Each array (kernel, bias, mean, ...) keeps its values: their scale is the trained one, so that nothing
        overflows or dies out on the way. A layer's order follows from the seed alone, whatever else is shuffled.
        """
        for place, (path, weights) in enumerate(self._weights.items()):
            random = np.random.default_rng((seed, place))
            for weight in weights:
                value = weight.value
                if path in paths:
                    values = np.asarray(value)
                    value = random.permutation(values.ravel()).reshape(values.shape)
                self._copies[id(weight)].assign(value)
        self.network.forget()
        return self.network

    def _every_weight(self) -> Iterator[Any]:
        for weights in self._weights.values():
            yield from weights

    def _with_copies(self):
        mapping = [(weight, self._copies[id(weight)]) for weight in self._every_weight()]
        return keras.StatelessScope(mapping, initialize_variables=False)


@contextlib.contextmanager
def randomized(network: Network) -> Iterator[Randomized]:
    """A `Randomized` of a network, for one user at a time; kept for the next, because tracing it takes seconds."""
    with _LENDING:
        one = _AT_REST.pop(network.probe, None)
    one = one or Randomized(network)
    try:
        yield one
    finally:
        one.network.forget()
        with _LENDING:
            _AT_REST[network.probe] = one


def _floats(operation: Any) -> list[Any]:
    weights = getattr(operation, "weights", ())
    return [weight for weight in weights if "float" in str(weight.dtype) and np.prod(weight.shape) > 1]
