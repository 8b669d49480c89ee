"""Class activation maps: small functions (activations, gradients) -> map, the formula in each docstring.

activations, gradients: (h, w, c) float32, of one image, the gradients of the target's score.
Each returns (h, w) float32, >= 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from cnnvis_widgets.errors import MethodError

_PATIENCE = 64  # steps, after which all singular vectors are computed


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


def cam(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    r"""CAM: channels weighted by the column of the one linear layer after global pooling (Zhou et al. 2016, eq. 2).

    .. math:: L = \mathrm{ReLU}\Big(\sum_k w_k A_k\Big)

    There a channel's gradient is its weight, the same at every position; wherever it is not, `MethodError` is raised.
    The paper shows negative values too; here the positive part, as of the methods that grew from this one.
    """
    if np.ptp(gradients, axis=(0, 1)).max() > 1e-3 * np.abs(gradients).max():
        raise MethodError(
            "CAM can only explain a layer that nothing but global average pooling and one linear layer follow; "
            "choose such a layer, or grad-cam, which is the same there and serves every other one."
        )
    return relu(activations @ gradients[0, 0])


def grad_cam(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    r"""Grad-CAM: channels weighted by their mean gradient, positive part (Selvaraju et al. 2017, eq. 1-2).

    .. math:: L = \mathrm{ReLU}\Big(\sum_k \tfrac{1}{hw} \sum_{ij} g_{ijk} \, A_k\Big)
    """
    return relu(activations @ gradients.mean(axis=(0, 1)))


def hires_cam(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    r"""HiResCAM: each position weighted by its own gradient (Draelos and Carin 2020, eq. 4).

    .. math:: L = \mathrm{ReLU}\Big(\sum_k g_k \odot A_k\Big)
    """
    return relu(np.einsum("hwc,hwc->hw", activations, gradients))


def layer_cam(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    r"""LayerCAM: each position weighted by the positive part of its own gradient (Jiang et al. 2021, eq. 5-6).

    .. math:: L = \mathrm{ReLU}\Big(\sum_k \mathrm{ReLU}(g_k) \odot A_k\Big)
    """
    return relu(np.einsum("hwc,hwc->hw", activations, relu(gradients)))


def grad_cam_plus_plus(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    r"""Grad-CAM++: positive gradients, those of small parts weighted up (Chattopadhyay et al. 2018, eq. 19).

    .. math:: L = \mathrm{ReLU}\Big(\sum_k \Big[\sum_{ij} \alpha_{ijk} \mathrm{ReLU}(g_{ijk})\Big] A_k\Big), \quad
              \alpha_{ijk} = \frac{g_{ijk}^2}{2 g_{ijk}^2 + g_{ijk}^3 \sum_{ab} A_{abk}}

    The paper explains exp(S) in place of the score S; the factor exp(S) of all its derivatives is left out here, as it
    scales the whole map, and overflows.
    """
    # Divided by g^2; where g <= 0 there is nothing to weigh.
    share = relu(gradients)
    below = share * activations.sum(axis=(0, 1))
    below += 2
    below[below <= 0] = np.inf  # by maps below 0, for which the formula is not made
    share /= below
    return relu(activations @ share.sum(axis=(0, 1)))


def plus_plus(
    activations: np.ndarray, first: np.ndarray, second: np.ndarray, third: np.ndarray
) -> np.ndarray:
    """Grad-CAM++ of the derivatives of exp(S), each (h, w, c) and divided by exp(S)."""
    below = 2 * second + third * activations.sum(axis=(0, 1))
    # The formula is made for activations and gradients >= 0; where it would divide by zero or less, it has no meaning.
    alpha = np.divide(second, below, out=np.zeros_like(below), where=~(below <= 0))
    return relu(activations @ (alpha * relu(first)).sum(axis=(0, 1)))


def xgrad_cam(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    r"""XGrad-CAM: gradients averaged where the channel is active (Fu et al. 2020).

    .. math:: L = \mathrm{ReLU}\Big(\sum_k \frac{\sum_{ij} g_{ijk} A_{ijk}}{\sum_{ij} A_{ijk}} A_k\Big)

    A channel whose activations cancel out has no such average, and no weight.
    """
    shares = np.einsum("hwc,hwc->c", activations, gradients)
    total, size = activations.sum(axis=(0, 1)), np.abs(activations).sum(axis=(0, 1))
    weights = np.divide(shares, total, out=np.zeros_like(shares), where=~(np.abs(total) <= 1e-6 * size))
    return relu(activations @ weights)


def eigen_cam(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    r"""Eigen-CAM: the first principal component of the activations (Muhammad and Yeasin 2020).

    .. math:: L = \mathrm{ReLU}(A v_1), \quad A = U \Sigma V^\mathsf{T}

    Not centred. The sign of v_1 is arbitrary: it is chosen so that the map agrees with the sum over channels.
    The gradients are not looked at, so the map is the same for every class.
    """
    return relu(_first_component(activations))


def eigen_grad_cam(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    r"""Eigen-Grad-CAM: the first principal component of activations times gradients (Gildenblat 2021).

    .. math:: L = \mathrm{ReLU}(X v_1), \quad X = A \odot g = U \Sigma V^\mathsf{T}

    There is no paper. The author's code takes each channel's mean off X first and leaves the sign as it falls; here X
    is not centred, as in Eigen-CAM's paper, and signed as HiResCAM, which is the sum of X over channels.
    """
    return relu(_first_component(activations * gradients))


def fused(maps: Sequence[np.ndarray], shallow: int) -> np.ndarray:
    r"""LayerCAM's fusion of layers: the maximum, the shallow ones brightened before (Jiang et al. 2021).

    .. math:: L = \max_l L_l, \quad L_l \to \tanh(2 L_l / \max L_l) \text{ of shallow layers}

    maps: each (h, w) >= 0, from early to late; each is divided by its maximum. shallow: how many to brighten.
    Returns (h, w) of the largest of them, the others enlarged to it.
    """
    height, width = max((one.shape for one in maps), key=lambda shape: shape[0] * shape[1])
    result = np.zeros((height, width), np.float32)
    for index, one in enumerate(maps):
        share = one / one.max() if one.max() > 0 else one
        share = np.tanh(2 * share) if index < shallow else share
        large = cv2.resize(share.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        result = np.maximum(result, large)
    return result


def _first_component(maps: np.ndarray) -> np.ndarray:
    """(h, w): the maps (h, w, c) projected on their first right singular vector."""
    matrix = maps.reshape(-1, maps.shape[-1])
    projection = matrix @ _first_singular_vector(matrix)
    sign = -1 if projection @ matrix.sum(axis=1) < 0 else 1
    return (sign * projection).reshape(maps.shape[:2]).astype(np.float32)


def _first_singular_vector(matrix: np.ndarray) -> np.ndarray:
    """(c,): the right one of (n, c), by Lanczos steps on A^T A, which itself is never computed: that would take longer.

    Three steps or four are enough where one pattern is much the strongest, thirty where the next one nearly is so too.
    """

    def product(vector: np.ndarray) -> np.ndarray:
        # In the maps' own precision: else all of them would be converted.
        return (matrix.T @ (matrix @ vector.astype(matrix.dtype))).astype(np.float64)

    most = min(_PATIENCE, *matrix.shape)
    basis, band = np.empty((most, matrix.shape[1])), np.zeros((most, most))
    coming = product(np.random.default_rng(0).standard_normal(matrix.shape[1:]))
    if not np.isfinite(coming).all():
        return np.full(matrix.shape[1], np.nan)
    for step in range(most):
        length = np.linalg.norm(coming)
        if length == 0:
            break
        basis[step] = coming / length
        if step:
            band[step, step - 1] = band[step - 1, step] = length
        coming = product(basis[step])
        band[step, step] = coming @ basis[step]
        known = basis[: step + 1]
        for _ in range(2):  # rounding leaves some of it the first time
            coming -= known.T @ (known @ coming)
        if step % 4 == 3 or step + 1 == most:
            values, mixtures = np.linalg.eigh(band[: step + 1, : step + 1])
            if np.linalg.norm(coming) * abs(mixtures[-1, -1]) <= 1e-6 * values[-1]:
                return (mixtures[:, -1] @ known).astype(matrix.dtype)
    return np.linalg.svd(matrix, full_matrices=False)[2][0]
