"""One method at several layers of one picture, and what several layers say together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

import numpy as np

from cnnvis_widgets.compute import cam
from cnnvis_widgets.compute.explain import at_layers, last_of_each, share_of_maximum, steps_of
from cnnvis_widgets.compute.methods import find_method
from cnnvis_widgets.errors import MethodError, listed, seed_of, short, whole
from cnnvis_widgets.images import is_several, load_image
from cnnvis_widgets.networks.network import Network, check_network
from cnnvis_widgets.results import Heatmap, LayerInfo


@overload
def explain_layers(
    network: Network, image: list | tuple, *args: Any, **options: Any
) -> list[list[Heatmap]]: ...
@overload
def explain_layers(network: Network, image: Any, *args: Any, **options: Any) -> list[Heatmap]: ...
def explain_layers(
    network: Network,
    image: Any,
    method: str = "grad-cam",
    layers: Sequence[str | LayerInfo] | None = None,
    target=None,
    *,
    seed: int = 0,
    augment: bool = False,
    progress: Callable[[int, int], object] | None = None,
    **options: Any,
) -> list[Heatmap] | list[list[Heatmap]]:
    """`explain` at many layers, with one forward and one backward pass where a method can.

    layers: paths; None gives all of ``network.layers``. The other arguments are those of `explain`.
    Returns a list of `Heatmap`, one for each layer, in their order; each (h, w) float32 at its layer's resolution.
    Of several images it is a list of such lists.
    Raises `MethodError` for a method that explains the input's pixels, and what `explain` raises.
    """
    check_network(network, "explain_layers")
    row, seed = find_method(method), seed_of(seed, MethodError)
    if row.explains == "input":
        raise MethodError(f"{row.name} explains the input's pixels and no layer; use explain.")
    several = is_several(image)
    images = [load_image(one) for one in image] if several else [load_image(image)]
    infos = [network.layer(layer) for layer in (network.layers if layers is None else layers)]
    if row.needs == "maps" and not augment:

        def one_pass(one: np.ndarray) -> Iterator[tuple[int, int, list[Heatmap]]]:
            yield 1, 1, at_layers(network, one, row, infos, target, options)

        found = last_of_each(images, one_pass, progress)
    else:
        pairs = [(one, info) for one in images for info in infos]

        def steps(pair: tuple[np.ndarray, LayerInfo]) -> Iterator[tuple[int, int, Heatmap]]:
            return steps_of(network, pair[0], row, pair[1], target, seed, augment, options)

        every = last_of_each(pairs, steps, progress)
        found = [every[place * len(infos) : (place + 1) * len(infos)] for place in range(len(images))]
    return found if several else found[0]


def fuse_heatmaps(heatmaps: Sequence[Heatmap], shallow: int | None = None) -> Heatmap:
    r"""One heatmap of several layers', at the largest one's resolution, as LayerCAM's authors do (Jiang et al. 2021).

    .. math:: L = \max_l L_l, \quad L_l \to \tanh(2 L_l / \max L_l) \text{ of shallow layers}

    heatmaps: of one image and target, unsigned, from early layers to late ones. shallow: how many of them to brighten
    first; None gives all but the last. Returns a `Heatmap` whose ``.layer`` is the last one's with all their paths.
    Raises `MethodError` where they do not belong together.
    """
    heatmaps = listed(heatmaps, "heatmaps", "what explain_layers makes", MethodError)
    if not heatmaps:
        raise MethodError("Heatmaps of at least one layer are needed; explain_layers makes them.")
    if others := [one for one in heatmaps if not isinstance(one, Heatmap)]:
        raise MethodError(
            f"Only heatmaps can be fused; {short(others[0])} is none: explain_layers makes them."
        )
    shallow = len(heatmaps) - 1 if shallow is None else whole(shallow, "shallow", 0, MethodError)
    last = heatmaps[-1]
    alike = {(heat.network, heat.method, heat.target, heat.signed) for heat in heatmaps}
    if len(alike) > 1 or last.signed:
        raise MethodError(
            "Only unsigned heatmaps of one network, method and target can be fused; explain_layers makes them."
        )
    raw = cam.fused([heat.raw for heat in heatmaps], shallow)
    height, width = raw.shape
    paths = " + ".join(heat.layer.path for heat in heatmaps)
    layer = LayerInfo(paths, last.layer.kind, (height, width, last.layer.units), last.layer.units)
    return Heatmap(
        share_of_maximum(raw), raw, layer, last.target, last.method, last.score, last.network, last.image
    )
