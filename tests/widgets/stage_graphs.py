"""Graphs as the stage is sent them, made by hand: receptive fields are worked out layer by layer on paper."""

from __future__ import annotations

from typing import Any


def residual_graph(blocks: int = 4, side: int = 224) -> dict[str, Any]:
    """A stem, then residual blocks of which every third has a convolution in its shortcut, then a classifier.

    The stem is a 7x7 convolution of stride 2 and a 3x3 pool of stride 2, both padded to "same" by the centre: a
    field of 11 pixels every 4, beginning 5 before the border. Each block's second convolution is 3x3: 8 pixels more.
    """
    half, quarter = side // 2, side // 4
    nodes: list[list[Any]] = [["input", "input", "InputLayer", [side, side, 3], 0, _same(1, 1, 0), []]]

    def add(
        path: str, kind: str, type_name: str, shape: list[int], parameters: int, field: Any, parents: list
    ):
        nodes.append([path, kind, type_name, shape, parameters, field, parents])
        return len(nodes) - 1

    conv1 = add("conv1", "convolution", "Conv2D", [half, half, 64], 9472, _same(7, 2, -3), [0])
    last = add("pool1", "pooling", "MaxPooling2D", [quarter, quarter, 64], 0, _same(11, 4, -5), [conv1])
    shape = [quarter, quarter, 64]
    size, start = 11, -5
    for block in range(1, blocks + 1):
        source, name = last, f"block{block}"
        narrow = _same(size, 4, start)
        path = add(f"{name}_conv1", "convolution", "Conv2D", shape, 4160, narrow, [source])
        path = add(f"{name}_bn1", "normalization", "BatchNormalization", shape, 256, narrow, [path])
        path = add(f"{name}_relu1", "activation", "Activation", shape, 0, narrow, [path])
        shortcut = source
        if block % 3 == 1:
            shortcut = add(f"{name}_shortcut", "convolution", "Conv2D", shape, 4160, narrow, [source])
        size, start = size + 8, start - 4
        wide = _same(size, 4, start)
        path = add(f"{name}_conv2", "convolution", "Conv2D", shape, 36928, wide, [path])
        path = add(f"{name}_add", "merge", "Add", shape, 0, wide, [shortcut, path])
        last = add(f"{name}_out", "activation", "Activation", shape, 0, wide, [path])
    pooled = add("gap", "pooling", "GlobalAveragePooling2D", [64], 0, "all", [last])
    add("dense", "other", "Dense", [10], 650, "all", [pooled])
    return {"input": [side, side], "nodes": nodes}


def _same(size: int, jump: int, start: int) -> list[list[int]]:
    return [[size, jump, start], [size, jump, start]]
