"""A network on its way to another process: the bytes of a ``.keras`` file, and what belongs to it.

Bytes rather than a name or a path, because the other machine has neither; Keras itself makes the network anew there, in
its safe mode.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnnvis_widgets.errors import NetworkLoadError
from cnnvis_widgets.networks import load_network
from cnnvis_widgets.networks.files import reason
from cnnvis_widgets.networks.network import Network


@dataclass(frozen=True)
class Parcel:
    """What `unpack` makes the same network of."""

    content: bytes  # a .keras file
    name: str
    preprocess: Callable[[np.ndarray], np.ndarray] | None
    class_names: tuple[str, ...]
    input_size: tuple[int, int]


def pack(network: Network) -> Parcel:
    """The network as plain data. Raises `NetworkLoadError` where Keras cannot save it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        try:
            network.model.save(path)
        except Exception as error:  # a layer of one's own without get_config, say
            raise NetworkLoadError(
                f"{network.name} cannot be sent to other processes: Keras cannot save it ({reason(error)})."
            ) from error
        content = path.read_bytes()
    return Parcel(content, network.name, network.preprocess, network.class_names, network.input_size)


def unpack(parcel: Parcel) -> Network:
    """The network again. Raises `NetworkLoadError` where Keras cannot read it here."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{_file_name(parcel.name)}.keras"
        path.write_bytes(parcel.content)
        made = load_network(path, preprocess=parcel.preprocess, input_size=parcel.input_size)
    return Network(
        made.model,
        name=parcel.name,
        preprocess=parcel.preprocess,
        class_names=parcel.class_names,
        input_size=parcel.input_size,
    )


def weights_hash(network: Network) -> str:
    """16 hexadecimal digits that tell networks of other weights apart, whatever their names."""
    digest = hashlib.blake2b(digest_size=8)
    for weight in network.model.weights:
        values = np.ascontiguousarray(weight)
        digest.update(repr(values.shape).encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _file_name(name: str) -> str:
    return "".join(sign if sign.isalnum() else "_" for sign in name)[:60] or "network"
