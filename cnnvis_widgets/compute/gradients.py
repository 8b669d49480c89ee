"""What each pixel of the input does to the score: methods that differentiate it with respect to the input.

Each takes a `Case` and gives (H, W) float32 at the network's input resolution, or yields `Partial` ones on the way.
Gradients have a value for each colour; where the sign tells nothing (it depends on whether a thing is bright on dark
or dark on bright), the largest magnitude over the colours is shown, else their sum.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cnnvis_widgets.compute import cam
from cnnvis_widgets.compute.case import Case, Partial, batch_size, enlarged
from cnnvis_widgets.errors import MethodError

COMPLETE = 0.01  # share of the score's difference that Integrated Gradients may be off
MOST_STEPS = 400  # after which they stay off: their maps take 80 MB at 224 x 224
# Measured on trained networks: beginning so, 50 to 110 steps are complete; evenly spaced ones often not with 400.
_FIRST_STEPS, _FURTHER_STEPS = 26, 16


def gradient(case: Case) -> np.ndarray:
    r"""The gradient of the score, largest magnitude over the colours (Simonyan et al. 2013, sec. 3.1).

    .. math:: M = \max_c \left| \partial S / \partial x_c \right|
    """
    return _magnitude(case.input_gradient())


def gradient_x_input(case: Case) -> np.ndarray:
    r"""The first-order share of each pixel in the score, signed (Shrikumar et al. 2016).

    .. math:: M = \sum_c x_c \, \partial S / \partial x_c
    """
    return (case.input_gradient() * case.inputs[0]).sum(axis=-1)


def smooth_grad(case: Case, samples: int = 50, noise: float = 0.15) -> Iterator[Partial]:
    r"""SmoothGrad: the mean gradient over noisy copies (Smilkov et al. 2017, sec. 3).

    .. math:: M = \max_c \Big| \tfrac1n \sum_n \partial S(x + \epsilon_n) / \partial x_c \Big|,
              \quad \epsilon \sim N(0, (\mathrm{noise} \cdot (\max x - \min x))^2)

    The magnitude is taken of the mean: the mean of magnitudes would keep what the noise put in.
    """
    for done, total, _square in _noisy_sums(case, samples, noise):
        yield Partial(done, samples, _magnitude(total / done))


def var_grad(case: Case, samples: int = 50, noise: float = 0.15) -> Iterator[Partial]:
    r"""VarGrad: the variance of the gradient over noisy copies (Adebayo et al. 2018).

    .. math:: M = \max_c \mathrm{Var}_n\, \partial S(x + \epsilon_n) / \partial x_c
    """
    if samples < 2:
        raise MethodError(f"A variance needs at least 2 samples; {samples} was given.")
    for done, total, square in _noisy_sums(case, samples, noise):
        variance = np.maximum(square / done - (total / done) ** 2, 0)
        yield Partial(done, samples, variance.max(axis=-1).astype(np.float32))


def integrated_gradients(case: Case, steps: int | None = None) -> Iterator[Partial]:
    r"""Integrated Gradients: the gradient on the way from an empty picture (Sundararajan et al. 2017, eq. 1).

    .. math:: M = \sum_c (x_c - x'_c) \int_0^1 \partial S(x' + a (x - x')) / \partial x_c \; da

    The values sum to S(x) - S(x'); how far they are from it, as a share of it, is the detail "completeness gap", and
    "steps" says at how many places the gradient was taken. steps: so many, by Gauss-Legendre quadrature; None takes
    them where they are needed, until the gap is below `COMPLETE` or there are `MOST_STEPS`.
    """
    return _by_quadrature(case, steps) if steps else _where_needed(case)


def _by_quadrature(case: Case, steps: int) -> Iterator[Partial]:
    points, weights = np.polynomial.legendre.leggauss(steps)
    points, weights = (points + 1) / 2, (weights / 2).astype(np.float32)
    slope = np.zeros_like(case.way[0])
    for part in case.batches(steps, backward=True):
        _, _, slopes = case.slopes(case.on_the_way(points[part]))
        slope += np.einsum("n,nhwc->hwc", weights[part], slopes)
        raw = (slope * case.way[0]).sum(axis=-1)
        yield Partial(part.stop, steps, raw)
    last, first = case.scores(np.concatenate([case.inputs, case.baseline]))
    gap = _gap(float(raw.sum(dtype=np.float64)), float(last) - float(first))
    yield Partial(steps, steps, raw, {"completeness gap": gap, "steps": steps})


def _where_needed(case: Case) -> Iterator[Partial]:
    """The trapezoidal rule, each stretch of the way halved where it errs most.

    What a stretch should add is known: the difference of the scores at its ends. So its error is known, not estimated.
    A score that changes within a small part of the way, as those of ReLU networks do, needs a quarter of the steps.
    """
    way, batch = case.way, batch_size(case.network, backward=True)
    places, scores = np.zeros(0), np.zeros(0)
    shares = np.zeros((0, *way.shape[1:3]), np.float32)  # of each pixel in the score's slope, at each place
    coming = np.linspace(0, 1, _FIRST_STEPS)
    while len(coming):
        now, coming = coming[:batch], coming[batch:]
        found, _, slopes = case.slopes(case.on_the_way(now))
        order = np.argsort(np.concatenate([places, now]), kind="stable")
        places, scores = np.concatenate([places, now])[order], np.concatenate([scores, found])[order]
        shares = np.concatenate([shares, (slopes * way).sum(axis=-1)])[order]
        widths = np.diff(places)
        weights = (np.append(widths, 0) + np.insert(widths, 0, 0)) / 2
        raw = np.einsum("n,nhw->hw", weights.astype(np.float32), shares)
        gap = _gap(float(raw.sum(dtype=np.float64)), float(scores[-1] - scores[0]))
        if not len(coming) and gap > COMPLETE:
            rates = shares.sum(axis=(1, 2), dtype=np.float64)
            errors = np.abs(np.diff(scores) - widths * (rates[1:] + rates[:-1]) / 2)
            worst = np.argsort(-errors, kind="stable")[: min(_FURTHER_STEPS, MOST_STEPS - len(places))]
            coming = places[worst] + widths[worst] / 2
        details = {"completeness gap": gap, "steps": len(places)}
        yield Partial(len(places), len(places) + len(coming), raw, details)


def guided_backpropagation(case: Case) -> np.ndarray:
    r"""Guided backpropagation: through a ReLU where input and gradient are positive (Springenberg et al. 2014).

    .. math:: R^l = 1[a > 0] \; 1[R^{l+1} > 0] \; R^{l+1}
    """
    return _magnitude(case.input_gradient("guided"))


def deconvolution(case: Case) -> np.ndarray:
    r"""Deconvolution: through a ReLU wherever the gradient is positive (Zeiler and Fergus 2013).

    .. math:: R^l = 1[R^{l+1} > 0] \; R^{l+1}

    The picture counts on this way only where max pooling remembers where its maximum was: of a network of ReLUs
    without max pooling, MobileNetV2 for example, the map is the same for every picture.
    """
    return _magnitude(case.input_gradient("deconvolution"))


def guided_grad_cam(case: Case) -> np.ndarray:
    r"""Guided Grad-CAM: guided backpropagation where Grad-CAM of a layer is positive (Selvaraju et al. 2017, sec. 3.2).

    .. math:: M = \max_c |R_c| \cdot \mathrm{enlarged}(L_\mathrm{Grad-CAM})
    """
    where = cam.grad_cam(case.activations(), case.gradients())
    return guided_backpropagation(case) * enlarged(where, *case.inputs.shape[1:3])[0]


def full_grad(case: Case) -> Iterator[Partial]:
    r"""FullGrad: input and every bias, each with its gradient (Srinivas and Fleuret 2019).

    .. math:: M = \psi(x \odot \partial S / \partial x) + \sum_l \sum_c \psi(b_l \odot \partial S / \partial b_l)_c,
              \quad \psi(t) = \mathrm{enlarged}\Big(\frac{|t| - \min |t|}{\max |t| - \min |t|}\Big)

    The extremes are those of a layer, not of a channel, as in the authors' code. Biases are all constants that the
    network adds, those of batch normalization too; the ones after pooling have no place and are only counted in
    the detail "completeness gap": of a network of ReLUs and linear layers, all terms sum to the score.
    """
    score, slope, terms = case.bias_terms()
    first = slope * case.inputs[0]
    raw = _share(first)
    for term in terms:
        if term.ndim == 3:
            raw = raw + enlarged(_share(term), *raw.shape)[0]
    gap = _gap(float(sum(term.sum(dtype=np.float64) for term in [first, *terms])), score)
    yield Partial(1, 1, raw, {"completeness gap": gap})


def _magnitude(slope: np.ndarray) -> np.ndarray:
    return np.abs(slope).max(axis=-1)


def _share(term: np.ndarray) -> np.ndarray:
    """FullGrad's psi, summed over channels: enlarging is linear, so it can wait until there is one map."""
    size = np.abs(term)
    low, high = size.min(), size.max()
    if high == low:  # False of NaN, which is to be told
        return np.zeros(term.shape[:2], np.float32)
    return (size - low).sum(axis=-1) / (high - low)


def _gap(total: float, expected: float) -> float:
    """How far a sum is from what it should be, as a share of that."""
    difference = abs(total - expected)
    return difference / abs(expected) if expected else (float("inf") if difference else 0.0)


def _noisy_sums(case: Case, samples: int, noise: float) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Of gradients at noisy copies: how many, their sum, and the sum of their squares, (H, W, C) float64."""
    total, square = np.zeros(case.inputs.shape[1:]), np.zeros(case.inputs.shape[1:])
    for part, inputs in noisy(case, samples, noise):
        slopes = case.slopes(inputs)[-1]
        total += slopes.sum(axis=0, dtype=np.float64)
        square += np.square(slopes, dtype=np.float64).sum(axis=0)
        yield part.stop, total, square


def noisy(case: Case, samples: int, noise: float) -> Iterator[tuple[slice, np.ndarray]]:
    """Batches (n, H, W, C) of the input with Gaussian noise, its deviation a share of the input's range."""
    random = np.random.default_rng(case.seed)
    deviation = np.float32(noise * np.ptp(case.inputs))
    for part in case.batches(samples, backward=True):
        shape = (part.stop - part.start, *case.inputs.shape[1:])
        yield part, case.inputs + deviation * random.standard_normal(shape, np.float32)
