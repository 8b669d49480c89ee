"""Class activation maps: small functions (activations, gradients) -> map, the formula in each docstring.

activations, gradients: (h, w, c) float32, of one image, the gradients of the target's logit.
Each returns (h, w) float32, >= 0.
"""

from __future__ import annotations

import numpy as np


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


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
