"""What a layer's maps have in common: a few parts whose mixture they nearly are, without asking about any class.

Every position is a bundle of channels; non-negative matrix factorization finds a few bundles (directions) of which
all positions are sums, and how much of each is where (maps).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from cnnvis_widgets.compute.feature_maps import feature_maps
from cnnvis_widgets.errors import ImageError, MethodError, seed_of
from cnnvis_widgets.images import is_several
from cnnvis_widgets.networks.network import Network, check_network
from cnnvis_widgets.results import Concepts, FeatureMaps, LayerInfo

_ROUNDS = 400  # most layers settle within 200


@overload
def concepts(network: Network, image: list | tuple, *args: Any, **options: Any) -> list[Concepts]: ...
@overload
def concepts(network: Network, image: Any, *args: Any, **options: Any) -> Concepts: ...
def concepts(
    network: Network,
    image: Any,
    layer: str | LayerInfo | None = None,
    parts: int = 5,
    *,
    seed: int = 0,
) -> Concepts | list[Concepts]:
    r"""A layer's maps as a mixture of a few parts (deep feature factorization, Collins et al. 2018, arXiv:1806.10206).

    .. math:: \min_{W, H \ge 0} \lVert \mathrm{ReLU}(A) - W H \rVert^2, \quad A \in \mathbb{R}^{hw \times c}

    image: anything `load_image` takes; a list of them shares its directions, so that part 1 is the same in all, and
    gives a list. layer: a path; None gives ``network.default_layer``. parts: how many, at most as many as the layer
    has channels or positions. seed: of the start.
    Returns `Concepts`, the part with the largest share in the pictures first.
    Raises `UnknownLayerError`, `ImageError`, and `MethodError` for a number of parts that cannot be.
    """
    check_network(network, "concepts")
    seed = seed_of(seed, MethodError)
    images = list(image) if is_several(image) else [image]
    if not images:
        raise ImageError("Parts are found in at least one picture; none was given.")
    found = [feature_maps(network, one, layer) for one in images]
    results = _taken_apart(found, _checked(parts, found), seed)
    return results if is_several(image) else results[0]


def _checked(parts: object, found: Sequence[FeatureMaps]) -> int:
    height, width, units = found[0].layer.shape
    most = min(units, height * width * len(found))
    if isinstance(parts, bool) or not isinstance(parts, int | np.integer) or not 1 <= parts <= most:
        raise MethodError(
            f"Layer {found[0].layer.path!r} ({height} x {width} places, {units} channels) can be taken apart into "
            f"1 to {most} parts; {parts!r} was asked for."
        )
    return int(parts)


def _taken_apart(found: Sequence[FeatureMaps], parts: int, seed: int) -> list[Concepts]:
    """All positions of all pictures together: one row each, one column a channel."""
    height, width, units = found[0].layer.shape
    rows = np.maximum(np.concatenate([maps.values.reshape(-1, units) for maps in found]), 0)
    amounts, directions = _factors(rows, parts, seed)
    # A direction's entries sum to 1, so a map counts what its part adds up to over all channels.
    sizes = directions.sum(axis=1)
    amounts, directions = amounts * sizes, directions / np.where(sizes > 0, sizes, 1)[:, None]
    order = np.argsort(-amounts.sum(axis=0), kind="stable")
    amounts, directions = amounts[:, order], directions[order]
    results = []
    for maps, own, mixed in zip(
        found, np.split(rows, len(found)), np.split(amounts, len(found)), strict=True
    ):
        whole = float(np.square(own, dtype=np.float64).sum())
        rest = float(np.square(own - mixed @ directions, dtype=np.float64).sum())
        results.append(
            Concepts(
                np.moveaxis(mixed.reshape(height, width, parts), -1, 0),
                directions,
                1 - rest / whole if whole else 0.0,
                maps.layer,
                maps.network,
                maps.image,
                bool(own.any() and (own == own[0]).all()),
            )
        )
    return results


def _factors(rows: np.ndarray, parts: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, parts) and (parts, c), both >= 0, whose product is nearly the rows (n, c) >= 0."""
    if not np.isfinite(rows).all() or not rows.any():  # nothing to take apart; `Concepts.message` says so
        fill = np.float32(0 if np.isfinite(rows).all() else np.nan)
        return np.full((len(rows), parts), fill), np.full((parts, rows.shape[1]), fill)
    from sklearn.decomposition import NMF  # takes a second to import

    scale = rows.max()  # its tolerance is no share
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not quite settled after so many rounds: the picture is the same
        model = NMF(parts, init="nndsvda", max_iter=_ROUNDS, random_state=seed)
        amounts = model.fit_transform(rows / scale) * scale
    return amounts.astype(np.float32), model.components_.astype(np.float32)
