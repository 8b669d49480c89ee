"""What must not creep up, on any machine: runs of the network, functions traced, messages and bytes of one request.

The figures are those of today; a smaller one is progress, to be written down here. Times are `make bench`'s affair.
"""

from collections import Counter

import numpy as np
from waiting import wait_until

import cnnvis_widgets as cnnvis

RUNS = ("forward", "backward", "forward_from", "backward_from")

# What is asked, one after the other: the runs of the network that it takes, and the functions traced for it.
REQUESTS = {
    "a first heatmap": (lambda net, cat, cup: cnnvis.explain(net, cat, target=3), {"backward": 1}, 1),
    "the same again": (lambda net, cat, cup: cnnvis.explain(net, cat, target=3), {}, 0),
    "another class": (lambda net, cat, cup: cnnvis.explain(net, cat, target=5), {}, 0),
    "another method": (lambda net, cat, cup: cnnvis.explain(net, cat, "layer-cam", target=3), {}, 0),
    "another image": (lambda net, cat, cup: cnnvis.explain(net, cup, target=3), {"backward": 1}, 0),
    "a second layer": (
        lambda net, cat, cup: cnnvis.explain(net, cat, layer="block2_conv2_relu", target=3),
        {"backward": 1},
        1,
    ),
    "a third layer": (lambda net, cat, cup: cnnvis.explain(net, cat, layer="block3_conv1", target=3), {}, 0),
    "all layers": (lambda net, cat, cup: cnnvis.explain_layers(net, cat, target=3), {}, 0),
    "the maps of a layer": (lambda net, cat, cup: cnnvis.feature_maps(net, cat, "block1_conv1"), {}, 0),
    "all layers of another image": (
        lambda net, cat, cup: cnnvis.explain_layers(net, cup[:, ::-1].copy(), target=3),
        {"backward": 1},
        0,
    ),
}


# What a person does in the Explorer, and what the stage then sends: messages, and bytes of arrays.
INTERACTIONS = {
    "class": ({"target": "dog"}, 5, 5376),
    "layer": ({"layer": "block2_conv1"}, 4, 136064),
    "unit": ({"unit": 3}, 2, 0),
}


def test_runs_and_traces_of_each_request(monkeypatch):
    network, pictures = cnnvis.load_network(), cnnvis.sample_images()
    ran: Counter[str] = Counter()
    for name in RUNS:
        real = getattr(network.probe, name)

        def counted(*given, name=name, real=real, **options):
            ran[name] += 1
            return real(*given, **options)

        monkeypatch.setattr(network.probe, name, counted)
    _ = network.graph.linear_layers  # read off the dry run, which is no request's
    for what, (ask, runs, traces) in REQUESTS.items():
        before = network.probe.traces
        ran.clear()
        ask(network, pictures["cat"], pictures["coffee"])
        assert (dict(ran), network.probe.traces - before) == (runs, traces), what


def test_messages_and_bytes_of_each_interaction(monkeypatch):
    explorer = cnnvis.Explorer()
    try:
        _ = explorer.state
        wait_until(lambda: explorer.stage.weights_from == "head")  # what is fetched ahead for all classes
        sent: list[int] = []
        real = explorer.stage._send

        def counted(message, buffers=None):
            sent.append(sum(np.frombuffer(buffer, np.uint8).size for buffer in buffers or ()))
            real(message, buffers)

        monkeypatch.setattr(explorer.stage, "_send", counted)

        for name, (wish, messages, size) in INTERACTIONS.items():
            sent.clear()
            explorer.update(**wish)
            explorer._settle()
            assert len(sent) <= messages and sum(sent) <= size, (
                f"{name}: {len(sent)} messages, {sum(sent)} bytes"
            )
    finally:
        explorer.close()
