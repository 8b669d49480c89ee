"""Class activation maps that need runs of their own: each takes a `Case` and yields `Partial` maps (h, w) >= 0."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cnnvis_widgets.compute.cam import plus_plus, relu
from cnnvis_widgets.compute.case import Case, Partial, enlarged
from cnnvis_widgets.compute.gradients import noisy


def smooth_grad_cam_plus_plus(case: Case, samples: int = 25, noise: float = 0.15) -> Iterator[Partial]:
    r"""Smooth Grad-CAM++: Grad-CAM++ of derivatives averaged over noisy copies (Omeiza et al. 2019).

    .. math:: D_m = \tfrac1n \sum_n g(x + \epsilon_n)^m, \quad
              \alpha = \frac{D_2}{2 D_2 + D_3 \sum_{ab} A_{ab}}, \quad
              L = \mathrm{ReLU}\Big(\sum_k \Big[\sum_{ij} \alpha \, \mathrm{ReLU}(D_1)\Big] A_k\Big)

    As in `cam.grad_cam_plus_plus` without the factor exp(S), which would leave one copy to decide alone.
    """
    values = case.activations()
    first, second, third = (np.zeros_like(values) for _ in range(3))
    for part, inputs in noisy(case, samples, noise):
        slopes = case.slopes(inputs, case.layer.path)[-1]
        first, second, third = (
            total + (slopes**power).sum(axis=0) for total, power in ((first, 1), (second, 2), (third, 3))
        )
        raw = plus_plus(values, first / part.stop, second / part.stop, third / part.stop)
        yield Partial(part.stop, samples, raw)


def score_cam(case: Case) -> Iterator[Partial]:
    r"""Score-CAM: channels weighted by what the network says when it sees through them (Wang et al. 2020, alg. 1).

    .. math:: L = \mathrm{ReLU}\Big(\sum_k [f(x \odot H_k) - f(x_b)] A_k\Big), \quad
              H_k = \frac{B_k - \min B_k}{\max B_k - \min B_k}, \quad B_k = \mathrm{enlarged}(A_k)

    f is the target's probability, and outside a mask the baseline x_b shows. Algorithm 1 ends with a softmax over
    channels, which makes all weights nearly equal; here, as in the authors' code, there is none (that code leaves the
    subtraction out as well). A channel that is the same everywhere shows nothing and has no weight.
    """
    return _by_masks(case, np.arange(case.layer.units))


def faster_score_cam(case: Case, channels: int = 10) -> Iterator[Partial]:
    r"""Faster Score-CAM: Score-CAM of the channels that vary most over space (tabayashi0117 2020, as in tf-keras-vis).

    .. math:: L = \mathrm{ReLU}\Big(\sum_{k \in K} [f(x \odot H_k) - f(x_b)] A_k\Big), \quad
              K = \text{the channels of largest } \mathrm{Var}_{ij} A_{ijk}
    """
    order = np.argsort(-case.activations().var(axis=(0, 1)), kind="stable")
    return _by_masks(case, order[:channels])


def ablation_cam(case: Case) -> Iterator[Partial]:
    r"""Ablation-CAM: channels weighted by how much the score falls without them (Desai and Ramaswamy 2020).

    .. math:: L = \mathrm{ReLU}\Big(\sum_k [S - S_{A_k = 0}] A_k\Big)

    The paper divides by S: that scales the whole map, and where S < 0 it would turn its sign.
    """
    values = case.activations()
    weights = np.zeros(values.shape[-1], np.float32)
    alive = np.flatnonzero(values.any(axis=(0, 1)))
    whole = case.scores_from(values[None])[0]
    for part in _parts(case.batches(len(alive))):
        units = alive[part]
        without = np.repeat(values[None], len(units), axis=0)
        without[np.arange(len(units)), :, :, units] = 0
        weights[units] = whole - case.scores_from(without) if len(units) else 0
        yield Partial(part.stop, len(alive), relu(values @ weights))


def _by_masks(case: Case, units: np.ndarray) -> Iterator[Partial]:
    values = case.activations()
    weights = np.zeros(values.shape[-1], np.float32)
    varies = values.max(axis=(0, 1)) != values.min(axis=(0, 1))  # NaN too, so that it is told
    alive = units[varies[units]]
    nothing = case.chances(case.baseline)[0]
    for part in _parts(case.batches(len(alive))):
        chosen = alive[part]
        if len(chosen):
            masks = enlarged(values[..., chosen], *case.inputs.shape[1:3])
            low, high = (extreme(masks, axis=(1, 2), keepdims=True) for extreme in (np.min, np.max))
            masks -= low
            masks /= high - low
            weights[chosen] = case.chances(case.blended(masks)) - nothing
        yield Partial(part.stop, len(alive), relu(values @ weights))


def _parts(batches: Iterator[slice]) -> Iterator[slice]:
    """The batches, or one empty one: a map of zeros is an answer too."""
    first = next(batches, slice(0, 0))
    yield first
    yield from batches
