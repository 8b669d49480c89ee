"""Captum and PyTorch, on the same architecture with the same weights: a second table.

pytorch-grad-cam is not among them: it needs torchvision, whose released builds go with one build of PyTorch each.
"""

from __future__ import annotations

import dataclasses

import numpy as np

import cnnvis_widgets as cnnvis
from side_by_side import peers
from side_by_side.bench import Bench, Call, Task, unlike
from side_by_side.limits import behind, forward
from side_by_side.rows import OURS
from side_by_side.subjects import Subject, subject

STEPS = 20


def measure(bench: Bench) -> None:
    if peers.version("captum") is None:
        return
    of = subject("small" if bench.quick else "vgg16")
    bench.attempt(of.name, "captum", lambda: _measure(bench, of))


def _measure(bench: Bench, of: Subject) -> None:
    import torch
    from captum.attr import IntegratedGradients, LayerGradCam

    model, layers = as_torch(of.model)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    device = next(model.parameters()).device
    tensors = [torch.tensor(of.inputs(number).transpose(0, 3, 1, 2), device=device) for number in range(8)]
    gradcam, gradients = LayerGradCam(model, layers[of.layer]), IntegratedGradients(model)

    def explained(image: int, index: int) -> np.ndarray:
        heat = gradcam.attribute(tensors[image], index % of.classes, relu_attributions=True)
        return heat.detach().cpu().numpy()[0, 0]

    def integrated(image: int) -> np.ndarray:
        found = gradients.attribute(tensors[image], 0, 1, n_steps=STEPS, internal_batch_size=10)
        return found.detach().cpu().numpy()[0].sum(axis=0)

    def ours(image: int, index: int) -> np.ndarray:
        return cnnvis.explain(of.network, of.image(image), layer=of.layer, target=index % of.classes).raw

    def ours_integrated(image: int) -> np.ndarray:
        return cnnvis.explain(of.network, of.image(image), "integrated-gradients", target=1, steps=STEPS).raw

    back = forward(of.model, layers=behind(of.model, of.layer))
    for task in (
        Task("another class", _pair(lambda i: ours(0, i + 2), lambda i: explained(0, i + 2)), back, "1x"),
        Task(
            "another image",
            _pair(lambda i: ours(i, 1), lambda i: explained(i, 1)),
            forward(of.model) + back,
            "1x",
        ),
        Task(
            f"Integrated Gradients, {STEPS} steps",
            _pair(ours_integrated, integrated),
            forward(of.model, 2 * STEPS),
            "1x",
            rounds=2,
            apart=unlike,
            close=0.05,
        ),
    ):
        bench.time(of.name, dataclasses.replace(task, table="torch"))


def _pair(ours, theirs) -> dict[str, Call]:
    return {OURS: Call(ours), "captum": Call(theirs)}


def as_torch(model):
    """A Keras model that is a chain of convolutions, pools and Dense layers, in PyTorch: (module, layers by name).

    Numbers are the same; PyTorch puts channels first, so the first Dense layer's rows are put in that order.
    """
    from torch import nn

    parts, layers, shape = [], {}, None
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "Conv2D":
            kernel = layer.kernel.numpy()
            part = nn.Conv2d(kernel.shape[2], kernel.shape[3], kernel.shape[0], padding="same")
            _fill(part, kernel.transpose(3, 2, 0, 1), layer.bias)
        elif kind == "Dense":
            part = nn.Linear(*layer.kernel.shape)
            kernel = layer.kernel.numpy()
            if shape is not None:
                kernel = kernel.reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
                shape = None
            _fill(part, kernel.T, layer.bias)
        elif kind == "MaxPooling2D":
            part = nn.MaxPool2d(2)
        elif kind == "GlobalAveragePooling2D":
            part = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        elif kind == "Flatten":
            part, shape = nn.Flatten(), layer.input.shape[1:]
        else:
            continue
        if getattr(getattr(layer, "activation", None), "__name__", "") == "relu":
            part = nn.Sequential(part, nn.ReLU())
        layers[layer.name] = part
        parts.append(part)
    return nn.Sequential(*parts).eval(), layers


def _fill(part, kernel: np.ndarray, bias) -> None:
    import torch

    with torch.no_grad():
        part.weight.copy_(torch.tensor(np.ascontiguousarray(kernel)))
        part.bias.copy_(torch.tensor(bias.numpy()))
