"""(a) Grad-CAM: the first call of all, then another class, image and layer, and all layers.

The first call has everything that a new user waits for once the model is there: our look at the network's layers too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import cnnvis_widgets as cnnvis
from side_by_side import peers
from side_by_side.bench import Bench, Call, Task
from side_by_side.limits import Work, behind, forward
from side_by_side.rows import OURS
from side_by_side.subjects import Subject, subject

Explain = Callable[[np.ndarray, str, int], np.ndarray]


def measure(bench: Bench) -> None:
    for name in ("small",) if bench.quick else ("vgg16", "mobilenet_v2"):
        bench.attempt(name, "Grad-CAM", lambda name=name: _measure(bench, subject(name)))


def _measure(bench: Bench, of: Subject) -> None:
    makers = peers.installed(peers.GRAD_CAM)
    if of.name == "small":
        makers.pop(peers.ORIGINAL, None)  # it knows the networks that came with Keras 2
    bench.time(of.name, _first_call(of, makers))
    tools = {tool: make(of.model) for tool, make in makers.items()}
    of.network.predict(of.picture)
    for task in (_another_class, _another_image, _another_layer):
        bench.time(of.name, task(of, tools))
    if of.name != "mobilenet_v2":
        bench.time(of.name, _all_layers(of, tools))


def _first_call(of: Subject, makers: dict[str, Callable]) -> Task:
    inputs = of.inputs()

    def ours(_number: int) -> np.ndarray:
        return cnnvis.explain(of.fresh(), of.picture, layer=of.layer, target=1).raw

    def theirs(make: Callable) -> Callable[[int], np.ndarray]:
        return lambda _number: make(of.model)(inputs, of.layer, 1)

    calls = {
        tool: Call(theirs(make), _form(tool, of), peers.fault(tool, "grad-cam"))
        for tool, make in makers.items()
    }
    return Task("first call", {OURS: Call(ours), **calls}, _one_map(of), "1x", rounds=3)


def _another_class(of: Subject, tools: dict[str, Explain]) -> Task:
    inputs = of.inputs()
    return Task(
        "another class",
        _calls(
            of,
            tools,
            lambda explain, i: explain(inputs, of.layer, (i + 2) % of.classes),
            lambda i: (0, of.layer, i + 2),
        ),
        forward(of.model, layers=behind(of.model, of.layer)),
        "20x, or 1.5x of the limit",
    )


def _another_image(of: Subject, tools: dict[str, Explain]) -> Task:
    pictures = [of.inputs(number) for number in range(8)]
    return Task(
        "another image",
        _calls(of, tools, lambda explain, i: explain(pictures[i], of.layer, 1), lambda i: (i, of.layer, 1)),
        _one_map(of),
        "1.5x",
    )


def _another_layer(of: Subject, tools: dict[str, Explain]) -> Task:
    inputs, layers = of.inputs(), of.further
    return Task(
        "another layer",
        _calls(of, tools, lambda explain, i: explain(inputs, layers[i], 1), lambda i: (0, layers[i], 1)),
        goal="20x",
        rounds=len(layers) - 1,
    )


def _all_layers(of: Subject, tools: dict[str, Explain]) -> Task:
    """A new image each round. The limit: one pass forward, one back."""
    layers = [layer.path for layer in of.network.layers]
    pictures = [of.inputs(number) for number in range(20, 24)]

    def ours(number: int) -> list[np.ndarray]:
        return [heat.raw for heat in cnnvis.explain_layers(of.network, of.image(20 + number), target=1)]

    calls = {OURS: Call(ours)}
    for tool, explain in tools.items():
        calls[tool] = Call(
            lambda i, explain=explain: [explain(pictures[i], layer, 1) for layer in layers],
            _form(tool, of),
            peers.fault(tool, "grad-cam"),
        )
    return Task(f"all {len(layers)} layers", calls, forward(of.model) * 2, "12x", rounds=3)


def _one_map(of: Subject) -> Work:
    """Forward, and back to the layer."""
    return forward(of.model) + forward(of.model, layers=behind(of.model, of.layer))


def _calls(of: Subject, tools: dict[str, Explain], theirs: Callable, ours: Callable) -> dict[str, Call]:
    """theirs: what a tool's function says in a round; ours: the image's number, layer and class of a round."""

    def explained(number: int) -> np.ndarray:
        image, layer, index = ours(number)
        return cnnvis.explain(of.network, of.image(image), layer=layer, target=index % of.classes).raw

    calls = {OURS: Call(explained)}
    for tool, explain in tools.items():
        calls[tool] = Call(
            lambda i, explain=explain: theirs(explain, i), _form(tool, of), peers.fault(tool, "grad-cam")
        )
    return calls


def _form(tool: str, of: Subject) -> Callable[[np.ndarray], np.ndarray]:
    """What our map would be in a peer's form."""

    def enlarged(raw: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        return tf.image.resize(raw[..., None], of.model.input_shape[1:3], "bicubic").numpy()[..., 0]

    forms = {"xplique": enlarged, "eli5": lambda raw: raw / max(float(raw.max()), 1e-30)}
    return forms.get(tool, lambda raw: raw)
